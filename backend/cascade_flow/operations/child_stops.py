"""Stops the children of a step, each as a run, for their parent's reason (protocol.md §14)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from cascade_flow import clock
from cascade_flow.dynamodb.changes import RunRefused
from cascade_flow.dynamodb.family_ledger import FamilyLedger
from cascade_flow.engine.children import numbers_in
from cascade_flow.engine.families import family_of
from cascade_flow.engine.state import ENDED, Branch, Facts, Run, Stop
from cascade_flow.model.events import StepError
from cascade_flow.operations.runtime import Runtime
from cascade_flow.records import replace

CarryOn = Callable[[str], Run]
"""Carries out the intention that is written on a run."""


def stop_children(runtime: Runtime, facts: Facts, parent: Branch, stop: Stop, carry_on: CarryOn) -> int | None:
    """Stop those of a step's children that go on; answers when the last of all has ended, None while one goes on.

    The step is halted, or has failed: so there are no others, and there will be none in this attempt of the run.
    """
    numbers = numbers_in(family_of(parent).out)
    children = FamilyLedger(runtime.ledger.table).children(facts, parent.step, numbers).values()
    now = [_stopped(runtime, child, _for_child(stop, facts.run_id), carry_on) for child in children]
    return max((child.last_us for child in now), default=0) if all(child.status in ENDED for child in now) else None


def _stopped(runtime: Runtime, child: Run, stop: Stop, carry_on: CarryOn) -> Run:
    """A child that has ended, if it may: one that goes on in a later attempt is none of this stop's business."""
    if child.status in ENDED:
        return child
    if child.stop is None or (child.stop.kind != stop.kind and stop.kind == "cancelled"):
        with suppress(RunRefused):  # it has moved: what it is now is read again
            runtime.run_ledger.intend(child, stop, due_us=clock.now_us() + runtime.timing.grace_us)
    return carry_on(child.run_id)


def _for_child(stop: Stop, parent: str) -> Stop:
    error = StepError(name="ParentStopped", message=f"its parent, run {parent}, is being stopped")
    return replace(stop, step=None, error=None if stop.kind == "cancelled" else error)
