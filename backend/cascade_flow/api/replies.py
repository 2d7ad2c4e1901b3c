"""What answers hold, as types: `representations` and the routes are checked against them, and docs/openapi.json shows
them. Functions never import this module; the text below a field or a type is what the documentation says of it.

What is a translated state of the wire contract is a `Document` of its model, and so has the model's fields.
"""

from __future__ import annotations

from typing import Any, Literal, Never, NotRequired, TypedDict

from cascade_flow.api.children_replies import ChildrenOfStep
from cascade_flow.api.event_replies import EventOfRun
from cascade_flow.api.limit_replies import LimitOfRuns, LimitOfStep, WaitsFor
from cascade_flow.api.names import AsWritten, Document
from cascade_flow.model.events import Event
from cascade_flow.model.parts import ResourceUsage, StepError, StepFailureReason, WorkflowFailureReason
from cascade_flow.model.states import LinkedRun, RunStatus, StepState, SubmittedRun
from cascade_flow.model.workflows import StepDefinition, WorkflowMetadata, WorkflowVersion


class Issue(TypedDict):
    """One fault of a request."""

    path: str
    """Which field, dotted (`input.weights.0`); empty for the whole."""
    message: str
    """What is wrong with it."""


class Problem(TypedDict):
    """What went wrong (RFC 9457): `code` is for programs, `detail` for people."""

    type: str
    """`urn:cascade-flow:problem:` and the code."""
    title: str
    status: int
    code: str
    detail: str
    """What happened, and what to do next."""
    issues: NotRequired[list[Issue]]
    """All that is wrong with the request, up to 50 faults."""
    facts: NotRequired[dict[str, Any]]
    """What is true now: who holds the attempt, in what state the run is."""
    requestId: str
    """By which the functions' log and the API's access log know the request."""


class Nothing(TypedDict):
    """No field beside those of the state."""


class Input(TypedDict, total=False):
    """A run's input, where it was asked for: itself, or where it lies."""

    input: Any
    """The value that was submitted."""
    inputUrl: str
    """Where a large input is read (a gzip file of JSON), by anybody, for 15 minutes; it stands instead of `input`."""


class Output(TypedDict, total=False):
    """An output: itself, or where it lies."""

    output: Any
    """What the workflow returned; null as long as it hasn't, or where it wasn't asked for."""
    outputUrl: str
    """Where a large output is read (a gzip file of JSON), by anybody, for 15 minutes; it stands instead of `output`."""


class WithoutInput(TypedDict):
    """Lists leave inputs out."""

    input: NotRequired[Never]


Run = Document[LinkedRun, WithoutInput]
"""A run by itself, without its input."""
RunWithInput = Document[LinkedRun, Input]
"""A run, with its input where that was asked for."""
Submitted = Document[SubmittedRun, Nothing]
"""The run that stands for a submission; not new where its idempotency key was known."""


class RunPart(TypedDict):
    """A part of a list of runs, newest first."""

    runs: list[Run]
    nextCursor: NotRequired[str]
    """What to ask for as `cursor`, where there may be more."""
    total: NotRequired[int]
    """How many there are in all, where that was asked for; counted up to 10,000."""
    totalIsExact: NotRequired[bool]
    byStatus: NotRequired[dict[str, int]]
    """How many are in each status, where that was asked for; of the newest 10,000."""
    byStatusIsExact: NotRequired[bool]


class RunAlone(TypedDict):
    """A run as it stands now."""

    run: Run


class Failure(TypedDict):
    """Why a run failed, beside its error."""

    failureReason: NotRequired[WorkflowFailureReason]
    failedStep: NotRequired[str]


RunError = Document[StepError, Failure]
"""The error that a run ended with."""


class StepOfGraph(TypedDict):
    """What a run's version says of a step, and why the step was skipped if it was."""

    name: str
    dependencies: list[str]
    exportOutput: bool
    maxAttempts: int
    """How often it is tried at most, all retry policies together."""
    timeoutUs: NotRequired[int]
    executor: NotRequired[str]
    """The pool whose workers carry it out; absent: Lambda's."""
    limit: NotRequired[LimitOfStep]
    """What it must get before it starts."""
    waitsFor: NotRequired[WaitsFor]
    """What it waits for, while that is a limit's."""
    event: NotRequired[EventOfRun]
    """Where it has no code, but waits for something from outside: how that stands."""
    children: NotRequired[ChildrenOfStep]
    """Where runs of their own do its work: how these stand."""
    delayUs: NotRequired[int]
    """How long after all that it waits for it starts."""
    laters: NotRequired[int]
    """How many of its attempts were not ready, and so don't count as tries."""
    laterReason: NotRequired[str]
    """Why the last one wasn't, where it comes again after that."""
    skipReason: NotRequired[str]
    cascadedFrom: NotRequired[str]
    """The step that was skipped first, where this one was skipped because of it."""
    runId: NotRequired[Never]
    workflowSlug: NotRequired[Never]


class StepInBrief(StepOfGraph):
    """Lists leave outputs out."""

    output: NotRequired[Never]


StepOfRun = Document[StepState, StepInBrief]
"""A step of a run: where it stands, and what the workflow says of it."""


class MoreOfRun(TypedDict, total=False):
    """What there isn't of every run, or not wherever it is told of."""

    cancelReason: str
    """What was said when it was cancelled."""
    undoStatus: RunStatus
    """How it stands with the run that undoes it, if there is one."""
    steps: list[StepOfRun]
    """Every step of its graph, in declared order, where they were asked for."""


