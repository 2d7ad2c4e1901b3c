"""The service itself: whether it works, of what version it is, what its queue gave up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api import report_representations as representations
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.report_shapes import ListDeadLetters, Redrive
from cascade_flow.api.resources import patience_us, runtime, settings
from cascade_flow.api.router import router
from cascade_flow.api.routes import route
from cascade_flow.errors import UnhealthyError
from cascade_flow.operations import health
from cascade_flow.release import VERSION

if TYPE_CHECKING:
    from cascade_flow.api.report_replies import DeadLetters, EngineVersion, Health, Redriven


@route("GET /health", errors=[UnhealthyError])
def get_health() -> Answer[Health]:
    """Say whether the engine works: its table is read, once."""
    health.check(runtime())
    return ok({"status": "ok", "checks": dict.fromkeys(health.CHECKS, "ok")})


@route("GET /version")
def get_engine_version() -> Answer[EngineVersion]:
    """Say which version of cascade-flow is deployed, and how its workers are set."""
    deployed = settings()
    answer: EngineVersion = {"version": VERSION, "heartbeatUs": deployed.heartbeat_ms * 1_000}
    if deployed.worker_memory_mb is not None:
        answer["workerMemoryMb"] = deployed.worker_memory_mb
    return ok(answer)


@route("GET /dead-letters")
def list_dead_letters(query: ListDeadLetters) -> Answer[DeadLetters]:
    """Look at messages that no worker could take, again and again. They stay where they are."""
    letters = runtime().dead_letters
    return ok(representations.dead_letters(letters.look(query.limit), letters.count()))


@route("POST /dead-letters/redrive")
def redrive_dead_letters(body: Redrive) -> Answer[Redriven]:
    """Put messages back into the queue that no worker could take; one may come twice, which does no harm."""
    letters = runtime().dead_letters
    count = letters.send_again(body.limit, patience_us())
    return ok({"count": count, "remaining": letters.count()})


handler = router(get_health, get_engine_version, list_dead_letters, redrive_dead_letters)
