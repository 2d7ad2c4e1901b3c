"""POST /runs/{runId}/steps/{stepId}/...: what a worker says of the attempt that it holds; most often, that it lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api import representations
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.heartbeat_shapes import Heartbeat
from cascade_flow.api.resources import runtime
from cascade_flow.api.router import router
from cascade_flow.api.routes import route
from cascade_flow.api.shapes import StepAddress
from cascade_flow.api.worker_routes import (
    complete_step,
    fail_step,
    postpone_step,
    release_step,
    skip_step,
    store_checkpoint,
    write_logs,
)
from cascade_flow.errors import RunNotFoundError, StaleAttemptError, StepNotFoundError
from cascade_flow.operations.worker_protocol import WorkerProtocol

if TYPE_CHECKING:
    from cascade_flow.api.worker_replies import Lease


@route("POST /runs/{runId}/steps/{stepId+}/heartbeat", errors=[RunNotFoundError, StepNotFoundError, StaleAttemptError])
def heartbeat(address: StepAddress, body: Heartbeat) -> Answer[Lease]:
    """Say that the worker lives: its lease is prolonged. Where it holds the attempt no more, it should stop."""
    protocol = WorkerProtocol(runtime())
    held = protocol.heartbeat(
        address.run_id, address.step_id, body.worker_id, body.attempt_number, snapshot=body.snapshot
    )
    return ok(representations.lease(held))


handler = router(
    heartbeat, write_logs, store_checkpoint, complete_step, fail_step, skip_step, postpone_step, release_step
)
