"""What is told to who speaks for an attempt that is not, or no longer, the branch's."""

from __future__ import annotations

from cascade_flow.engine.state import Branch
from cascade_flow.errors import StaleAttemptError


def stale(held: Branch, now: Branch | None) -> StaleAttemptError:
    """What to tell a worker that holds an attempt no more: what is true now."""
    attempt = f"attempt {held.attempt} of step {held.step!r} is no longer held by {held.worker or 'this worker'}"
    if now is None:
        return StaleAttemptError(f"{attempt}: the step was never scheduled")
    state = f"the branch is {now.status} at step {now.step!r}, attempt {now.attempt}"
    halted = "; its run is being stopped or has ended" if now.halt else ""
    return StaleAttemptError(f"{attempt}: {state}{halted}. Stop the work, nothing of it was stored", now=now.status)


def not_yet(step_id: str) -> StaleAttemptError:
    """What to tell who speaks of a step before its time: there is no attempt whose fence could hold the words."""
    return StaleAttemptError(
        f"step {step_id!r} is not scheduled yet: what it depends on isn't over, so nothing was stored. Say it when "
        "list_scheduled_steps shows the step, or end the run with cancel_run",
        now="pending",
    )
