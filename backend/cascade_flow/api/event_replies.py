"""What answers hold of events from outside, as types (see `replies`)."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from cascade_flow.api.names import Document
from cascade_flow.model.states import SentEvent


class Alone(TypedDict):
    """Nothing beside."""


Sent = Document[SentEvent, Alone]
"""An event that was taken; not new where the same was sent before."""


class EventOfRun(TypedDict):
    """An event from outside, as a run's version declares it, and how it stands."""

    onTimeout: Literal["fail", "skip"]
    timeoutUs: NotRequired[int]
    """How long it is waited for, once all that it comes after is over; absent: as long as the run may last."""
    waits: bool
    """Whether the run waits for it now."""
    waitsUntilUs: NotRequired[int]
    sentAtUs: NotRequired[int]
    """When it was sent; before anybody waits, it is kept."""
