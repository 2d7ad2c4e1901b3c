"""`worker`: runs the steps of your workflows on this machine, for as long as it isn't told to end."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from cascade_flow import clock
from cascade_flow.cli import formatting, inputs
from cascade_flow.cli.target import Target, targeted
from cascade_flow.errors import ConfigurationError

if TYPE_CHECKING:
    from cascade_flow.remote.dispatcher import Wishes

Told = Mapping[str, Any]


@targeted
def worker(
    target: Target,
    pool: Annotated[
        str | None,
        typer.Option(
            metavar="POOL", help="The pool whose steps it runs. By default those of no pool.", callback=inputs.read_pool
        ),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Steps at a time, a process each.")] = 1,
    workflows: Annotated[
        str | None, typer.Option(metavar="PACKAGE", help="Where the steps' code is. By default the project's package.")
    ] = None,
    drain: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long steps may finish once it is to end: 90s, 5m, 2h.")
    ] = None,
) -> None:
    """Run steps on this machine, such as those of `@workflow.step(executor="gpu-box")`, however long they take.

    SIGTERM or Ctrl-C ends it: it takes no further step and lets those that run finish. A second one, or the end of
    --drain, stops them, and other workers have them at once. It needs nothing but the API: no AWS rights beside
    execute-api:Invoke on the worker's routes.

    Examples:

      $ cascade worker --pool gpu-box
      $ cascade worker --pool gpu-box --concurrency 4 --stack production
      $ cascade worker --pool gpu-box --workflows my_flows --url https://api.example.com
      $ cascade worker --pool gpu-box --drain 5m --json | jq 'select(.event == "ended")'
    """
    from cascade_flow.remote.dispatcher import Dispatcher  # noqa: PLC0415  (half a second that --help needn't take)

    drain_s = inputs.read_seconds(drain, "--drain")
    with target.client() as client:
        address = None if target.is_local else client.url
        place = {"url": address, "region": client.region, "profile": target.elsewhere and target.elsewhere.profile}
        wishes = _wishes(workflows, pool=pool, concurrency=concurrency, drain_s=drain_s, **place)
        Dispatcher(client, wishes, _teller(target)).run()


def _wishes(package: str | None, **wishes: Any) -> Wishes:
    from cascade_flow.local import Project, find_root  # noqa: PLC0415
    from cascade_flow.remote.dispatcher import Wishes  # noqa: PLC0415

    here = Path.cwd()
    try:
        project = Project(find_root(here))
    except ConfigurationError:
        if package is None:
            raise ConfigurationError("nothing says whose steps to run: name your package with --workflows") from None
        return Wishes(workflows=package, path=(str(here),), **wishes)
    path = (str(project.workflows_dir), str(here))
    return Wishes(workflows=package or project.workflows_package, path=path, **wishes)


def _teller(target: Target) -> Callable[[Told], None]:
    def told(event: Told) -> None:
        if target.as_json:
            target.screen.record({"timestampUs": clock.now_us(), **event})
        elif lines := _lines(event):
            now = (formatting.time_of_day(clock.now_us()), "dim")
            target.screen.show(*(Text.assemble(now, "  ", line) for line in lines))

    return told


def _lines(event: Told) -> list[Text]:
    show = _SHOWN.get(event["event"])
    return [] if show is None else show(event)


def _ready(event: Told) -> list[Text]:
    pool, known = event["pool"], event["poolsDeclared"]
    whose = f"steps of pool {pool}" if pool else "steps of no pool"
    workflows = formatting.count(event["workflows"], "workflow")
    lines = [Text(f"waits for {whose}: {formatting.count(len(event['slots']), 'slot')}, {workflows}")]
    if pool and pool not in known:
        others = f"they name {', '.join(map(shlex.quote, known))}" if known else "they name none"
        lines.append(Text(f"no step of these workflows is for pool {pool} ({others}): waits all the same", "yellow"))
    return lines


def _ended(event: Told) -> list[Text]:
    sign, style = _SIGNS.get(event["status"], ("·", "dim"))
    error = event.get("error")
    again = "  (will be tried again)" if error and event["status"] == "scheduled" else ""
    cause = f"  {error.get('name') or 'error'}: {error['message']}".split("\n")[0] if error else ""
    took = formatting.duration(event["durationUs"])
    return [Text.assemble((f"{sign} ", style), _place(event), f"  {took}", (f"{cause}{again}", "dim"))]


def _lost(event: Told) -> list[Text]:
    return [Text.assemble(("✗ ", "yellow"), _place(event), f"  {event['reason']}")]


def _place(event: Told) -> str:
    attempt = "" if event["attemptNumber"] == 1 else f" (attempt {event['attemptNumber']})"
    return f"{event['stepId']}{attempt}  {event['runId']}"


def _said(words: str, style: str = "") -> Callable[[Told], list[Text]]:
    return lambda event: [Text(words.format(**event), style)]


_SIGNS = {"completed": ("✓", "green"), "failed": ("✗", "red"), "scheduled": ("↻", "yellow"), "skipped": ("-", "dim")}
_SHOWN: Mapping[str, Callable[[Told], list[Text]]] = {
    "ready": _ready,
    "ended": _ended,
    "lost": _lost,
    "crashed": _lost,
    "untold": _lost,
    "away": _said("the API can't be reached, and is asked again: {reason}", "yellow"),
    "back": _said("the API answers again", "green"),
    "unable": _said("{reason}; what runs is finished first", "red"),
    "draining": _said("ends when what runs is done ({steps} running); once more, and it is given back"),
    "giving back": _said("gives back what runs ({steps})", "yellow"),
}
"""What is shown of each event; what begins is not, since it will end."""
