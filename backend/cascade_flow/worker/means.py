"""What a worker surrounds an attempt with. A test's engine brings its own, which leave the process as it is."""

from __future__ import annotations

from collections.abc import Callable

from cascade_flow.authoring import Step
from cascade_flow.model.events import ResourceSnapshot
from cascade_flow.model.workflows import ChildrenDefinition
from cascade_flow.operations.steps import HeldAttempt
from cascade_flow.worker.capture import Capture, Sink
from cascade_flow.worker.heartbeat import Beat, Heartbeat
from cascade_flow.worker.interrupt import Interrupt
from cascade_flow.worker.resources import Meter


class Means:
    """Those of a worker that has its process to itself. Each is asked once an attempt, `step` first."""

    def step(self, step: Step, held: HeldAttempt) -> Step:
        """The step whose code is run."""
        return step

    def children(self, held: HeldAttempt) -> ChildrenDefinition | None:
        """The runs that do the step's work; None where its own code does."""
        return held.facts.graph.step(held.branch.step).children

    def interrupt(self) -> Interrupt:
        return Interrupt()

    def meter(self) -> Meter:
        return Meter()

    def capture(self, sink: Sink, *, after_us: int, on_exit: Callable[[str], None]) -> Capture:
        return Capture(sink, after_us=after_us, on_exit=on_exit)

    def heartbeat(
        self,
        beat: Beat,
        *,
        every_ms: int,
        snapshot: Callable[[], ResourceSnapshot],
        on_lost: Callable[[], None],
        stop_after_ms: int,
    ) -> Heartbeat:
        return Heartbeat(beat, every_ms=every_ms, snapshot=snapshot, on_lost=on_lost, stop_after_ms=stop_after_ms)
