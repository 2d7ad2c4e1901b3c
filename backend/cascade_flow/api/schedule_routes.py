"""Schedules: questions about them, and commands of who looks after them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.names import document
from cascade_flow.api.resources import runtime
from cascade_flow.api.routes import route
from cascade_flow.api.schedule_shapes import FillIn, ListSchedules, ScheduleAddress
from cascade_flow.contract.schedules import schedules_of
from cascade_flow.errors import (
    ArgumentInvalidError,
    IdempotencyConflictError,
    InputInvalidError,
    ScheduleNotFoundError,
    WorkflowNotFoundError,
    WorkflowRetiredError,
)

if TYPE_CHECKING:
    from cascade_flow.api.replies import Submitted
    from cascade_flow.api.schedule_replies import FilledIn, Schedule, Schedules
    from cascade_flow.api.submission_shapes import Submission

_ANSWERS = {201: "The new run.", 200: "The run that was submitted before with this idempotency key."}
_OF_A_RUN = (ScheduleNotFoundError, WorkflowNotFoundError, WorkflowRetiredError, InputInvalidError)


@route("GET /schedules")
def list_schedules(query: ListSchedules) -> Answer[Schedules]:
    """List the schedules that workflows declare, by workflow and name, without their inputs."""
    found = schedules_of(runtime()).list(query.workflow)
    return ok({"schedules": [document(each, {}, without=["input"]) for each in found]})


@route("GET /workflows/{slug}/schedules/{name}", errors=[ScheduleNotFoundError])
def get_schedule(address: ScheduleAddress) -> Answer[Schedule]:
    """Read a schedule: its next times, whether it is paused, the newest run, what went wrong."""
    return ok(document(schedules_of(runtime()).get(address.slug, address.name), {}))


@route("POST /workflows/{slug}/schedules/{name}/pause", errors=[ScheduleNotFoundError])
def pause_schedule(address: ScheduleAddress) -> Answer[Schedule]:
    """Let no run begin by a schedule until it is resumed; one that was submitted for the coming minute does begin."""
    return ok(document(schedules_of(runtime()).pause(address.slug, address.name), {}))


@route("POST /workflows/{slug}/schedules/{name}/resume", errors=[ScheduleNotFoundError])
def resume_schedule(address: ScheduleAddress) -> Answer[Schedule]:
    """Take a schedule up again; its `missed` says what becomes of the times meanwhile."""
    return ok(document(schedules_of(runtime()).resume(address.slug, address.name), {}))


@route(
    "POST /workflows/{slug}/schedules/{name}/trigger",
    answers=_ANSWERS,
    errors=[*_OF_A_RUN, IdempotencyConflictError],
    shapes="cascade_flow.api.submission_shapes",
)
def trigger_schedule(address: ScheduleAddress, headers: Submission) -> Answer[Submitted]:
    """Submit a run with a schedule's input, now; the schedule's times stay as they are."""
    schedules = schedules_of(runtime())
    run = schedules.trigger(address.slug, address.name, idempotency_key=headers.idempotency_key)
    where = {"location": f"/runs/{run.run_id}"}
    return Answer(201 if run.is_new else 200, document(run, {}), headers=where)


@route("POST /workflows/{slug}/schedules/{name}/backfill", errors=[*_OF_A_RUN, ArgumentInvalidError])
def backfill_schedule(address: ScheduleAddress, body: FillIn) -> Answer[FilledIn]:
    """Submit a run for each of a schedule's times in a range that is past and has none yet, some at a time."""
    schedules = schedules_of(runtime())
    filled = schedules.backfill(
        address.slug, address.name, from_us=body.from_us, until_us=body.until_us, limit=body.limit
    )
    return ok(document(filled, {}))
