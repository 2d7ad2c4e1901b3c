"""How a run begins and how it ends: the events, the run's next state, the branches it forks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from cascade_flow.engine.advance import birth
from cascade_flow.engine.event_writer import EventWriter
from cascade_flow.engine.state import Birth, Facts, Run
from cascade_flow.model.events import (
    Event,
    RunSubmitted,
    WorkflowCompleted,
    WorkflowInputValidation,
    WorkflowRetryStarted,
    WorkflowStarted,
)
from cascade_flow.records import dataclass, replace
from cascade_flow.serialization import safe_serialize

ROOTS_AT_ONCE = 22
"""Roots that the starting transaction puts: with the run and its idempotency key it stays within 25 items."""


@dataclass(frozen=True)
class Submission:
    """A checked submission: what RunSubmitted will say."""

    version_id: str
    available_at_us: int
    has_input_schema: bool
    input: str | None = None
    priority: int = 0
    timeout_us: int | None = None
    idempotency_key: str | None = None
    metadata: Mapping[str, Any] | None = None
    tags: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Opening:
    """A run to be written (new, or started), the events that do it and the branches of its first roots."""

    run: Run
    events: tuple[Event, ...]
    births: tuple[Birth, ...] = ()


def submit(facts: Facts, submission: Submission, *, now_us: int) -> Opening:
    """A new run; one that is due at once is started in the same breath, if it needs no place or has one."""
    writer = EventWriter.of_run(facts, now_us=now_us, after_us=0)
    run = new_run(facts, submission, writer)
    if submission.available_at_us > now_us or (facts.limit is not None and facts.place is None):
        return Opening(run, tuple(writer.events))
    started = start(
        facts, run, now_us=now_us, has_schema=submission.has_input_schema, has_input=submission.input is not None
    )
    return replace(started, events=(*writer.events, *started.events))


def new_run(facts: Facts, submission: Submission, writer: EventWriter) -> Run:
    """A run that waits for its time; RunSubmitted is in the writer."""
    submitted = writer.write(RunSubmitted, **_fields(submission))
    due_us = max(submission.available_at_us, submitted.timestamp_us)
    latest_us = due_us + (submission.timeout_us or facts.timing.timeout_us)
    return Run(
        run_id=facts.run_id,
        workflow_slug=facts.workflow_slug,
        version_id=submission.version_id,
        status="pending",
        created_us=submitted.timestamp_us,
        available_at_us=submission.available_at_us,
        deadline_us=latest_us if facts.up is None else facts.deadline_us,
        expires_s=facts.expires_s,
        priority=submission.priority,
        tags=submission.tags or (),
        run_attempt=facts.run_attempt,
        limit_keys=facts.limit_keys,
        limit=facts.limit,
        place=facts.place,
        up=facts.up,
        last_us=writer.last_us,
        due_us=due_us,
    )


def start(facts: Facts, run: Run, *, now_us: int, has_schema: bool, has_input: bool) -> Opening:
    """The run under way: its input was checked at the door, so the validation it records has succeeded."""
    writer = EventWriter.of_run(facts, now_us=now_us, after_us=run.last_us)
    started = write_start(writer, run, has_schema=has_schema, has_input=has_input)
    running = replace(run, status="running", started_at_us=started.timestamp_us, last_us=writer.last_us)
    births = tuple(islice(roots(facts, running, now_us=now_us), ROOTS_AT_ONCE))
    running = replace(running, owed=roots_left(facts, len(births)), due_us=_due_us(facts, running, len(births), now_us))
    return Opening(running, tuple(writer.events), births)


def write_start(writer: EventWriter, run: Run, *, has_schema: bool, has_input: bool) -> WorkflowStarted:
    """Write that the input is valid, and that the run has started."""
    attempt = run.run_attempt
    writer.write(WorkflowInputValidation, has_schema=has_schema, success=True, workflow_attempt_number=attempt)
    if attempt > 1:  # a child is born into its parent's attempt, which readers know by this word alone
        again: dict[str, Any] = {
            "workflow_attempt_number": attempt,
            "previous_attempt_number": attempt - 1,
            "retried_steps": [],
        }
        writer.write(WorkflowRetryStarted, reason="its parent is tried again", **again)
    return writer.write(
        WorkflowStarted,
        version_id=run.version_id,
        has_input_schema=has_schema,
        has_input=has_input,
        workflow_attempt_number=attempt,
    )


def started_again(facts: Facts, run: Run, retried: Sequence[str], reason: str | None, *, now_us: int) -> Opening:
    """An ended run in its next attempt, with as much time as it had at first, but well within its retention.

    One that was stopped before it ever started owes its roots.
    """
    writer = EventWriter.of_run(facts, now_us=now_us, after_us=run.last_us)
    submitted = run.tail[0]
    writer.write(
        WorkflowRetryStarted,
        workflow_attempt_number=facts.run_attempt,
        previous_attempt_number=run.run_attempt,
        retried_steps=list(retried),
        reason=reason,
    )
    started = writer.write(
        WorkflowStarted,
        version_id=run.version_id,
        has_input_schema=submitted["hasInputSchema"],
        has_input=submitted.get("input") is not None,
        workflow_attempt_number=facts.run_attempt,
    )
    usual_us = min(started.timestamp_us + _time_given(run), latest_end_us(facts, run))
    deadline_us = usual_us if facts.up is None else facts.deadline_us
    again = replace(run, status="running", run_attempt=facts.run_attempt, started_at_us=started.timestamp_us)
    again = replace(again, deadline_us=deadline_us, last_us=writer.last_us)
    again = replace(again, place=facts.place)
    again = replace(again, owed=0 if run.started_at_us is None else run.owed)
    return Opening(replace(again, reviving=True, due_us=now_us + facts.timing.grace_us), tuple(writer.events))


def latest_end_us(facts: Facts, run: Run) -> int:
    """When a run must be over at the latest: a ninetieth of its retention before what is stored of it expires."""
    return run.expires_s * 1_000_000 - facts.timing.retention_us // 90


def _time_given(run: Run) -> int:
    """How long the run's newest attempt might take: the first from when it was due, any other from its start."""
    if run.run_attempt > 1 and run.started_at_us is not None:
        return run.deadline_us - run.started_at_us
    return run.deadline_us - max(run.created_us, run.available_at_us)


