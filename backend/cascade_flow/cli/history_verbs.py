"""`events` and `logs`: what happened in a run, and what its steps wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from cascade_flow import clock
from cascade_flow.cli import event_texts, exits, families, formatting
from cascade_flow.cli.run_verbs import RunArgument
from cascade_flow.cli.target import Target, targeted
from cascade_flow.cli.views import OVER, Document, Phase, RunView
from cascade_flow.cli.watching import pace_us
from cascade_flow.errors import StepNotFoundError

if TYPE_CHECKING:
    from cascade_flow.client import Client

_LATE_US = 60_000_000
"""How much later than it was written a line may be stored."""


@targeted
def events(
    target: Target,
    run: RunArgument,
    step: Annotated[str | None, typer.Option("--step", metavar="STEP", help="Only events of this step.")] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Only this type, such as StepFailed; may be repeated."),
    ] = None,
) -> None:
    """List what happened in a run, in order. With --json, one event a line.

    Examples:

      $ cascade events 3f2a91c07b1d4e55
      $ cascade events 3f2a91c07b1d4e55 --step check --type StepStarted --type StepCompleted
      $ cascade events 3f2a91c07b1d4e55 --json | jq -r .type
    """
    with target.client() as client:
        run = families.meant(client, run)
        found = client.events(run, types=kind or (), step_id=step, outside=target.as_json)
    if not target.as_json:
        target.screen.show(_story(found))
        return
    for event in found:
        target.screen.record(event)


@targeted
def logs(
    target: Target,
    run: RunArgument,
    step: Annotated[str | None, typer.Argument(metavar="STEP", help="Only this step.", show_default=False)] = None,
    attempt: Annotated[int | None, typer.Option("--attempt", min=1, metavar="N", help="Only this attempt.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run is over.")] = False,
) -> None:
    """Print what a run's steps wrote: stdout, stderr and logging. With --json, one line of JSON each.

    Examples:

      $ cascade logs 3f2a91c07b1d4e55
      $ cascade logs 3f2a91c07b1d4e55 check --attempt 2
      $ cascade logs 3f2a91c07b1d4e55 --follow
    """
    silent = True
    with target.client() as client:
        run = families.meant(client, run)
        try:
            for lines in _lines(client, run, step, attempt, follow=follow):
                if target.as_json:
                    for line in lines:
                        target.screen.record(line)
                else:
                    target.screen.lines(_log_line(line, alone=step is not None) for line in lines)
                silent = False
        except KeyboardInterrupt:
            raise typer.Exit(exits.INTERRUPTED) from None
        if silent and attempt is not None:
            _check_attempt(client.run(run, payloads=False), step, attempt)
    if silent and not target.as_json:
        target.screen.say("Nothing was written here.", "dim")


def _check_attempt(document: Document, step: str | None, attempt: int) -> None:
    """Raises StepNotFoundError where there was no such attempt."""
    steps = [each for each in RunView(document, clock.now_us()).steps if step in (None, each.id)]
    most = max((each.attempt for each in steps if each.phase not in (Phase.WAITING, Phase.NOT_RUN)), default=0)
    if attempt > most:
        whose = f"step {step!r}" if step else "any step"
        there = f"the last attempt of {whose} is {most}" if most else f"there was no attempt of {whose} yet"
        raise StepNotFoundError(f"--attempt {attempt}: {there}")


def _lines(
    client: Client, run: str, step: str | None, attempt: int | None, *, follow: bool
) -> Iterator[Sequence[Document]]:
    """The lines there are, and with `follow` those that come until the run is over; never none at a time."""
    began_us, seen, is_over = clock.now_us(), _Seen(), not follow
    while True:
        if lines := seen.new(client.logs(run, step_id=step, attempt=attempt, after_us=seen.after_us)):
            yield lines
        if is_over:
            return
        is_over = client.run(run, payloads=False)["run"]["status"] in OVER
        if not is_over:
            clock.pause_us(pace_us(clock.now_us() - began_us))


class _Seen:
    """How far each attempt's lines are known. Attempts at the same time store theirs once a second, each when it likes:
    a line may come later than many that were written after it.
    """

    def __init__(self) -> None:
        self._until_us: dict[tuple[str, int], int] = {}

    @property
    def after_us(self) -> int:
        return max(0, max(self._until_us.values(), default=0) - _LATE_US)

    def new(self, lines: Sequence[Document]) -> Sequence[Document]:
        """Those that were not known."""
        found = [line for line in lines if line["timestampUs"] > self._until_us.get(_attempt_of(line), -1)]
        self._until_us |= {_attempt_of(line): line["timestampUs"] for line in found}
        return found


def _attempt_of(line: Document) -> tuple[str, int]:
    return line["stepId"], line["attemptNumber"]


def _story(events: Sequence[Document]) -> Table:
    table = Table.grid(padding=(0, 2))
    for event in events:
        style = event_texts.colour(event)
        table.add_row(
            Text(formatting.time_of_day(event["timestampUs"]), "dim"),
            Text(str(event["type"]), style),
            Text(str(event.get("stepId", "")), overflow="fold"),
            Text(event_texts.sentence(event), style, overflow="fold"),
        )
    return table


def _log_line(line: Document, *, alone: bool) -> Text:
    where = "" if alone else f"{line['stepId']} "
    return Text.assemble(
        (f"{formatting.time_of_day(line['timestampUs'])}  ", "dim"),
        (f"{where}#{line['attemptNumber']} ", "cyan"),
        ("│ ", "dim"),
        (str(line["message"]), "yellow" if line["stream"] == "stderr" else ""),
    )
