"""The words of the API: what a document of ours calls a thing, in every answer and every request.

One thing has one name, and a number with a unit has it in its name. There is one unit: instants are `...AtUs` or
`...Us`, microseconds since 1970; lengths of time are `...Us`, microseconds. A thing is named by `runId`, `stepId`,
`workflowSlug`, in its own document too. The states of the wire contract, made before, call some of this otherwise;
they are translated here. Events are the contract's own documents and keep their words; so does what users wrote.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Generic, TypeVar, cast

from cascade_flow.model.wire import WireModel

Json = dict[str, Any]
StateT = TypeVar("StateT", bound=WireModel)
MoreT = TypeVar("MoreT")

WORDS: Mapping[str, str] = {
    "availableAt": "availableAtUs",
    "claimedAt": "claimedAtUs",
    "completedAt": "endedAtUs",
    "createdAt": "createdAtUs",
    "duration": "durationUs",
    "endTime": "endedAtUs",
    "firstFailure": "firstFailureUs",
    "firstSeen": "firstSeenUs",
    "id": "stepId",
    "lastFailure": "lastFailureUs",
    "lastHeartbeat": "lastHeartbeatUs",
    "lastOccurrence": "lastOccurrenceUs",
    "lastSeen": "lastSeenUs",
    "nextRetryAt": "nextRetryAtUs",
    "scheduledAt": "scheduledAtUs",
    "slug": "workflowSlug",
    "startTime": "startedAtUs",
    "startedAt": "startedAtUs",
    "timeout": "timeoutUs",
    "timestamp": "timestampUs",
    "workflow": "workflowSlug",
}
MILLISECONDS: Mapping[str, str] = {
    name: name.removesuffix("Ms") + "Us"
    for name in ("delayMs", "giveUpAfterMs", "maxDelayMs", "perMs", "pollEveryMs", "timeoutMs")
}
THE_USERS = frozenset({"input", "output", "metadata", "inputSchemaJSON", "payloadSchemaJSON", "stepsReclaimedByWorker"})
"""Fields that hold what users wrote, or that are named by it."""


class Document(dict[str, Any], Generic[StateT, MoreT]):
    """A state of the wire contract in the words of the API, with fields beside its own, or in their place.

    Both are said by types: the state's model, and a TypedDict, in which a field that may never be there is left out.
    """


class AsWritten(dict[str, Any], Generic[StateT, MoreT]):
    """A document of the wire contract in its own words; where one of `MoreT` is `xUrl`, it stands in the place of x."""


def document(state: StateT, more: MoreT, *, without: Collection[str] = ()) -> Document[StateT, MoreT]:
    """A state as a document of the API, with more fields, and without some of its own."""
    told = {name: value for name, value in _translated(state.to_wire()).items() if name not in without}
    return Document({**told, **cast(Json, more)})


def told(name: str) -> str:
    """What the API calls a field that the wire contract calls so."""
    return MILLISECONDS.get(name) or WORDS.get(name, name)


def _translated(fields: Mapping[str, Any]) -> Json:
    return dict(_field(name, value) for name, value in fields.items())


def _field(name: str, value: Any) -> tuple[str, Any]:
    if name in MILLISECONDS:
        return told(name), value * 1_000
    return told(name), value if name in THE_USERS else _inside(value)


def _inside(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _translated(value)
    return [_inside(item) for item in value] if isinstance(value, list) else value
