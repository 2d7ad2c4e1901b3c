"""`Backend`, the contract: every operation in one place, each delegating to its use case in `operations`.

The names and signatures are the specification's (`docs/backend.pyi`); nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from cascade_flow.contract.analytics import AnalyticsContract
from cascade_flow.contract.argument_checks import checked
from cascade_flow.contract.caller_events import EventsByCallers
from cascade_flow.contract.caller_runs import RunsByCallers
from cascade_flow.contract.caller_steps import StepsByCallers
from cascade_flow.contract.schedules import schedules_of
from cascade_flow.contract.worker_reports import WorkerReports
from cascade_flow.dynamodb import schema
from cascade_flow.engine.state import Timing
from cascade_flow.model.events import Event, LogEntry, StepEvent
from cascade_flow.model.states import (
    FailedStep,
    RunPage,
    RunState,
    SentEvent,
    StepRecord,
    StepRef,
    SubmittedRun,
)
from cascade_flow.model.workflows import (
    RunSubmission,
    StepDefinition,
    WorkflowMetadata,
    WorkflowRegistration,
    WorkflowVersion,
)
from cascade_flow.offload import Bucket
from cascade_flow.operations.analytics import Analytics
from cascade_flow.operations.appends import Appends
from cascade_flow.operations.caller import Caller
from cascade_flow.operations.caller_runs import CallerRuns
from cascade_flow.operations.caller_steps import CallerSteps
from cascade_flow.operations.copies import Copies
from cascade_flow.operations.history import Histories
from cascade_flow.operations.logs import Logs
from cascade_flow.operations.observer import Observer
from cascade_flow.operations.queue import Queue as DueQueue
from cascade_flow.operations.reports import Reports
from cascade_flow.operations.reruns import Reruns
from cascade_flow.operations.retries import Retries
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.signals import Signals
from cascade_flow.operations.views import Views
from cascade_flow.wake import Queue

if TYPE_CHECKING:
    from cascade_flow.operations.schedules import Schedules


@checked
class Backend(WorkerReports, RunsByCallers, StepsByCallers, EventsByCallers, AnalyticsContract):
    """The operations of the specification. Times are microseconds since the epoch, durations carry their unit.

    Every error is a CascadeFlowError; no driver's error leaves this class. Each operation names its own; these may come
    of whatever it asks of AWS, so they are not named again.

    Raises ThrottledError, BackendUnavailableError, ConfigurationError (no table, no permission, or a payload's bucket
    is not named), ConflictError (of writes: others were faster, again and again), ArgumentInvalidError (a value of
    another type or range than is said here), PayloadLostError.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._registry = runtime.registry
        self._runs = Runs(runtime)
        self._retries = Retries(runtime)
        self._reruns = Reruns(runtime)
        self._signals = Signals(runtime)
        caller, histories = Caller(runtime), Histories(runtime)
        self._caller_runs = CallerRuns(runtime, caller)
        self._caller_steps = CallerSteps(runtime, caller)
        self._appends = Appends(runtime, caller)
        self._copies = Copies(runtime, caller, histories)
        self._reports = Reports(runtime, self._caller_steps)
        self._queue = DueQueue(runtime, self._caller_steps)
        self._logs = Logs(runtime)
        self._views = Views(runtime, histories)
        self._analytics = Analytics(runtime)

    # -- lifecycle ------------------------------------------------------------------------------------------------

    def initialize(self) -> None:
        """Create the table where it is missing (local and tests: in the cloud the template owns it). Idempotent."""
        schema.create_table(self.runtime.ledger.table.client, self.runtime.ledger.table.name)

    def backend_ready(self) -> bool:
        """Whether the table can be used; where not, the reason is in the log."""
        return self._registry.answers()

    def close(self) -> None:
        """Let go of connections. Idempotent."""
        self.runtime.ledger.table.client.close()

    # -- registry -------------------------------------------------------------------------------------------------

    def register_workflow(self, registration: WorkflowRegistration) -> None:
        """Make a workflow known, and its version where that is new.

        Raises GraphInvalidError, InvalidIdError, PayloadTooLargeError.
        """
        self._registry.register(registration)

    def get_workflow_metadata(self, slug: str) -> WorkflowMetadata | None:
        """What is known of a workflow but its steps; None where it is unknown. Raises InvalidIdError."""
        return self._registry.metadata(slug)

    def list_workflow_metadata(self) -> list[WorkflowMetadata]:
        """All registered workflows but those that the deployment has no more, by slug: one query."""
        return self._registry.all_metadata()

    def get_workflow_steps(self, slug: str) -> list[StepDefinition]:
        """The steps of the current version; [] where the workflow is unknown. Raises InvalidIdError."""
        return self._registry.steps(slug)

    def create_workflow_version(self, version: WorkflowVersion) -> None:
        """Store a version; one whose id is known stays as it is. Raises InvalidIdError, PayloadTooLargeError."""
        self._registry.create_version(version)

    def get_workflow_version(self, workflow_slug: str, version_id: str) -> WorkflowVersion | None:
        """A version by its id, numbered by age. Raises InvalidIdError."""
        return self._registry.version(workflow_slug, version_id)

    def get_current_workflow_version(self, workflow_slug: str) -> WorkflowVersion | None:
        """The version that new runs get; of a workflow that isn't registered, the newest. Raises InvalidIdError."""
        return self._registry.current_version(workflow_slug)

    def list_workflow_versions(self, workflow_slug: str, *, limit: int | None = None) -> list[WorkflowVersion]:
        """Oldest first; number 1 is the oldest. Raises InvalidIdError."""
        return self._registry.versions(workflow_slug, limit=limit)

    # -- runs -----------------------------------------------------------------------------------------------------

    def submit_run(self, submission: RunSubmission) -> SubmittedRun:
        """Make a run and start it when it is due; one idempotency key makes one run.

        Raises WorkflowNotFoundError, WorkflowRetiredError (the deployment has it no more), InputInvalidError,
        InvalidIdError, IdempotencyConflictError, ConflictError (the run id is taken), PayloadTooLargeError.
        """
        return self._runs.submit(submission)

    def run_exists(self, workflow_slug: str, run_id: str) -> bool:
        """Whether this workflow has this run. Raises InvalidIdError."""
        return self._views.exists(workflow_slug, run_id)

    def get_run(self, run_id: str) -> RunState | None:
        """Where a run stands: one request, whatever its history. Raises InvalidIdError."""
        return self._runs.get(run_id)

    def list_runs(
        self,
        *,
        workflow_slug: str | None = None,
        status: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> RunPage:
        """Runs, newest first; status matches any of those named, tags all of them; `total` counts all that match.

        An input that was put aside for its size is left out: `get_run` has it.

        Raises InvalidIdError (the workflow's).
        """
        return self._runs.page(workflow_slug=workflow_slug, status=status, tags=tags, limit=limit, offset=offset)

    def list_run_ids(self, workflow_slug: str) -> list[str]:
        """The ids of a workflow's runs, newest first. Raises InvalidIdError."""
        return self._runs.ids(workflow_slug)

    def cancel_run(self, run_id: str, reason: str | None = None) -> None:
        """Stop a run; once this returned, nothing of it can be claimed.

        Raises RunNotFoundError, RunNotCancellableError (it has ended, or does a part of another run's work, with which
        it is stopped), InvalidIdError.
        """
        self._runs.cancel(run_id, reason)

    def send_event(self, run_id: str, event: str, data: Any = None, *, key: str | None = None) -> SentEvent:
        """Tell a run that something has happened that it waits for, or will; the first who says it counts.

        `key` is the sender's own for this: who sends the same again, with the same key, is told that it is known.

        Raises RunNotFoundError, EventNotFoundError, InputInvalidError (the data is not what the event takes),
        EventClosedError (somebody else was first, its time is over, or the run's), InvalidIdError,
        PayloadTooLargeError.
        """
        return self._signals.send(run_id, event, data, key=key)

    def retry_run(self, run_id: str, reason: str | None = None) -> RunState:
        """Try a failed or cancelled run again: what failed or was stopped is scheduled anew, what completed is kept.

        Raises RunNotFoundError, RunNotRetryableError (it has neither failed nor been cancelled, its caller drives it,
        or it does a part of another run's work), ConflictError (somebody else is trying it again), InvalidIdError.
        """
        return self._runs.state_of(self._retries.retry(run_id, reason))

    def rerun_from(self, *, parent_run_id: str, from_step_id: str, input: Any = None) -> SubmittedRun:
        """A new run on the current version: a step and all that depend on it run again, the others' results are kept.

        `input` replaces the parent's. The engine drives the new run, whoever drove the parent; of a caller's run those
        steps are kept that are told as the engine would have, each scheduled when what it depends on was over.

        Raises RunNotFoundError, WorkflowNotFoundError (a caller's run may be of one that nobody has registered),
        WorkflowRetiredError, StepNotFoundError (the current version has none such), InputInvalidError, InvalidIdError,
        PayloadTooLargeError, RunNotRetryableError (it does a part of another run's work).
        """
        return self._reruns.rerun_from(parent_run_id, from_step_id, input)

    def resume_run(self, run_id: str) -> SubmittedRun:
        """A new run on the current version that keeps the completed steps of a failed or cancelled one.

        Who drives it, and what is kept of a caller's run: as `rerun_from`.

        Raises RunNotFoundError, WorkflowNotFoundError (a caller's run may be of one that nobody has registered),
        WorkflowRetiredError, RunNotRetryableError (it has neither failed nor been cancelled, all of its steps are over,
        or it does a part of another's work), InputInvalidError (it doesn't fit the current version), InvalidIdError.
        """
        return self._reruns.resume(run_id)

    def load_step_logs(
        self, workflow_slug: str, run_id: str, step_id: str, attempt_number: int | None = None
    ) -> list[LogEntry] | None:
        """A step's log lines, in order; None where there is no such run. Raises InvalidIdError."""
        return self._logs.load(run_id, step_id, attempt_number, workflow_slug=workflow_slug)

    # -- events ---------------------------------------------------------------------------------------------------

    def load_events(
        self,
        workflow_slug: str,
        run_id: str,
        *,
        category: Literal["workflow", "step"] | None = None,
        step_id: str | None = None,
        types: Sequence[str] | None = None,
    ) -> list[Event]:
        """A run's events, in order; log lines are read only where the filter admits LogEntry. Raises InvalidIdError."""
        return self._views.events(run_id, category=category, step_id=step_id, types=types, workflow_slug=workflow_slug)

    def load_step_events_for_projection(self, workflow_slug: str, run_id: str) -> dict[str, list[StepEvent]]:
        """The step events by step, without LogEntry, StepHeartbeat and StepRetrying. Raises InvalidIdError."""
        return self._views.step_events(workflow_slug, run_id)

    def load_run(self, workflow_slug: str, run_id: str) -> list[StepRecord]:
        """The smaller view of a run's steps. Raises InvalidIdError."""
        return self._views.records(workflow_slug, run_id)

    def get_failed_steps(self, workflow_slug: str, run_id: str) -> list[FailedStep]:
        """The steps that failed for good, with their errors. Raises InvalidIdError."""
        return self._views.failed_steps(workflow_slug, run_id)

    # -- schedules ------------------------------------------------------------------------------------------------

    @property
    def schedules(self) -> Schedules:
        """What people do with the schedules that workflows declare: beside the specification's operations."""
        return schedules_of(self.runtime)

    # -- the queue ------------------------------------------------------------------------------------------------

    def list_scheduled_steps(
        self, *, available_before_us: int | None = None, workflow_slug: str | None = None, limit: int | None = None
    ) -> list[StepRef]:
        """Scheduled steps that are due, higher priority first, then the longest waiting; costs what is live.

        Raises InvalidIdError (the workflow's).
        """
        return self._queue.scheduled(available_before_us=available_before_us, workflow_slug=workflow_slug, limit=limit)

    def reclaim_stale_steps(self, stale_threshold_us: int, reclaimed_by: str) -> list[StepRef]:
        """Take running steps away from workers that were silent for longer, each once; they are scheduled again.

        Raises InvalidIdError (who reclaims is no worker).
        """
        return self._queue.reclaim(stale_threshold_us, reclaimed_by)


class DynamoDBBackend(Backend):
    """The backend on one DynamoDB table. Endpoint, region and credentials: the client's, else boto3's usual ones.

    Without a bucket (its name, or an opened `Bucket`) payloads beyond an item's limit raise PayloadTooLargeError.
    """

    def __init__(
        self,
        table_name: str = "cascade-flow",
        *,
        client: Any = None,
        bucket: str | Bucket | None = None,
        queue: Queue | None = None,
        timing: Timing | None = None,
        observer: Observer | None = None,
    ) -> None:
        opened = Runtime.open(table_name, client=client, bucket=bucket, queue=queue, timing=timing, observer=observer)
        super().__init__(opened)
