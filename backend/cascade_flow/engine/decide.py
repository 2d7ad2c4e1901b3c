"""What a command makes of a branch: `decide(facts, branch, command, now) → Commit`. Pure.

A decision names the events, the branch's next state and what else must change at the same instant. It is written
under the branch's fence or not at all, so nothing here has to ask whether it still holds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from cascade_flow.engine.advance import advance, skip_origin
from cascade_flow.engine.commands import (
    Cascade,
    Command,
    Complete,
    Fail,
    KeepCheckpoint,
    Postpone,
    Reclaim,
    Revive,
    SkipStep,
)
from cascade_flow.engine.event_writer import EventWriter
from cascade_flow.engine.state import Branch, Commit, Facts, Stop
from cascade_flow.engine.waits import again_us, asking_since_us, line_of, look_us
from cascade_flow.fingerprints import compute_error_fingerprints
from cascade_flow.graph import is_event
from cascade_flow.model.events import (
    LogEntry,
    StepCheckpoint,
    StepCheckpointFailed,
    StepCompleted,
    StepError,
    StepFailed,
    StepReclaimed,
    StepRetrying,
    StepScheduled,
    StepSkipped,
)
from cascade_flow.records import replace
from cascade_flow.retry import attempts_allowed, delay_ms, may_retry, place_of

GAVE_UP = "GaveUp"
"""The error of a step that has asked for as long as it may."""


def decide(facts: Facts, branch: Branch, command: Command, *, now_us: int, told_us: int = 0) -> Commit:
    """What this command makes of this branch, at this time, after log lines up to `told_us`."""
    return judged(facts, branch, command, EventWriter.of(facts, branch, now_us=now_us, told_us=told_us))


def judged(facts: Facts, branch: Branch, command: Command, writer: EventWriter) -> Commit:
    """The same, after what the writer has written already."""
    if (decision := _DECISIONS.get(type(command))) is None:
        return command.judged(facts, branch, writer)  # type: ignore[union-attr]
    return decision(facts, branch, command, writer)


def _complete(facts: Facts, branch: Branch, command: Complete, writer: EventWriter) -> Commit:
    writer.take_in(branch)
    writer.write(
        StepCompleted,
        step_id=branch.step,
        output=command.output,
        duration_us=command.duration_us,
        attempt_number=branch.attempt,
        export_output=facts.graph.step(branch.step).export_output,
        resource_usage=command.resource_usage,
    )
    return advance(facts, branch, writer, claimant=command.claimant)


def _skip(facts: Facts, branch: Branch, command: SkipStep, writer: EventWriter) -> Commit:
    writer.take_in(branch)
    writer.write(
        StepSkipped,
        step_id=branch.step,
        skip_type="primary",
        reason=command.reason,
        metadata=command.metadata,
        duration_us=command.duration_us,
        attempt_number=branch.attempt,
    )
    skipped = replace(branch, skipped={**branch.skipped, branch.step: branch.step})
    if branch.status == "scheduled":  # nobody has claimed it: the due index may have it as late as a retry was due
        skipped = replace(skipped, due_us=writer.now_us + facts.timing.grace_us)
    return replace(advance(facts, skipped, writer, claimant=command.claimant), before=branch)


def _cascade(facts: Facts, branch: Branch, command: Cascade, writer: EventWriter) -> Commit:
    skip_origin(branch.step, branch.skipped[branch.step], writer)
    return advance(facts, branch, writer, claimant=None)


def _fail(facts: Facts, branch: Branch, command: Fail, writer: EventWriter) -> Commit:
    writer.take_in(branch)
    tiers = facts.graph.step(branch.step).retry
    if command.retryable and _goes_on(facts, branch) and may_retry(tiers, branch.tried):
        return _retry(facts, branch, command, writer)
    return _give_up(facts, branch, command, writer)


def _goes_on(facts: Facts, branch: Branch) -> bool:
    return branch.halt is None and not facts.stopping


def _retry(facts: Facts, branch: Branch, command: Fail, writer: EventWriter) -> Commit:
    tiers = facts.graph.step(branch.step).retry
    place = place_of(tiers, branch.tried)
    delay = delay_ms(tiers, branch.tried, chance=command.chance)
    due_us = writer.now_us + delay * 1000
    _write_failure(branch, command, writer, terminal=False, reason=command.reason, next_retry_at_us=due_us, place=place)
    writer.write(
        StepRetrying,
        step_id=branch.step,
        attempt_number=branch.attempt,
        next_attempt=branch.attempt + 1,
        error=command.error,
        max_retries=attempts_allowed(tiers) - 1,
        total_policies=len(tiers),
        policy_index=place.policy_index,
    )
    return schedule_again(facts, branch, writer, available_at_us=due_us, retry_delay_ms=delay, logged=True)


def _give_up(facts: Facts, branch: Branch, command: Fail, writer: EventWriter) -> Commit:
    spent = command.reason == "execution-error" and command.retryable and branch.tried > 1
    reason = "exhausted-retries" if spent else command.reason
    place = place_of(facts.graph.step(branch.step).retry, branch.tried)
    _write_failure(branch, command, writer, terminal=True, reason=reason, next_retry_at_us=None, place=place)
    stop = Stop("failed", facts.run_attempt, step=branch.step, error=command.error, reason=reason)
    failed = replace(branch.released(last_us=writer.last_us), status="failed", due_us=None)
    return Commit(branch, failed, tuple(writer.events), logged=True, stop=stop)


def _write_failure(
    branch: Branch, command: Fail, writer: EventWriter, *, terminal: bool, reason: str, place: Any, **due: Any
) -> None:
    writer.write(
        StepFailed,
        step_id=branch.step,
        error=command.error,
        error_fingerprints=compute_error_fingerprints(command.error),
        duration_us=command.duration_us,
        attempt_number=branch.attempt,
        terminal=terminal,
        failure_reason=reason,
        policy_index=place.policy_index,
        attempt_in_policy=place.attempt_in_policy,
        resource_usage=command.resource_usage,
        **due,
    )


def _postpone(facts: Facts, branch: Branch, command: Postpone, writer: EventWriter) -> Commit:
    """No attempt of the retry policy, and the checkpoints stay. Where the run is being stopped it waits for that."""
    writer.take_in(branch)
    due_us = again_us(facts.graph.step(branch.step), branch, command, writer.now_us)
    if due_us is None:
        return _give_up(facts, branch, _impatience(facts, branch, command, writer.now_us), writer)
    said = line_of(command.reason)
    writer.write(LogEntry, step_id=branch.step, stream="stdout", message=said, attempt_number=branch.attempt)
    uncounted = replace(branch.untried, later_since_us=asking_since_us(branch))
    delay_ms = (due_us - writer.now_us) // 1_000
    again = schedule_again(facts, uncounted, writer, available_at_us=due_us, retry_delay_ms=delay_ms, logged=False)
    return replace(again, before=branch, after=replace(again.after, laters=(branch.laters or 0) + 1))


def _impatience(facts: Facts, branch: Branch, command: Postpone, now_us: int) -> Fail:
    waited = timedelta(seconds=(now_us - asking_since_us(branch)) // 1_000_000)
    message = f"step {branch.step!r} was not ready after {waited}: {command.reason or 'it did not say why'}"
    error = StepError(name=GAVE_UP, message=message)
    return Fail(error, "timeout", command.duration_us, retryable=False)


def _reclaim(facts: Facts, branch: Branch, command: Reclaim, writer: EventWriter) -> Commit:
    writer.take_in(branch)
    seen_us = writer.last_us
    writer.write(
        StepReclaimed,
        step_id=branch.step,
        original_worker_id=branch.worker,
        reclaimed_by=command.reclaimed_by,
        last_heartbeat_us=seen_us,
        stale_threshold_us=command.threshold_us,
        stale_duration_us=max(0, writer.now_us - seen_us),
        attempt_number=branch.attempt,
    )
    left = branch.untried if command.released else branch
    if _goes_on(facts, branch) and may_retry(facts.graph.step(branch.step).retry, left.tried):
        again = schedule_again(facts, left, writer, available_at_us=writer.now_us, retry_delay_ms=0, logged=False)
        return replace(again, before=branch)
    return _give_up(facts, branch, _crash(facts, branch, writer.now_us - seen_us), writer)


def last_seen_us(branch: Branch) -> int:
    """When a running branch's worker was last heard of."""
    return max(us for us in (branch.heartbeat_us, branch.started_at_us, branch.last_us) if us is not None)


