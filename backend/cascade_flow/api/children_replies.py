"""What answers hold of runs that do a step's work, as types (see `replies`)."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from cascade_flow.api.names import Document
from cascade_flow.model.parts import StepError
from cascade_flow.model.states import RunStatus


class NothingElse(TypedDict):
    """Nothing beside."""


ChildError = Document[StepError, NothingElse]
"""Why a run that does a part of a step's work has failed."""


class ChildrenOfStep(TypedDict):
    """The runs that do a step's work: one for each item of a map, or for each `batch` of them, or another workflow's.

    How many there are is known while the step waits for them.
    """

    kind: Literal["map", "workflow"]
    over: NotRequired[str]
    """The step whose output a map goes over."""
    workflowSlug: NotRequired[str]
    """The workflow that a sub-workflow runs."""
    concurrency: NotRequired[int]
    """How many runs of a map may go on at once."""
    batch: NotRequired[int]
    """How many items one run does."""
    tolerate: NotRequired[float]
    """The share of the items that may fail."""
    items: NotRequired[int]
    runs: NotRequired[int]
    """How many runs do them, in all."""
    begun: NotRequired[int]
    """How many of these have begun."""
    ended: NotRequired[int]
    """How many of these are over, as far as it is known."""
    failedItems: NotRequired[int]
    """How many items have failed, as far as it is known."""


class Child(TypedDict):
    """A run that does a part of a step's work."""

    number: int
    runId: str
    status: RunStatus
    firstItem: NotRequired[int]
    """Of a map: the number of the first item that it does."""
    attemptNumber: NotRequired[int]
    """Of a map's run that goes on: the attempt at its items that is under way or comes next."""
    isRetrying: NotRequired[bool]
    """Whether that is still to come, after one that failed."""
    failedItems: NotRequired[int]
    """Of a batch that is over: how many of its items have failed."""
    error: NotRequired[ChildError]


class ChildPage(TypedDict):
    """Some of the runs that do a step's work, by number."""

    children: list[Child]
    nextCursor: NotRequired[str]
    """What to ask for as `cursor`, where there may be more."""
