"""Follows a run to its end: a tree that lives where a person looks, a line for each change where not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from cascade_flow import clock
from cascade_flow.cli import families, formatting, styles
from cascade_flow.cli.progress import picture
from cascade_flow.cli.views import Phase, RunView, StepView
from cascade_flow.errors import TransientError

if TYPE_CHECKING:
    from cascade_flow.client import Client

_FRAMES_PER_SECOND = 10
_PATIENCE_US = 60_000_000
_PACES_US = [(10_000_000, 250_000), (120_000_000, 1_000_000)]
_SLOWEST_US = 2_000_000
_SILENT = (Phase.WAITING, Phase.NOT_RUN)


def watched(client: Client, run_id: str, console: Console) -> RunView:
    """The run as it ended, shown until then. Raises what the client raises; an outage of a minute is sat out."""
    stage = _Stage(console)
    with stage.open():
        for view in moments(client, run_id):
            stage.show(view)
    return view


def moments(client: Client, run_id: str) -> Iterator[RunView]:
    """The run, again and again, until it is over."""
    began_us = reached_us = clock.now_us()
    while True:
        try:
            view = RunView(families.looked_into(client, client.run(run_id, payloads=False)), clock.now_us())
            reached_us = view.now_us
            if view.is_over:
                yield RunView(families.looked_into(client, client.run(run_id)), clock.now_us())
                return
            yield view
        except TransientError:
            if clock.now_us() - reached_us > _PATIENCE_US:
                raise
        clock.pause_us(pace_us(clock.now_us() - began_us))


def pace_us(elapsed_us: int) -> int:
    """How long to wait between two looks: the longer a run takes, the less often anybody needs to look."""
    return next((pace for until_us, pace in _PACES_US if elapsed_us < until_us), _SLOWEST_US)


class _Stage:
    """Where a run is shown; it chooses the way."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal and not console.is_dumb_terminal
        self._view: RunView | None = None

    def open(self) -> AbstractContextManager[object]:
        return self._animation() if self._live else nullcontext()

    def show(self, view: RunView) -> None:
        before, self._view = self._view, view
        if not self._live:
            for line in changes(before, view):
                self._console.print(Text(line), soft_wrap=True)

    @contextmanager
    def _animation(self) -> Iterator[None]:
        try:
            with Live(
                get_renderable=self._picture,
                console=self._console,
                refresh_per_second=_FRAMES_PER_SECOND,
                transient=True,
            ):
                yield
        finally:
            if self._view is not None:
                self._console.print(self._picture(moving=False))

    def _picture(self, *, moving: bool = True) -> Text:
        if self._view is None:
            return Text(f"{styles.spinner(clock.now_us())} looking for the run", "dim")
        now = replace(self._view, now_us=clock.now_us()) if not self._view.is_over else self._view
        size = self._console.size
        return picture(now, width=size.width, height=size.height - 1, moving=moving)


def changes(before: RunView | None, view: RunView) -> Iterator[str]:
    """What is new since the last look, a line each, in declared order."""
    known = {step.id: _mark(step) for step in before.steps} if before else {}
    time = formatting.time_of_day(view.now_us)
    if before is None or (before.status != view.status and not view.is_over):
        yield f"{time}  run {view.id} of {view.workflow}: {view.status}"
    if (said := styles.failing(view)) and (before is None or said != styles.failing(before)):
        yield f"{time}  run {view.id} of {view.workflow}: {said}"
    for step in view.steps:
        if known.get(step.id) != _mark(step) and (step.phase not in _SILENT):
            yield f"{time}  {step.id}: {_told(step)}"
    if view.is_over:
        took = "" if view.took_us is None else f" in {formatting.duration(view.took_us)}"
        yield f"{time}  run {view.id} of {view.workflow}: {view.status}{took}"


def _mark(step: StepView) -> tuple[Phase, int, int]:
    """What of a step is worth a line when it changes: of a map, each tenth of its items too."""
    return step.phase, step.attempt, families.tenths(step)


def _told(step: StepView) -> str:
    if step.phase is Phase.NOT_READY:
        return f"{step.phase.value}: {styles.state(step)}"
    said = ": ".join(part for part in (styles.state(step), styles.trouble(step)) if part)
    if step.phase in (Phase.SKIPPED, Phase.STOPPED):
        return said
    took = (
        f" after {formatting.duration(step.took_us)}"
        if step.phase is not Phase.RUNNING and step.took_us is not None
        else ""
    )
    is_said = step.phase is not Phase.QUEUED or styles.waits_for(step)
    return f"{step.phase.value}{took}" + (f" ({said})" if said and is_said else "")
