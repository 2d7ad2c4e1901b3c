"""Stops the children of a step, each as a run, for their parent's reason (protocol.md §14)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from cascade_flow import clock
from cascade_flow.dynamodb.changes import RunRefused
from cascade_flow.dynamodb.family_ledger import FamilyLedger
from cascade_flow.engine.children import numbers_in
from cascade_flow.engine.state import ENDED, Branch, Facts, Run, Stop
from cascade_flow.model.events import StepError
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.stops import Stops


def stop_children(runtime: Runtime, facts: Facts, parent: Branch, stop: Stop) -> bool:
    """Stop those of a step's children that go on; answers whether all have ended.

    The step is halted, or has failed: so there are no others, and there will be none in this attempt of the run.
    """
    assert parent.family is not None, f"{parent.step} has no children"
    children = FamilyLedger(runtime.ledger.table).children(facts, parent.step, numbers_in(parent.family.out))
    ended = [_stopped(runtime, child, _for_child(stop, facts.run_id)) for child in children.values()]
    return all(ended)


def _stopped(runtime: Runtime, child: Run, stop: Stop) -> bool:
    """Whether a child has ended, as it must; one that goes on in a later attempt is none of this stop's business."""
    if child.status in ENDED or child.run_attempt > stop.run_attempt:
        return True
    if child.stop is None or (child.stop.kind != stop.kind and stop.kind == "cancelled"):
        with suppress(RunRefused):  # it has moved: what it is now is read again
            runtime.run_ledger.intend(child, stop, due_us=clock.now_us() + runtime.timing.grace_us)
    now = Stops(runtime, from_above=True).carry_on(child.run_id)
    return now.status in ENDED


def _for_child(stop: Stop, parent: str) -> Stop:
    error = StepError(name="ParentStopped", message=f"its parent, run {parent}, is being stopped")
    return replace(stop, step=None, error=None if stop.kind == "cancelled" else error)
