"""Stops the children of a step, each as a run, for their parent's reason (protocol.md §14)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from cascade_flow import clock
from cascade_flow.dynamodb.changes import RunRefused
from cascade_flow.dynamodb.family_ledger import FamilyLedger
from cascade_flow.engine.children import numbers_in
from cascade_flow.engine.families import family_of
from cascade_flow.engine.state import ENDED, Branch, Facts, Run, Stop, is_urgent
from cascade_flow.model.events import StepError
from cascade_flow.operations.runtime import Runtime
from cascade_flow.records import replace
from cascade_flow.wake import Wake

CarryOn = Callable[[str], Run]
"""Carries out the intention that is written on a run."""


def stop_children(
    runtime: Runtime, facts: Facts, parent: Branch, stop: Stop, *, carry_on: CarryOn, until_us: int, again: bool
) -> int | None:
    """Stop those of a step's children that go on; answers when the last of all has ended, None while one goes on.

    The step is halted, or has failed: so there are no others, and there will be none in this attempt of the run. Who
    was told before is told `again` after all others, since who told it may be dead; or is left to whoever ends its
    step, and to the sweep. When time is over, who is woken tells those that weren't told yet.
    """
    numbers = numbers_in(family_of(parent).out)
    children = FamilyLedger(runtime.ledger.table).children(facts, parent.step, numbers).values()
    meant = _for_child(stop, facts.run_id)
    untold = [child for child in children if child.status not in ENDED and not _is_told(child, meant)]
    stopping = [child for child in children if child.status not in ENDED and _is_told(child, meant)]
    told = _told_in_time(runtime, [*untold, *stopping] if again else untold, meant, carry_on, until_us)
    if len(told) < len(untold):
        runtime.queue.send([Wake(facts.run_id, urgent=is_urgent(facts.priority))])
    now = [told.get(child.run_id, child) for child in children]
    return max((child.last_us for child in now), default=0) if all(child.status in ENDED for child in now) else None


def _is_told(child: Run, stop: Stop) -> bool:
    """Whether a child is being stopped already: only who cancels has more to say, since then nothing is waited for."""
    return child.stop is not None and (child.stop.kind == stop.kind or stop.kind != "cancelled")


def _told_in_time(
    runtime: Runtime, wanted: Sequence[Run], stop: Stop, carry_on: CarryOn, until_us: int
) -> dict[str, Run]:
    """The children that were told, one at least, each as it is then: ended, if it may."""
    told: dict[str, Run] = {}
    for child in wanted:
        told[child.run_id] = _tell(runtime, child, stop, carry_on)
        if clock.now_us() >= until_us:
            break
    return told


def _tell(runtime: Runtime, child: Run, stop: Stop, carry_on: CarryOn) -> Run:
    """One that goes on in a later attempt is none of this stop's business."""
    if not _is_told(child, stop):
        with suppress(RunRefused):  # it has moved: what it is now is read again
            runtime.run_ledger.intend(child, stop, due_us=clock.now_us() + runtime.timing.grace_us)
    return carry_on(child.run_id)


def _for_child(stop: Stop, parent: str) -> Stop:
    error = StepError(name="ParentStopped", message=f"its parent, run {parent}, is being stopped")
    return replace(stop, step=None, error=None if stop.kind == "cancelled" else error)
