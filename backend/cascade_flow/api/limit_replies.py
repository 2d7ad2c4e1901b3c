"""What answers hold about limits, as types."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class LimitOfStep(TypedDict):
    """What a step shares with all that name the same limit."""

    name: str
    atMost: int
    """So many at once; with `perUs`, so many starts in any such time."""
    perUs: NotRequired[int]
    key: NotRequired[str]
    """The field of the run's input by which the limit is kept."""