def roots(facts: Facts, run: Run, *, now_us: int) -> Iterable[Birth]:
    """The branches that a run begins with, in order."""
    return (birth(facts, root, origin=None, now_us=now_us, after_us=run.last_us) for root in facts.graph.roots)


def roots_left(facts: Facts, made: int) -> int | None:
    """What to note as made while some roots are missing; None once all are there."""
    return made if made < len(facts.graph.roots) else None


def completed(facts: Facts, outputs: Mapping[str, Any], *, now_us: int, after_us: int) -> WorkflowCompleted:
    """The run's good end; `outputs` are those of the exported steps, as values.

    It is later than the start of the attempt that it ends, also where nothing was left to do in that.
    """
    writer = EventWriter.of_run(facts, now_us=now_us, after_us=max(after_us, facts.started_at_us))
    return writer.write(
        WorkflowCompleted,
        workflow_attempt_number=facts.run_attempt,
        output=safe_serialize(dict(outputs)),
        duration_us=max(0, writer.now_us - facts.started_at_us),
        total_steps=len(facts.graph.steps),
    )


def _due_us(facts: Facts, run: Run, made: int, now_us: int) -> int:
    """A run with roots still to make is looked at soon, any other at its deadline."""
    return run.deadline_us if roots_left(facts, made) is None else now_us + facts.timing.grace_us


def _fields(submission: Submission) -> dict[str, Any]:
    return {
        "version_id": submission.version_id,
        "available_at_us": submission.available_at_us,
        "priority": submission.priority,
        "input": submission.input,
        "has_input_schema": submission.has_input_schema,
        "timeout_us": submission.timeout_us,
        "idempotency_key": submission.idempotency_key,
        "metadata": submission.metadata,
        "tags": None if submission.tags is None else list(submission.tags),
    }
