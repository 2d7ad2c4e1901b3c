"""What a worker elsewhere says of an attempt: the routes below /runs/{runId}/steps/{stepId} but its heartbeat's.

Each names the worker and the attempt, counts under its fence, and is answered the same when it is said again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api import representations
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.resources import runtime
from cascade_flow.api.routes import route
from cascade_flow.api.shapes import StepAddress
from cascade_flow.errors import (
    ArgumentInvalidError,
    CascadeFlowError,
    PayloadLostError,
    PayloadTooLargeError,
    RunNotFoundError,
    StaleAttemptError,
    StepNotFoundError,
)

if TYPE_CHECKING:
    from cascade_flow.api.heartbeat_shapes import AttemptReport
    from cascade_flow.api.worker_replies import StepOutcome, Stored
    from cascade_flow.api.worker_shapes import (
        CompleteStep,
        EndReport,
        FailStep,
        PostponeStep,
        ReleaseStep,
        SkipStep,
        StoreCheckpoint,
        WriteLogs,
    )
    from cascade_flow.operations.worker_outcomes import Attempt, Measures, Outcome, WorkerOutcomes

_STEP = "POST /runs/{runId}/steps/{stepId+}"
_SHAPES = "cascade_flow.api.worker_shapes"
"""Imported when one of them is asked for: most requests are heartbeats."""
_NOT_HELD: list[type[CascadeFlowError]] = [RunNotFoundError, StepNotFoundError, StaleAttemptError]


@route(f"{_STEP}/logs", errors=_NOT_HELD, shapes=_SHAPES)
def write_logs(address: StepAddress, body: WriteLogs) -> Answer[Stored]:
    """Store lines of the attempt's log, so that it can be followed; the same lines again change nothing."""
    _outcomes().log(_attempt(address, body), body.timed)
    return ok({})


@route(f"{_STEP}/checkpoint", errors=[*_NOT_HELD, PayloadTooLargeError], shapes=_SHAPES)
def store_checkpoint(address: StepAddress, body: StoreCheckpoint) -> Answer[Stored]:
    """Store what a part of the work has given: a later attempt's claim gives it back, and need not do it again."""
    _outcomes().keep_checkpoint(_attempt(address, body), body.command)
    return ok({})


@route(
    f"{_STEP}/complete",
    errors=[*_NOT_HELD, PayloadTooLargeError, PayloadLostError, ArgumentInvalidError],
    shapes=_SHAPES,
)
def complete_step(address: StepAddress, body: CompleteStep) -> Answer[StepOutcome]:
    """The step returned; of a batch of a map's items, a list of their results in order. With `claimNext` the worker
    holds the branch's next step at once, if that is for the same workers.
    """
    attempt, measures = _attempt(address, body), _measures(body)
    return _told(_outcomes().complete(attempt, body.text, measures, claims_next=body.next_slot))


@route(f"{_STEP}/fail", errors=_NOT_HELD, shapes=_SHAPES)
def fail_step(address: StepAddress, body: FailStep) -> Answer[StepOutcome]:
    """The step failed. Its retry policy says whether it is tried again, and when, unless the worker knows it is of no
    use.
    """
    attempt, measures = _attempt(address, body), _measures(body)
    told = _outcomes().fail(attempt, body.error.error, measures, reason=body.reason, is_retryable=body.retryable)
    return _told(told)


@route(f"{_STEP}/skip", errors=_NOT_HELD, shapes=_SHAPES)
def skip_step(address: StepAddress, body: SkipStep) -> Answer[StepOutcome]:
    """There is nothing to do: the step is skipped, and so are those that depend on it, unless they were told not to."""
    return _told(_outcomes().skip(_attempt(address, body), body.reason, body.metadata, _measures(body)))


@route(f"{_STEP}/later", errors=[*_NOT_HELD, ArgumentInvalidError], shapes=_SHAPES)
def postpone_step(address: StepAddress, body: PostponeStep) -> Answer[StepOutcome]:
    """The step isn't ready: it comes again later, its checkpoints stay, and no attempt of its retry policy is used.

    Where it has asked for longer than it may, it fails for good.
    """
    attempt, measures = _attempt(address, body), _measures(body)
    when = {"at_us": body.available_at_us, "delay_us": body.delay_us}
    return _told(_outcomes().postpone(attempt, body.reason, measures, **when))


@route(f"{_STEP}/release", errors=_NOT_HELD, shapes=_SHAPES)
def release_step(address: StepAddress, body: ReleaseStep) -> Answer[StepOutcome]:
    """Give the attempt up, since the worker must end: the step is for another one at once, however often it was
    tried: its retry policy doesn't count this attempt."""
    return _told(_outcomes().let_go(_attempt(address, body)))


def _outcomes() -> WorkerOutcomes:
    from cascade_flow.operations.worker_outcomes import WorkerOutcomes  # noqa: PLC0415  (as the shapes)

    return WorkerOutcomes(runtime())


def _attempt(address: StepAddress, said: AttemptReport) -> Attempt:
    from cascade_flow.operations.worker_outcomes import Attempt  # noqa: PLC0415

    return Attempt(address.run_id, address.step_id, said.worker_id, said.attempt_number)


def _measures(said: EndReport) -> Measures:
    from cascade_flow.operations.worker_outcomes import Measures  # noqa: PLC0415

    return Measures(duration_us=said.duration_us, usage=said.usage, told_us=said.last_log_us)


def _told(told: Outcome) -> Answer[StepOutcome]:
    from cascade_flow.operations.worker_protocol import WorkerProtocol  # noqa: PLC0415

    protocol = WorkerProtocol(runtime())
    given = None if told.next is None else protocol.given(told.next)
    return ok(representations.outcome(told, given, protocol.lend))
