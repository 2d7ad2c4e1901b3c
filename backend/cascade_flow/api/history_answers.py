"""What answers look like that tell what happened in a run, and what its steps wrote (see `representations`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cascade_flow.api.names import AsWritten
from cascade_flow.api.paging import page
from cascade_flow.dynamodb.codec import TEXTS
from cascade_flow.model.events import dump_event

if TYPE_CHECKING:
    from cascade_flow.api import replies
    from cascade_flow.operations.history import EventDetails, StepLine


def event_page(events: Iterable[EventDetails], *, limit: int) -> replies.EventPage:
    """GET /runs/{runId}/events: `nextUs` is what to ask for as `afterUs` where there are more."""
    found, next_us = page(((told.event.timestamp_us, _event(told)) for told in events), limit)
    return {"events": found, "nextUs": next_us} if next_us else {"events": found}


def log_page(lines: Sequence[StepLine], *, after_us: int, limit: int) -> replies.LogPage:
    """GET /runs/{runId}/logs: `nextUs` is what to ask for as `afterUs` where there are more."""
    later = (line for line in lines if line.timestamp_us > after_us)
    found, next_us = page(((line.timestamp_us, _line(line)) for line in later), limit)
    return {"lines": found, "nextUs": next_us} if next_us else {"lines": found}


def _event(told: EventDetails) -> replies.RunEvent:
    """The contract's own document, but for texts in the bucket, and for all where none were asked for."""
    addresses = {f"{name}Url": address for name, address in told.outside.items()}
    gone = told.outside if told.has_payloads else TEXTS
    return AsWritten({**{n: v for n, v in dump_event(told.event).items() if n not in gone}, **addresses})


def _line(line: StepLine) -> replies.LogLine:
    return {
        "timestampUs": line.timestamp_us,
        "stepId": line.step_id,
        "attemptNumber": line.attempt_number,
        "stream": line.stream,
        "message": line.message,
    }