class RunDetails(Output, MoreOfRun):
    """A run, with its steps."""

    error: RunError | None
    """Why it failed, if it did."""
    run: RunWithInput
    versionId: str
    """The version of the workflow that it runs by."""


class Outside(TypedDict, total=False):
    """Where large texts of an event are read, each instead of the field itself."""

    inputUrl: str
    outputUrl: str
    dataUrl: str


RunEvent = AsWritten[Event, Outside]
"""An event, in the words of the wire contract."""


class EventPage(TypedDict):
    """Events of a run, oldest first."""

    events: list[RunEvent]
    nextUs: NotRequired[int]
    """What to ask for as `afterUs`, where there are more."""


class LogLine(TypedDict):
    """A line that an attempt wrote."""

    timestampUs: int
    stepId: str
    attemptNumber: int
    stream: str
    message: str


class LogPage(TypedDict):
    """Lines of a run's attempts, oldest first."""

    lines: list[LogLine]
    nextUs: NotRequired[int]
    """What to ask for as `afterUs`, where there are more."""


class CurrentVersion(TypedDict):
    """What is known of a workflow now."""

    versionId: str
    description: NotRequired[str]
    """What its code says of it: the docstring of the module that declares it."""
    timeoutUs: NotRequired[int]
    """How long its runs may last, where they say nothing else."""
    runLimit: NotRequired[LimitOfRuns]
    """How many of its runs go on at once; absent: as many as there are."""
    retiredAtUs: NotRequired[int]
    """Since when the deployment has it no more: it takes no runs, and its history stays."""


Workflow = Document[WorkflowMetadata, CurrentVersion]
"""A registered workflow."""


class NotedStep(TypedDict):
    """What the code of a step says of it, where that is known."""

    description: NotRequired[str]
    """The docstring of its function."""
    code: NotRequired[str]
    """Another text wherever its source is another."""


Step = Document[StepDefinition, NotedStep]
"""A step without its code: what it waits for, how it is tried."""
VersionInBrief = Document[WorkflowVersion, Nothing]
"""A workflow as it was at one time; number 1 is the oldest."""


class StepsOfVersion(TypedDict):
    """A version's steps, in declared order."""

    steps: list[Step]


Version = Document[WorkflowVersion, StepsOfVersion]
"""A workflow as it was at one time, with its steps."""


class Workflows(TypedDict):
    """Every workflow that takes runs."""

    workflows: list[Workflow]


class VersionsAndSteps(CurrentVersion):
    """All versions of a workflow, and the steps of its current one."""

    steps: list[Step]
    versions: list[VersionInBrief]


WorkflowDetails = Document[WorkflowMetadata, VersionsAndSteps]
"""A workflow with the steps of its current version, and its versions, whose steps are left out."""


class Outputs(TypedDict):
    """What the steps that a step depends on returned."""

    outputs: dict[str, Any]
    """By step; null of one that was skipped."""
    outputUrls: NotRequired[dict[str, str]]
    """Where large ones are read; what stands here doesn't stand in `outputs`."""
    leftOut: NotRequired[list[str]]
    """The steps whose outputs would make this answer too large: ask for these steps themselves."""


class StepPage(TypedDict):
    """Steps of a run, in declared order."""

    steps: list[StepOfRun]
    nextCursor: NotRequired[str]
    """What to ask for as `cursor`, where there are more."""


Usage = Document[ResourceUsage, Nothing]
"""What an attempt used, from its start to its end."""
AttemptError = Document[StepError, Nothing]
"""What an attempt failed with."""


class AttemptOfStep(TypedDict):
    """One attempt of a step, from its start on."""

    attemptNumber: int
    status: Literal["running", "completed", "failed", "reclaimed", "postponed"]
    """`reclaimed`: taken from a worker that fell silent; `postponed`: it wasn't ready, and another follows."""
    workerId: str
    startedAtUs: int
    endedAtUs: NotRequired[int]
    durationUs: NotRequired[int]
    resourceUsage: NotRequired[Usage]
    error: NotRequired[AttemptError]
    failureReason: NotRequired[StepFailureReason]
    nextRetryAtUs: NotRequired[int]
    """When the next attempt is due, if there is one."""
    laterReason: NotRequired[str]
    """Why it wasn't ready, where it said so."""
    reclaimedBy: NotRequired[str]


class StepInput(Input, Outputs):
    """What a step is given: the run's input, and what the steps that it depends on returned, if they are over."""


class FilesOfStep(StepOfGraph, Output):
    """What is known of a step beside where it stands."""

    input: NotRequired[StepInput]
    attempts: list[AttemptOfStep]


StepFiles = Document[StepState, FilesOfStep]
"""A step of a run: where it stands, what it was given and gave, and each of its attempts."""


class Split(TypedDict):
    """The steps of the workflow's current version, in declared order."""

    keeps: list[str]
    """Those that stay as they are in the new run."""
    runsAgain: list[str]
    """All others."""


class RerunPlan(Split):
    """What a new run would do."""

    versionId: str
    """The version that it would run by."""


GoneOn = Document[SubmittedRun, Split]
"""A new run that goes on from another one."""


class Refused(TypedDict):
    """A run with which it couldn't be done."""

    runId: str
    code: str
    """The problem's code."""
    detail: str


class Piece(TypedDict):
    """What was done with some runs."""

    count: int
    """With how many it was done."""
    refused: list[Refused]
    """With which it wasn't, and why: most often since they had ended."""
    nextCursor: NotRequired[str]
    """What to send as `cursor` to go on, where there may be more."""


class Versions(TypedDict):
    """All versions of a workflow, oldest first, their steps left out."""

    versions: list[VersionInBrief]
