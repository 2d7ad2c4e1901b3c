"""POST /steps/claim: gives a due step, with all that it needs, to a worker that is no Lambda."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api import representations
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.claim_shapes import ClaimStep
from cascade_flow.api.resources import runtime
from cascade_flow.api.router import router
from cascade_flow.api.routes import route
from cascade_flow.errors import (
    PayloadLostError,
    RunNotFoundError,
    StepNotFoundError,
    WorkflowNotFoundError,
    WrongPoolError,
)
from cascade_flow.operations.worker_protocol import WorkerProtocol

if TYPE_CHECKING:
    from cascade_flow.api.worker_replies import Claimed
    from cascade_flow.operations.steps import HeldAttempt


@route(
    "POST /steps/claim",
    answers={200: "The step, now held by this worker.", 204: "Nothing has come due, or others were faster."},
    errors=[RunNotFoundError, StepNotFoundError, WorkflowNotFoundError, PayloadLostError, WrongPoolError],
)
def claim_step(body: ClaimStep) -> Answer[Claimed]:
    """Take the step that is named, or else any that is due, of a pool or of none: from then on it is this worker's, for
    as long as a lease lasts and heartbeats prolong it. Where nothing is due, the answer waits for `waitMs`.
    """
    protocol = WorkerProtocol(runtime())
    held = _claimed(protocol, body)
    return Answer(204) if held is None else ok(representations.claimed(held, protocol.given(held), protocol.lend))


def _claimed(protocol: WorkerProtocol, wish: ClaimStep) -> HeldAttempt | None:
    if wish.run_id and wish.step_id:
        return protocol.claim(
            wish.run_id, wish.step_id, wish.worker_id, slot=wish.slot, workflow_slug=wish.workflow_slug, pool=wish.pool
        )
    return protocol.claim_next(
        wish.worker_id, slot=wish.slot, workflow_slug=wish.workflow_slug, pool=wish.pool, wait_us=wish.wait_ms * 1_000
    )


handler = router(claim_step)
