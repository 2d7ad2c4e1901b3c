"""POST /runs/{runId}/steps/{stepId}/heartbeat: a worker still holds its attempt, and goes on holding it."""

from __future__ import annotations

from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.requests import Request
from cascade_flow.api.resources import runtime
from cascade_flow.api.router import router
from cascade_flow.api.shapes import Heartbeat, StepAddress
from cascade_flow.operations.worker_protocol import WorkerProtocol


def beat(request: Request) -> Answer:
    """200 and the lease's new end; 409 where the attempt is held no more."""
    step, said = request.address(StepAddress), request.document(Heartbeat)
    protocol = WorkerProtocol(runtime())
    held = protocol.heartbeat(step.run_id, step.step_id, said.worker_id, said.attempt_number, snapshot=said.snapshot)
    return ok({"leaseUntilUs": held.branch.lease_us})


handler = router({"POST /runs/{runId}/steps/{stepId+}/heartbeat": beat})
