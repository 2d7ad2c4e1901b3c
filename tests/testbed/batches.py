"""What may become of a batch of messages on its way to SQS: half of it refused, all lost, late, doubled."""

from __future__ import annotations

from typing import Any

from cascade_flow.testing.memory.queue_client import LONGEST_DELAY_S
from testbed.wire import Answer, Request, Send

LATE_S = 60
Entries = list[dict[str, Any]]


def half_refused(request: Request, send: Send) -> Answer:
    """The first half of the batch is refused (a batch of one: all of it), and the sender is told so."""
    entries = _entries(request)
    refused, taken = entries[: (len(entries) + 1) // 2], entries[(len(entries) + 1) // 2 :]
    if taken:
        send(_with(request, taken))
    failed = [{"Id": entry["Id"], "Code": "InternalError", "SenderFault": False} for entry in refused]
    return request.answered(200, {"Successful": _successful(taken), "Failed": failed})


def lost(request: Request, send: Send) -> Answer:
    """The sender is told that the batch was taken, and nobody ever sees a message of it."""
    return request.answered(200, {"Successful": _successful(_entries(request))})


def late(request: Request, send: Send) -> Answer:
    """Each message comes a minute later than it was asked for."""
    delayed = [
        {**entry, "DelaySeconds": min(entry.get("DelaySeconds", 0) + LATE_S, LONGEST_DELAY_S)}
        for entry in _entries(request)
    ]
    return send(_with(request, delayed))


def doubled(request: Request, send: Send) -> Answer:
    """Each message comes twice."""
    send(request)
    return send(request)


def _entries(request: Request) -> Entries:
    return list(request.body["Entries"])


def _with(request: Request, entries: Entries) -> Request:
    return request.with_body({**request.body, "Entries": entries})


def _successful(entries: Entries) -> Entries:
    return [{"Id": entry["Id"], "MessageId": f"lost-{entry['Id']}", "MD5OfMessageBody": ""} for entry in entries]
