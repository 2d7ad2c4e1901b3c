"""What answers look like that tell of events from outside (see `representations`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api.names import document

if TYPE_CHECKING:
    from cascade_flow.api import event_replies
    from cascade_flow.model.states import SentEvent
    from cascade_flow.operations.details import OutsideDetails


def sent(event: SentEvent) -> event_replies.Sent:
    """POST /runs/{runId}/events/{event}."""
    return document(event, {})


def event_of_run(event: OutsideDetails) -> event_replies.EventOfRun:
    """An event among the steps of a run."""
    told: event_replies.EventOfRun = {"onTimeout": event.declared.on_timeout, "waits": event.waits}
    if event.declared.timeout_us is not None:
        told["timeoutUs"] = event.declared.timeout_us
    if event.until_us is not None:
        told["waitsUntilUs"] = event.until_us
    if event.sent_us is not None:
        told["sentAtUs"] = event.sent_us
    return told
