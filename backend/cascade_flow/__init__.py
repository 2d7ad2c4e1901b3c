"""Durable workflows on AWS, in Python, with no servers: the public names, and no logic.

Names are looked up when they are first used, so that a process pays only for what it imports.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "authoring": "From Later Poll Retry Skip StepContext Workflow",
    "authoring.limits": "Concurrency Rate",
    "authoring.results": "ItemFailed Results",
    "backend": "Backend DynamoDBBackend",
    "errors": (
        "ArgumentInvalidError BackendUnavailableError CascadeFlowError ConfigurationError ConflictError "
        "DefinitionError EngineDrivenError EventClosedError EventInvalidError EventNotFoundError "
        "GraphInvalidError IdempotencyConflictError InputInvalidError InvalidIdError "
        "PayloadLostError PayloadTooLargeError RunNotCancellableError RunNotFoundError RunNotRetryableError "
        "ScheduleNotFoundError StaleAttemptError StepNotFoundError ThrottledError VersionNotFoundError "
        "WorkflowNotFoundError WorkflowRetiredError WrongPoolError"
    ),
    "fingerprints": "compose_fingerprint compute_error_fingerprints",
    "model.events": (
        "CheckpointRef ErrorFingerprints Event LogEntry ResourceSnapshot ResourceUsage RunSubmitted StepCheckpoint "
        "StepCheckpointFailed StepCompleted StepError StepEvent StepFailed StepHeartbeat StepReclaimed StepRetrying "
        "StepScheduled StepSkipped StepStarted ValidationIssue WorkflowCancelled WorkflowCompleted WorkflowEvent "
        "WorkflowFailed WorkflowInputValidation WorkflowRerunFromStep WorkflowResumed WorkflowRetryStarted "
        "WorkflowStarted dump_event parse_event"
    ),
    "model.reports": (
        "ActiveStep ActiveWorker ActiveWorkers AnalyticsSummary ErrorAnalysis ErrorBreakdown "
        "ErrorDetail ErrorGroup ErrorOccurrence ErrorsPage FrequentError Percentiles QueueDepth RetryAnalysis "
        "SchedulingLatency StepDuration SuccessRate Throughput TimeRange UnstableWorker WorkerStability "
        "WorkflowDuration WorkflowQueueDepth"
    ),
    "model.schedules": "Backfill ScheduleState ScheduledRun",
    "model.states": (
        "AttemptMetadata Checkpoint Claim FailedStep RunPage RunState SentEvent StateChange StepRecord StepRef "
        "StepState SubmittedRun"
    ),
    "model.workflows": (
        "ChildrenDefinition EventDefinition GitInfo RetryTier RunLimit RunSubmission ScheduleDefinition "
        "StepDefinition StepLimit UndoDefinition WorkflowMetadata WorkflowRegistration WorkflowVersion"
    ),
    "projection": (
        "current_attempt_number extract_attempt_metadata extract_logs project_run_state project_step_record "
        "project_step_state version_id_of"
    ),
    "serialization": "safe_serialize",
    "settings": "Settings open_backend",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
__all__ = [*_HOME_OF]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'cascade_flow' has no attribute {name!r}")
    return getattr(import_module(f"cascade_flow.{_HOME_OF[name]}"), name)
