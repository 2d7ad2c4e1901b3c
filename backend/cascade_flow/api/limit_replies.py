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


class LimitOfRuns(TypedDict):
    """How many runs of a workflow go on at once."""

    atMost: int
    key: NotRequired[str]
    """The field of the input by whose values they are counted, each by itself."""
    skips: bool
    """Whether a submission while so many go on is answered with one of them, instead of waiting."""


class WaitsFor(TypedDict):
    """What a limited step waits for: a place, or its turn."""

    limit: str
    """The limit's name; where it is kept by key, then `#` and the key's value."""
    atMost: int
    taken: NotRequired[int]
    """How many places are taken."""
    before: NotRequired[int]
    """How many wait for a place before it; absent: more than anybody counts."""
    perUs: NotRequired[int]
    turnAtUs: NotRequired[int]
    """When it is its turn."""


class NamedLimit(LimitOfStep):
    """A limit, and the steps that name it in the current versions, by workflow."""

    steps: dict[str, list[str]]


class Limits(TypedDict):
    """The limits that workflows name, by name."""

    limits: list[NamedLimit]


class AttemptOfLimit(TypedDict):
    """An attempt that has a place of a limit, or waits for one."""

    runId: str
    stepId: str
    attemptNumber: int


class PlaceOfLimit(AttemptOfLimit):
    """A place that is taken."""

    place: int
    sinceUs: int
    untilUs: int
    """When it is free again, if its holder says nothing more."""


class LimitDetails(NamedLimit):
    """A limit, who has its places, and the first of those who wait, in their order."""

    value: NotRequired[str]
    """The value of the key that was asked for."""
    holders: list[PlaceOfLimit]
    waiters: list[AttemptOfLimit]
    nextFreeUs: NotRequired[int]
    """When the next turn is free."""
