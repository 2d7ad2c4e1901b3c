"""Words for what was told of a step and a run, and for what it has changed."""

from __future__ import annotations

from typing import Any

from cascade_flow.model.events import ErrorFingerprints, ResourceUsage, StepError, make_event
from cascade_flow.model.wire import WireModel

ERROR = StepError(message="no")
HASHES = ("name_hash", "message_hash", "stack_exact_hash", "stack_normalized_hash", "stack_portable_hash")
PRINTS = ErrorFingerprints(**dict.fromkeys(HASHES, "h"))


def usage(bytes: int) -> ResourceUsage:
    used = ("cpu_time_user_us", "cpu_time_system_us", "cpu_time_total_us")
    switches = ("voluntary_context_switches", "involuntary_context_switches")
    return ResourceUsage(peak_memory_bytes=bytes, **dict.fromkeys(used, 1), **dict.fromkeys(switches, 0))


def of(kind: Any, us: int = 90, attempt: int = 3, **said: Any) -> Any:
    fields = {"step_id": "s", "attempt_number": attempt, **said}
    return make_event(kind, timestamp_us=us, workflow_slug="w", run_id="r", **fields)


def run_event(kind: Any, us: int = 90, attempt: int = 2, **said: Any) -> Any:
    fields = {"workflow_attempt_number": attempt, **said}
    return make_event(kind, timestamp_us=us, workflow_slug="w", run_id="r", **fields)


DONE = {"duration_us": 7, "output": '"out"', "export_output": True, "resource_usage": usage(9)}
BROKEN = {
    "duration_us": 7,
    "error": ERROR,
    "error_fingerprints": PRINTS,
    "failure_reason": "timeout",
    "resource_usage": usage(9),
}
SILENCE = {"last_heartbeat_us": 2, "stale_threshold_us": 1, "stale_duration_us": 5}
TAKEN = {"original_worker_id": "joe", "reclaimed_by": "sweep", **SILENCE}
RAIN = {"reason": "rain", "duration_us": 7}
BY_ITSELF, WITH_ANOTHER = (
    {"skip_type": "primary", **RAIN},
    {"skip_type": "cascade", "cascaded_from": "z", **RAIN},
)
BEGUN = {"worker_id": "ann", "dependencies": ["b"]}


def changes(before: WireModel, after: WireModel) -> dict[str, Any]:
    """The fields that differ; of a diary what was added to it."""
    names = type(before).model_fields
    told = {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}
    if diary := told.pop("state_changes", None):
        known = before.state_changes  # type: ignore[attr-defined]
        assert diary[: len(known)] == known
        told["noted"] = [(change.status, change.timestamp, change.message) for change in diary[len(known) :]]
    return told


def named(each: Any) -> str:
    return each.type if hasattr(each, "type") else ""
