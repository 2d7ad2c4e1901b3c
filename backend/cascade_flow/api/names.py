"""The words of the API: what a document of ours calls a thing, in every answer and every request.

One thing has one name, and a number with a unit has it in its name. There is one unit: instants are `...AtUs` or
`...Us`, microseconds since 1970; lengths of time are `...Us`, microseconds. A thing is named by `runId`, `stepId`,
`workflowSlug`, in its own document too. The states of the wire contract, made before, call some of this otherwise;
they are translated here. Events are the contract's own documents and keep their words; so does what users wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cascade_flow.model.wire import WireModel

Json = dict[str, Any]

WORDS: Mapping[str, str] = {
    "availableAt": "availableAtUs",
    "claimedAt": "claimedAtUs",
    "completedAt": "endedAtUs",
    "createdAt": "createdAtUs",
    "duration": "durationUs",
    "endTime": "endedAtUs",
    "id": "stepId",
    "lastHeartbeat": "lastHeartbeatUs",
    "nextRetryAt": "nextRetryAtUs",
    "scheduledAt": "scheduledAtUs",
    "slug": "workflowSlug",
    "startTime": "startedAtUs",
    "startedAt": "startedAtUs",
    "timeout": "timeoutUs",
    "timestamp": "timestampUs",
}
MILLISECONDS: Mapping[str, str] = {"delayMs": "delayUs", "maxDelayMs": "maxDelayUs", "timeoutMs": "timeoutUs"}
THE_USERS = frozenset({"input", "output", "metadata", "inputSchemaJSON"})
"""Fields that hold what users wrote, in words of their own."""


def document(state: WireModel) -> Json:
    """A state of the wire contract as a document of the API."""
    return _translated(state.to_wire())


def _translated(fields: Mapping[str, Any]) -> Json:
    return dict(_field(name, value) for name, value in fields.items())


def _field(name: str, value: Any) -> tuple[str, Any]:
    if name in MILLISECONDS:
        return MILLISECONDS[name], value * 1_000
    return WORDS.get(name, name), value if name in THE_USERS else _inside(value)


def _inside(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _translated(value)
    return [_inside(item) for item in value] if isinstance(value, list) else value
