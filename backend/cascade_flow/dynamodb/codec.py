"""Events as bytes: deflate with a preset dictionary over their wire JSON (protocol.md §3).

A payload in the bucket is a gzip file, since others read it too.

A *record* is an event's wire form without what its partition knows already. The first byte of whatever was packed here
names the dictionary that it was written with, for ever: a new dictionary gets a new number.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cascade_flow.errors import CascadeFlowError
from cascade_flow.model.events import Event, dump_event

Record = Mapping[str, Any]
REFERENCE = "$ref"

_TEXT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_CODEC = b"\x01"
_GZIP = b"\x1f"
_KNOWN = ("eventId", "runId", "workflowSlug", "category")
TEXTS = ("output", "input", "data")
"""The fields of events that hold what users gave and got."""
_DICTIONARY = (
    b'"errorFingerprints":{"nameHash":"","messageHash":"","stackExactHash":"","stackNormalizedHash":"",'
    b'"stackPortableHash":""},"validationErrors":[{"path":"","message":""}]'
    b'"type":"StepCheckpoint","name":"","sequenceNumber":0,"data":"","parentCheckpoint":{"$ref":"P#'
    b'"type":"StepSkipped","skipType":"primary","cascade","reason":"skipped because  was skipped","cascadedFrom":"'
    b'"type":"StepReclaimed","originalWorkerId":"","reclaimedBy":"reaper","lastHeartbeatUs":17,"staleThresholdUs":60000000,'
    b'"staleDurationUs":"type":"WorkflowInputValidation","workflowAttemptNumber":1,"hasSchema":true,"success":true},'
    b'"type":"WorkflowStarted","versionId":"sha256:","hasInputSchema":true,"hasInput":true}'
    b'"type":"WorkflowCompleted","WorkflowFailed","totalSteps":"completedSteps":,"failedStep":"","step-failed"'
    b'"type":"RunSubmitted","availableAtUs":17,"priority":0,"input":"{\\"","timeoutUs":,"idempotencyKey":"","metadata":{"","tags":[""'
    b'"type":"StepFailed","error":{"message":"","stack":"Traceback (most recent call last):\\n  File \\"/var/task/'
    b'\\", line 1, in ","name":"ValueError"},"terminal":false,"nextRetryAtUs":17,"failureReason":"execution-error",'
    b'"exhausted-retries","timeout","worker-crash","policyIndex":0,"attemptInPolicy":1,'
    b'{"type":"StepRetrying","nextAttempt":2,"maxRetries":2,"totalPolicies":1,"reason":"retry","retryDelayMs":1000,'
    b'{"timestampUs":17,"type":"StepHeartbeat","resourceSnapshot":{"memoryBytes":,"cpuTimeUs":'
    b'[{"timestampUs":17,"type":"StepScheduled","stepId":"","availableAtUs":17,"reason":"initial","attemptNumber":1,"priority":0},'
    b'{"timestampUs":1,"type":"StepStarted","stepId":"","workerId":"worker-","dependencies":[""],"attemptNumber":1,"slotIndex":0,'
    b'"workerConcurrency":1},{"timestampUs":1,"type":"StepCompleted","stepId":"","output":"{\\"\\":\\"\\",\\"true,false,null'
    b'","durationUs":1,"attemptNumber":1,"exportOutput":false,"resourceUsage":{"peakMemoryBytes":100000000,"cpuTimeUserUs":1,'
    b'"cpuTimeSystemUs":1,"cpuTimeTotalUs":1,"voluntaryContextSwitches":0,"involuntaryContextSwitches":0}},'
    b'{"timestampUs":1,"type":"StepScheduled","stepId":"","availableAtUs":0,"reason":"dependency-satisfied","attemptNumber":1},'
)


def to_record(event: Event, references: Mapping[str, str]) -> Record:
    """An event as a record; a text that was put aside (its key in `references`) is replaced by a reference."""
    record = {name: value for name, value in dump_event(event).items() if name not in _KNOWN}
    for name in TEXTS:
        if (key := references.get(record.get(name) or "")) is not None:
            record[name] = {REFERENCE: key}
    return record


def to_wire(record: Record, *, workflow_slug: str, run_id: str) -> dict[str, Any]:
    """The full wire form of a record of this run."""
    category = "step" if "stepId" in record else "workflow"
    known = {"eventId": str(record["timestampUs"]), "category": category}
    return {**known, "workflowSlug": workflow_slug, "runId": run_id, **record}


def references_of(record: Record) -> dict[str, str]:
    """The texts of a record that were put aside: field → sort key of the payload."""
    found = {name: record.get(name) for name in TEXTS}
    return {name: value[REFERENCE] for name, value in found.items() if isinstance(value, Mapping)}


def without_payload(record: Record) -> Record:
    """The record without the texts that were put aside."""
    gone = references_of(record)
    return {name: value for name, value in record.items() if name not in gone}


def encode(records: Sequence[Record]) -> bytes:
    """Records as bytes; their times are written as differences, which pack better."""
    return deflate(_TEXT.encode([*_as_steps(records)]))


def decode(data: bytes) -> tuple[Record, ...]:
    """The records that `encode` was given."""
    return tuple(_as_times(json.loads(inflate(data)))) if data else ()


def deflate(text: str) -> bytes:
    """A text as bytes that name their dictionary."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zdict=_DICTIONARY)
    return _CODEC + packer.compress(text.encode()) + packer.flush()


def zipped(text: str) -> bytes:
    """A text as a gzip file, which anybody can read; the same text makes the same file."""
    return gzip.compress(text.encode(), 6, mtime=0)


def inflate(data: bytes) -> str:
    """The text that was packed; raises CascadeFlowError for a dictionary that is not known here."""
    if data[:1] == _GZIP:
        return gzip.decompress(data).decode()
    if data[:1] != _CODEC:
        raise CascadeFlowError(
            f"this was packed by another release (codec {data[:1].hex()}): deploy that one or a later"
        )
    unpacker = zlib.decompressobj(-15, zdict=_DICTIONARY)
    return (unpacker.decompress(data[1:]) + unpacker.flush()).decode()


def _as_steps(records: Iterable[Record]) -> Iterable[Record]:
    before = 0
    for record in records:
        time = record["timestampUs"]
        yield _with_times(record, time - before, -time)
        before = time


def _as_times(records: Iterable[Record]) -> Iterable[Record]:
    before = 0
    for record in records:
        before += record["timestampUs"]
        yield _with_times(record, before, before)


def _with_times(record: Record, time: int, available_by: int) -> Record:
    """The record at another time, available so much later; a fraction would lose digits on the way, and stays."""
    moved = {**record, "timestampUs": time}
    if type(moved.get("availableAtUs")) is int:
        moved["availableAtUs"] += available_by
    return moved
