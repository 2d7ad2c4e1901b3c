"""An event from outside: what becomes of it when somebody looks (protocol.md §13). Pure.

Its branch is a join that waits for the outside too. What it tells when that has spoken is what any step tells: that it
was scheduled, begun and completed, all in one commit; the worker is the way by which the outside came.
"""

from __future__ import annotations

from cascade_flow.engine.commands import Complete, Fail, SkipStep
from cascade_flow.engine.decide import judged
from cascade_flow.engine.event_writer import EventWriter
from cascade_flow.engine.state import Branch, Commit, Facts, Patience, Run, Signal
from cascade_flow.model.events import StepError, StepScheduled, StepStarted
from cascade_flow.model.workflows import EventDefinition
from cascade_flow.records import replace


def looked_at(facts: Facts, event: Branch, ready: Branch, *, now_us: int) -> Commit | None:
    """What is to be written of an event all of whose dependencies are over; None where it only waits.

    `ready` is the event's branch as it may go on: in the run's attempt, later than what it depends on.
    """
    ready = replace(ready, due_us=now_us + facts.timing.grace_us, patience=None)
    writer = EventWriter.of(facts, ready, now_us=now_us)
    if event.signal is not None:
        commit = _completed(facts, ready, event.signal, writer)
    elif _is_over(event.patience, facts, now_us):
        commit = _timed_out(facts, ready, writer)
    else:
        return _noted(facts, event, now_us)
    return replace(commit, before=event, checks_run=True)


def text_of(signal: Signal) -> str:
    """The payload as JSON text; one that was put aside stands for itself by its place until somebody reads it."""
    return signal.place or signal.text or "null"


def next_look_us(run: Run, event: Branch, *, is_full: bool) -> int:
    """When somebody must look again at an event that only waits: soon (0) where its counter is full, since then
    somebody may stand between raise and commit; else whoever changes anything brings the look forward.
    """
    if run.status == "pending":
        return run.available_at_us
    if run.stop is not None:
        return run.deadline_us
    if event.patience is not None and event.patience.run_attempt == run.run_attempt:
        return event.patience.until_us
    return 0 if is_full else run.deadline_us


def _completed(facts: Facts, ready: Branch, signal: Signal, writer: EventWriter) -> Commit:
    _schedule(facts, ready, writer)
    writer.write(
        StepStarted,
        step_id=ready.step,
        worker_id=f"event:{signal.via}",
        dependencies=list(facts.graph.step(ready.step).dependencies),
        attempt_number=ready.attempt,
    )
    commit = judged(facts, ready, Complete(text_of(signal), duration_us=0), writer)
    return replace(commit, after=replace(commit.after, signal=signal.spent))


def _timed_out(facts: Facts, ready: Branch, writer: EventWriter) -> Commit:
    declared = _declared(facts, ready)
    said = f"nobody has sent {ready.step!r} in time"
    _schedule(facts, ready, writer)
    waited_us = declared.timeout_us or 0
    if declared.on_timeout == "skip":
        return judged(facts, ready, SkipStep(said, waited_us), writer)
    error = StepError(name="EventTimeout", message=said)
    return judged(facts, ready, Fail(error, "timeout", waited_us, retryable=False), writer)


def _noted(facts: Facts, event: Branch, now_us: int) -> Commit | None:
    """The timeout counts from the first look, in this attempt of the run, that finds all dependencies over."""
    timeout_us = _declared(facts, event).timeout_us
    if timeout_us is None:
        waits = replace(event, patience=None, due_us=facts.deadline_us)
    elif event.patience is not None and event.patience.run_attempt == facts.run_attempt:
        return None
    else:
        patience = Patience(now_us + timeout_us, facts.run_attempt)
        waits = replace(event, patience=patience, due_us=patience.until_us)
    return None if waits == event else Commit(event, waits)


def _is_over(patience: Patience | None, facts: Facts, now_us: int) -> bool:
    return patience is not None and patience.run_attempt == facts.run_attempt and patience.until_us <= now_us


def _schedule(facts: Facts, ready: Branch, writer: EventWriter) -> None:
    first = "dependency-satisfied" if facts.graph.step(ready.step).dependencies else "initial"
    writer.write(
        StepScheduled,
        step_id=ready.step,
        available_at_us=writer.now_us,
        reason="retry" if ready.attempt > 1 else first,
        attempt_number=ready.attempt,
        priority=ready.priority,
    )


def _declared(facts: Facts, event: Branch) -> EventDefinition:
    declared = facts.graph.step(event.name).event
    assert declared is not None, f"{event.name} is no event"
    return declared