def _crash(facts: Facts, branch: Branch, duration_us: int) -> Fail:
    more = may_retry(facts.graph.step(branch.step).retry, branch.tried)
    last = "and its run is being stopped" if more else "the last that the step's retry policy allows"
    message = f"worker {branch.worker} fell silent in attempt {branch.attempt}, {last}"
    return Fail(StepError(name="WorkerCrash", message=message), "worker-crash", max(0, duration_us))


def schedule_again(
    facts: Facts, branch: Branch, writer: EventWriter, *, available_at_us: int, retry_delay_ms: int, logged: bool
) -> Commit:
    """The step's next attempt."""
    attempt = branch.attempt + 1
    place = place_of(facts.graph.step(branch.step).retry, branch.tried + 1)
    writer.write(
        StepScheduled,
        step_id=branch.step,
        available_at_us=available_at_us,
        reason="retry",
        attempt_number=attempt,
        retry_delay_ms=retry_delay_ms,
        priority=branch.priority,
        policy_index=place.policy_index,
        attempt_in_policy=place.attempt_in_policy,
    )
    again = replace(
        branch.released(last_us=writer.last_us), status="scheduled", attempt=attempt, available_at_us=available_at_us
    )
    return Commit(branch, replace(again, laters=None), tuple(writer.events), logged=logged)


