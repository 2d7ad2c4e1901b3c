"""`events` and `logs`: what happened in a run, and what its steps wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cascade_flow import clock
from cascade_flow.cli import exits, words
from cascade_flow.cli.place import Place, placed
from cascade_flow.cli.run_verbs import RunArgument
from cascade_flow.cli.views import OVER, Document
from cascade_flow.cli.watching import pace_us

if TYPE_CHECKING:
    from cascade_flow.client import Client

_HEAD = frozenset({"eventId", "timestampUs", "workflowSlug", "runId", "category", "type", "stepId"})
_LONG = frozenset({"errorFingerprints", "resourceUsage", "resourceSnapshot", "output", "input", "data", "versionId"})
_LONGEST = 100
_COLOURS = {
    "StepCompleted": "green",
    "WorkflowCompleted": "green",
    "StepFailed": "red",
    "WorkflowFailed": "red",
    "StepRetrying": "yellow",
    "StepReclaimed": "yellow",
    "WorkflowCancelled": "yellow",
    "StepSkipped": "magenta",
    "LogEntry": "dim",
}


@placed
def events(
    place: Place,
    run: RunArgument,
    step: Annotated[str | None, typer.Option("--step", metavar="STEP", help="Only events of this step.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Only this type, such as StepFailed; repeatable.")
    ] = None,
) -> None:
    """List what happened in a run, in order. With --json, one event a line.

    Examples:

      $ cascade events 3f2a91c07b1d4e55
      $ cascade events 3f2a91c07b1d4e55 --step check --type StepStarted --type StepCompleted
      $ cascade events 3f2a91c07b1d4e55 --json | jq -r .type
    """
    with place.client() as client:
        found = client.events(run, types=kind or (), step_id=step)
    for event in found:
        if place.as_json:
            place.screen.record(event)
        else:
            place.screen.out.print(_event_line(event, found), soft_wrap=True)


@placed
def logs(
    place: Place,
    run: RunArgument,
    step: Annotated[str | None, typer.Argument(metavar="[STEP]", help="Only this step.", show_default=False)] = None,
    attempt: Annotated[int | None, typer.Option("--attempt", min=1, metavar="N", help="Only this attempt.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run is over.")] = False,
) -> None:
    """Print what a run's steps wrote: stdout, stderr and logging. With --json, one line of JSON each.

    Examples:

      $ cascade logs 3f2a91c07b1d4e55
      $ cascade logs 3f2a91c07b1d4e55 check --attempt 2
      $ cascade logs 3f2a91c07b1d4e55 --follow
    """
    with place.client() as client:
        try:
            for line in _lines(client, run, step, attempt, follow=follow):
                if place.as_json:
                    place.screen.record(line)
                else:
                    place.screen.out.print(_log_line(line, alone=step is not None), soft_wrap=True)
        except KeyboardInterrupt:
            raise typer.Exit(exits.INTERRUPTED) from None


def _lines(client: Client, run: str, step: str | None, attempt: int | None, *, follow: bool) -> Iterator[Document]:
    """The lines there are, and with `follow` those that come until the run is over."""
    began_us, after_us, is_over = clock.now_us(), 0, not follow
    while True:
        for line in client.logs(run, step_id=step, attempt=attempt, after_us=after_us):
            yield line
            after_us = line["timestampUs"]
        if is_over:
            return
        is_over = client.run(run)["run"]["status"] in OVER
        if not is_over:
            clock.pause_us(pace_us(clock.now_us() - began_us))


def _event_line(event: Document, among: Sequence[Document]) -> Text:
    width = max(len(each.get("stepId", "")) for each in among)
    kind = str(event["type"])
    return Text.assemble(
        (words.time_of_day(event["timestampUs"]), "dim"),
        f"  {kind:<23}  ",
        f"{event.get('stepId', ''):<{width}}  " if width else "",
        (_details(event), "dim"),
        style=_COLOURS.get(kind, ""),
    )


def _details(event: Document) -> str:
    parts = []
    for name, value in event.items():
        if name in _HEAD or name in _LONG:
            continue
        parts.append(_detail(name, value))
    return "  ".join(parts)


def _detail(name: str, value: object) -> str:
    if name == "error" and isinstance(value, dict):
        value = f"{value.get('name', 'Error')}: {value.get('message', '')}"
    if name.endswith("AtUs") and isinstance(value, int):
        return f"{name.removesuffix('Us')}={words.time_of_day(value)}"
    if name.endswith("Us") and isinstance(value, int):
        shown = words.time_of_day(value) if value > 10**15 else words.duration(value).replace(" ", "")
        return f"{name.removesuffix('Us')}={shown}"
    text = value if isinstance(value, str) else words.compact(value)
    return f"{name}={words.shortened(text, _LONGEST)}"


def _log_line(line: Document, *, alone: bool) -> Text:
    where = "" if alone else f"{line['stepId']} "
    return Text.assemble(
        (f"{words.time_of_day(line['timestampUs'])}  ", "dim"),
        (f"{where}#{line['attemptNumber']} ", "cyan"),
        ("│ ", "dim"),
        (str(line["message"]), "yellow" if line["stream"] == "stderr" else ""),
    )
