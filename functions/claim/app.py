"""POST /steps/claim: gives a due step, with all that it needs, to a worker that is no Lambda."""

from __future__ import annotations

from cascade_flow.api import representations
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.requests import Request
from cascade_flow.api.resources import runtime
from cascade_flow.api.router import router
from cascade_flow.api.shapes import ClaimStep
from cascade_flow.operations.steps import HeldAttempt
from cascade_flow.operations.worker_protocol import WorkerProtocol


def claim(request: Request) -> Answer:
    """200 and the step; 204 where nothing has come due, or others were faster."""
    protocol = WorkerProtocol(runtime())
    held = _claimed(protocol, request.document(ClaimStep))
    return Answer(204) if held is None else ok(representations.claimed(held, protocol.given(held)))


def _claimed(protocol: WorkerProtocol, wish: ClaimStep) -> HeldAttempt | None:
    if wish.run_id and wish.step_id:
        return protocol.claim(
            wish.run_id, wish.step_id, wish.worker_id, slot=wish.slot, workflow_slug=wish.workflow_slug, pool=wish.pool
        )
    return protocol.claim_next(
        wish.worker_id, slot=wish.slot, workflow_slug=wish.workflow_slug, pool=wish.pool, wait_us=wish.wait_ms * 1_000
    )


handler = router({"POST /steps/claim": claim})
