"""How a run is stopped: which branches must be halted, when the terminal event may be written, and which it is.

The rules are protocol.md §7. A step that runs while another one's failure stops the run may finish: its branch gets
the halt `park` (it may report, it may not go on). Whatever else is live gets the halt `stop`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from cascade_flow.engine.event_writer import EventWriter, rendered
from cascade_flow.engine.joins import completed_steps
from cascade_flow.engine.state import Branch, Facts, Halt, Run, Stop
from cascade_flow.model.events import StepError, WorkflowCancelled, WorkflowEvent, WorkflowFailed
from cascade_flow.records import dataclass


@dataclass(frozen=True)
class Halting:
    """The halts to write now, and the branches that are still to be waited for after them."""

    halts: tuple[tuple[Branch, Halt], ...]
    awaited: tuple[Branch, ...]


def halting(run: Run, stop: Stop, branches: Iterable[Branch], *, now_us: int, parents: Container[str] = ()) -> Halting:
    """What must be halted before the run can end; past the run's deadline nothing is waited for.

    What goes on in a later attempt of the run is none of this stop's business. `parents` are the steps that hand their
    work out: for these nobody waits.
    """
    live = [branch for branch in branches if branch.live and branch.run_attempt <= stop.run_attempt]
    waits = stop.kind == "failed" and now_us < run.deadline_us
    spared = [branch for branch in live if waits and _may_finish(branch, now_us) and not _hands_out(branch, parents)]
    halts = [(branch, _halt(branch in spared)) for branch in live if branch not in spared or branch.halt is None]
    return Halting(tuple(halts), tuple(spared))


def terminal_event(facts: Facts, run: Run, stop: Stop, branches: Iterable[Branch], *, now_us: int) -> WorkflowEvent:
    """The event that ends a stopped run, later than everything that its branches have to tell."""
    known = list(branches)
    writer = EventWriter.of_run(facts, now_us=now_us, after_us=max([run.last_us, *(_last_us(facts, b) for b in known)]))
    counted = {
        "workflow_attempt_number": run.run_attempt,
        "duration_us": max(0, writer.now_us - (run.started_at_us or writer.now_us)),
        "completed_steps": completed_steps(facts.graph, known),
    }
    if stop.kind == "cancelled":
        return writer.write(WorkflowCancelled, reason=stop.reason, **counted)
    reason = {"timeout": "timeout"}.get(stop.kind, "worker-crash" if stop.reason == "worker-crash" else "step-failed")
    error = stop.error or StepError(name="RunTimeout", message="the run did not end before its deadline")
    return writer.write(WorkflowFailed, error=error, failed_step=stop.step, failure_reason=reason, **counted)


def _may_finish(branch: Branch, now_us: int) -> bool:
    """Only who runs has a lease."""
    return branch.lease_us is not None and branch.lease_us > now_us and branch.owed is None


def _hands_out(branch: Branch, parents: Container[str]) -> bool:
    """Whether nothing of a step is done yet, nor should be."""
    return branch.step in parents and branch.family is None


def _halt(spared: bool) -> Halt:
    return "park" if spared else "stop"


def _last_us(facts: Facts, branch: Branch) -> int:
    return max([branch.last_us, *(event.timestamp_us for event in rendered(facts, branch))])