def _keep_checkpoint(facts: Facts, branch: Branch, command: KeepCheckpoint, writer: EventWriter) -> Commit:
    told: dict[str, Any] = {
        "step_id": branch.step,
        "attempt_number": branch.attempt,
        "name": command.name,
        "sequence_number": command.sequence_number,
        "parent_checkpoint": command.parent,
    }
    writer.take_in(branch)
    if command.error is not None:
        writer.write(StepCheckpointFailed, error=command.error, **told)
    else:
        writer.write(StepCheckpoint, data=command.data, label=command.label, **told)
    taken_in = replace(branch, started_at_us=None, heartbeat_us=None, snapshot=None, last_us=writer.last_us)
    return Commit(branch, taken_in, tuple(writer.events))


def _revive(facts: Facts, branch: Branch, command: Revive, writer: EventWriter) -> Commit:
    """What was halted is let go, what failed or lost its worker is scheduled again, what was parked goes on.

    Whatever comes of it is later than the start of the run's attempt in which it goes on.
    """
    writer.take_in(branch)
    writer.last_us = max(writer.last_us, facts.started_at_us)
    due_us = writer.now_us + facts.timing.grace_us
    free = replace(branch, halt=None, run_attempt=facts.run_attempt, due_us=due_us)
    if branch.status == "parked":
        commit = advance(facts, free, writer, claimant=None)
    elif branch.status == "failed" and is_event(facts.graph, branch.step):
        again = replace(free, status="open", attempt=branch.attempt + 1, patience=None)
        commit = Commit(branch, replace(again, last_us=writer.last_us))
    elif branch.family is not None and branch.status in ("failed", "waiting"):
        from cascade_flow.engine.families import revived  # noqa: PLC0415  (few workflows have children)

        commit = Commit(branch, revived(facts, free, writer), tuple(writer.events))
    elif branch.status in ("failed", "running"):
        again = replace(free, attempts_before=branch.attempt, later_since_us=None)
        commit = schedule_again(facts, again, writer, available_at_us=writer.now_us, retry_delay_ms=0, logged=False)
    else:
        commit = Commit(branch, _let_go(facts, replace(free, last_us=writer.last_us)))
    return replace(commit, before=branch, checks_run=True)


def _let_go(facts: Facts, branch: Branch) -> Branch:
    """A branch that was halted; one that waits for its time needs no look before, unless it owes something.

    Who isn't ready is given the same patience again.
    """
    branch = replace(branch, laters=None, later_since_us=None)
    if branch.status != "scheduled" or branch.owed is not None:
        return branch
    return replace(branch, due_us=max(branch.due_us or 0, look_us(branch, facts.timing)))


_DECISIONS: dict[type[Command], Callable[[Facts, Branch, Any, EventWriter], Commit]] = {
    Complete: _complete,
    Fail: _fail,
    SkipStep: _skip,
    Postpone: _postpone,
    Cascade: _cascade,
    Reclaim: _reclaim,
    KeepCheckpoint: _keep_checkpoint,
    Revive: _revive,
}
