"""What is answered to many submissions at once, as types; see `replies`."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from cascade_flow.api.replies import Issue


class ProblemOfOne(TypedDict):
    """Why one of many could not be submitted; what a problem document says of it."""

    status: int
    """What it would have been answered alone. One of 503, or 409 with the code `conflict`, may be sent again."""
    code: str
    detail: str
    issues: NotRequired[list[Issue]]
    """What is wrong with it, by its own fields (`input.weights.0`), as far as there is room."""
    facts: NotRequired[dict[str, Any]]
    """What is true now."""


class OneMade(TypedDict):
    """A run that stands for one of many."""

    outcome: Literal["submitted", "known"]
    """`known`: its idempotency key stood for this run already."""
    runId: str


class OneRefused(TypedDict):
    """One of many that is no run."""

    outcome: Literal["refused"]
    problem: ProblemOfOne


class OneLeft(TypedDict):
    """One of many for which nothing was done, since time was over or the table was busy: send it again."""

    outcome: Literal["left"]


class Counts(TypedDict):
    """How many of each outcome there are."""

    submitted: int
    known: int
    refused: int
    left: int


class ManySubmitted(TypedDict):
    """What became of each, in the order in which they were sent."""

    runs: list[OneMade | OneRefused | OneLeft]
    counts: Counts
