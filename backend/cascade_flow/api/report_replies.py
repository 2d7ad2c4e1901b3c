"""What answers about no single run hold, as types: reports, workers, dead letters, the service. As `replies`."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from cascade_flow.api.names import Document
from cascade_flow.api.replies import Nothing
from cascade_flow.model import reports

ErrorAnalysis = Document[reports.ErrorAnalysis, Nothing]
"""What failed, retried or not: by reason, and the most common messages, each with its newest occurrences."""
ErrorDetail = Document[reports.ErrorDetail, Nothing]
"""The failures with one fingerprint, newest first; zeros where there are none."""
RetryAnalysis = Document[reports.RetryAnalysis, Nothing]
"""What retries led to."""
SchedulingLatency = Document[reports.SchedulingLatency, Nothing]
"""How long attempts waited for a worker, once they could be claimed."""
StepDuration = Document[reports.StepDuration, Nothing]
"""How long attempts took, those that failed too."""
WorkflowDuration = Document[reports.WorkflowDuration, Nothing]
"""How long runs took, however they ended."""
WorkerStability = Document[reports.WorkerStability, Nothing]
"""Which workers fell silent, so that their steps were taken away from them."""
Throughput = Document[reports.Throughput, Nothing]
"""How many runs and steps came to an end, in all and in an hour."""
SuccessRate = Document[reports.SuccessRate, Nothing]
"""How runs and steps ended, in numbers and in percent."""
QueueDepth = Document[reports.QueueDepth, Nothing]
"""What waits and what is under way, now."""
DepthOfWorkflow = Document[reports.WorkflowQueueDepth, Nothing]
"""What waits of one workflow, now."""
StepReport = Document[reports.StepReport, Nothing]
"""How long the attempts of one step took."""
Interval = Document[reports.Interval, Nothing]
"""A part of a range: what came to an end in it."""


class MoreOfSummary(TypedDict):
    """What is told only where it is asked for."""

    steps: NotRequired[list[StepReport]]
    """By step, those first on which most time was spent; at most 200."""
    intervals: NotRequired[list[Interval]]
    """The parts of the range, oldest first."""


Summary = Document[reports.AnalyticsSummary, MoreOfSummary]
"""All reports of a range, from one reading of it; the queue's depth is that of now."""
ErrorGroup = Document[reports.ErrorGroup, Nothing]
"""Failures that share a fingerprint, with the first one's words."""
Worker = Document[reports.ActiveWorker, Nothing]
"""A worker, as the runs that are running show it."""


class ErrorPage(TypedDict):
    """Groups of failures, the most frequent first."""

    errors: list[ErrorGroup]
    total: int
    """How many groups there are."""
    nextOffset: NotRequired[int]
    """What to ask for as `offset`, where there are more."""


class Depths(TypedDict):
    """What waits, by workflow, the longest queue first."""

    workflows: list[DepthOfWorkflow]


class WorkersInPage(TypedDict):
    """Some of the workers, by their ids; the totals are of all."""

    workers: list[Worker]
    nextCursor: NotRequired[str]
    """What to ask for as `cursor`, where there are more."""


WorkerPage = Document[reports.ActiveWorkers, WorkersInPage]
"""Who works on runs that are running."""


class DeadLetter(TypedDict):
    """A message that no worker could take; what is no wake-up has a body only."""

    messageId: str
    sentAtUs: int
    receiveCount: int
    """How often it was received since it lies here; looking counts."""
    body: str
    """Its first 1,000 characters."""
    runId: NotRequired[str]
    branch: NotRequired[str]
    """Empty where the run itself was to be started."""
    stepId: NotRequired[str]
    attemptNumber: NotRequired[int]


class DeadLetters(TypedDict):
    """Messages that no worker could take, some of them."""

    deadLetters: list[DeadLetter]
    approximateCount: int
    """About how many there are in all."""


class Redriven(TypedDict):
    """What was put back into the queue."""

    count: int
    remaining: int
    """About how many are left."""


class Health(TypedDict):
    """The engine works."""

    status: Literal["ok"]
    checks: dict[str, str]
    """What was tried."""


class EngineVersion(TypedDict):
    """What is deployed."""

    version: str
    """The package's version."""
    heartbeatUs: int
    """How often Lambda's workers say that they live."""
    workerMemoryMb: NotRequired[int]
    """What Lambda's workers have, and what their time costs by; absent where no Lambda runs steps."""
