"""The public names, for type checkers: what `__init__` looks up on first use. A test compares the two."""

from cascade_flow.authoring import (
    From as From,
    Retry as Retry,
    Skip as Skip,
    StepContext as StepContext,
    Workflow as Workflow,
)
from cascade_flow.backend import (
    Backend as Backend,
    DynamoDBBackend as DynamoDBBackend,
)
from cascade_flow.errors import (
    BackendUnavailableError as BackendUnavailableError,
    CascadeFlowError as CascadeFlowError,
    ConfigurationError as ConfigurationError,
    ConflictError as ConflictError,
    DefinitionError as DefinitionError,
    EngineDrivenError as EngineDrivenError,
    EventInvalidError as EventInvalidError,
    GraphInvalidError as GraphInvalidError,
    IdempotencyConflictError as IdempotencyConflictError,
    InputInvalidError as InputInvalidError,
    InvalidIdError as InvalidIdError,
    PayloadTooLargeError as PayloadTooLargeError,
    RunNotCancellableError as RunNotCancellableError,
    RunNotFoundError as RunNotFoundError,
    RunNotRetryableError as RunNotRetryableError,
    StaleAttemptError as StaleAttemptError,
    StepNotFoundError as StepNotFoundError,
    ThrottledError as ThrottledError,
    VersionNotFoundError as VersionNotFoundError,
    WorkflowNotFoundError as WorkflowNotFoundError,
)
from cascade_flow.fingerprints import (
    compose_fingerprint as compose_fingerprint,
    compute_error_fingerprints as compute_error_fingerprints,
)
from cascade_flow.model.events import (
    CheckpointRef as CheckpointRef,
    ErrorFingerprints as ErrorFingerprints,
    Event as Event,
    LogEntry as LogEntry,
    ResourceSnapshot as ResourceSnapshot,
    ResourceUsage as ResourceUsage,
    RunSubmitted as RunSubmitted,
    StepCheckpoint as StepCheckpoint,
    StepCheckpointFailed as StepCheckpointFailed,
    StepCompleted as StepCompleted,
    StepError as StepError,
    StepEvent as StepEvent,
    StepFailed as StepFailed,
    StepHeartbeat as StepHeartbeat,
    StepReclaimed as StepReclaimed,
    StepRetrying as StepRetrying,
    StepScheduled as StepScheduled,
    StepSkipped as StepSkipped,
    StepStarted as StepStarted,
    ValidationIssue as ValidationIssue,
    WorkflowCancelled as WorkflowCancelled,
    WorkflowCompleted as WorkflowCompleted,
    WorkflowEvent as WorkflowEvent,
    WorkflowFailed as WorkflowFailed,
    WorkflowInputValidation as WorkflowInputValidation,
    WorkflowRerunFromStep as WorkflowRerunFromStep,
    WorkflowResumed as WorkflowResumed,
    WorkflowRetryStarted as WorkflowRetryStarted,
    WorkflowStarted as WorkflowStarted,
    dump_event as dump_event,
    parse_event as parse_event,
)
from cascade_flow.model.states import (
    AttemptMetadata as AttemptMetadata,
    Checkpoint as Checkpoint,
    Claim as Claim,
    FailedStep as FailedStep,
    RunPage as RunPage,
    RunState as RunState,
    StateChange as StateChange,
    StepRecord as StepRecord,
    StepRef as StepRef,
    StepState as StepState,
    SubmittedRun as SubmittedRun,
)
from cascade_flow.model.workflows import (
    GitInfo as GitInfo,
    RetryTier as RetryTier,
    RunSubmission as RunSubmission,
    StepDefinition as StepDefinition,
    WorkflowMetadata as WorkflowMetadata,
    WorkflowRegistration as WorkflowRegistration,
    WorkflowVersion as WorkflowVersion,
)
from cascade_flow.projection import (
    current_attempt_number as current_attempt_number,
    extract_attempt_metadata as extract_attempt_metadata,
    extract_logs as extract_logs,
    project_run_state as project_run_state,
    project_step_record as project_step_record,
    project_step_state as project_step_state,
    version_id_of as version_id_of,
)
from cascade_flow.serialization import (
    safe_serialize as safe_serialize,
)
from cascade_flow.settings import (
    Settings as Settings,
    open_backend as open_backend,
)
