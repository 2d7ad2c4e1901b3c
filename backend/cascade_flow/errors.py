"""Every error of this project, sorted by what its reader does next.

    CascadeFlowError
    ├── RequestError                mend the request, then send it again
    │   ├── InvalidIdError              (also ValueError)
    │   ├── ArgumentInvalidError        (also ValueError, TypeError)
    │   ├── InputInvalidError           (also ValueError)
    │   ├── EventInvalidError           (also ValueError)
    │   ├── GraphInvalidError           (also ValueError)
    │   ├── DefinitionError             (also ValueError)
    │   ├── PayloadTooLargeError
    │   ├── IdempotencyConflictError
    │   ├── EngineDrivenError
    │   ├── WrongPoolError
    │   ├── RunNotRetryableError
    │   └── ReportTooLargeError
    ├── GoneError                   it isn't there, or it is over: sending again won't help
    │   ├── RunNotFoundError
    │   ├── WorkflowNotFoundError
    │   ├── WorkflowRetiredError
    │   ├── StepNotFoundError
    │   ├── EventNotFoundError
    │   ├── EventClosedError
    │   ├── VersionNotFoundError
    │   ├── WorkerNotFoundError
    │   ├── ScheduleNotFoundError
    │   ├── PayloadLostError
    │   ├── StaleAttemptError
    │   └── RunNotCancellableError
    ├── TransientError              nothing is wrong with the request: send it again, later
    │   ├── ConflictError
    │   ├── ThrottledError
    │   ├── BackendUnavailableError
    │   └── UnhealthyError
    └── SetupError                  mend the set-up: configuration, permissions, resources
        └── ConfigurationError

IssuesError is mixed into those that name several faults at once. The docstring of a class is its message where none
is given; `code` names the class on the wire.
Bottom floor: the standard library only; no error of a driver, of HTTP or of Lambda may be known here.
"""

from __future__ import annotations

from collections.abc import Iterable
from inspect import cleandoc
from typing import Any, ClassVar, Protocol

LONGEST_MESSAGE = 4_000


class Issue(Protocol):
    """One thing that is wrong with what was given: where, and what."""

    @property
    def path(self) -> str: ...

    @property
    def message(self) -> str: ...


class CascadeFlowError(Exception):
    """Something went wrong in cascade-flow. The facts say what is true now."""

    code: ClassVar[str] = "cascade-flow-error"

    def __init__(self, message: str | None = None, **facts: Any) -> None:
        super().__init__(_bounded(message or _default_message(type(self), facts)))
        self.facts = facts

    @property
    def message(self) -> str:
        """The text for people: what happened and what to do next."""
        return str(self)


class IssuesError(CascadeFlowError):
    """What was given has faults: mend each of them. `issues` names them, and the default message lists them."""

    code = "issues"

    def __init__(self, message: str | None = None, *, issues: Iterable[Issue] = (), **facts: Any) -> None:
        self.issues: list[Issue] = list(issues)
        lines = [f"  {issue.path or '(the whole)'}: {issue.message}" for issue in self.issues]
        super().__init__(message or "\n".join([_default_message(type(self), facts), *lines]), **facts)


class RequestError(CascadeFlowError):
    """The request can't be done as it stands: mend it, then send it again."""

    code = "request"


class GoneError(CascadeFlowError):
    """What the request is about isn't there, or is over: sending it again won't help."""

    code = "gone"


class TransientError(CascadeFlowError):
    """Nothing is wrong with the request: send it again, later."""

    code = "transient"


class SetupError(CascadeFlowError):
    """The set-up doesn't allow this: mend the configuration, permissions or resources."""

    code = "setup"


class InvalidIdError(RequestError, ValueError):
    """An id may hold letters, digits, `_`, `.` and `-`, begins with a letter or digit, and has at most 256 of them."""

    code = "invalid-id"


class ArgumentInvalidError(RequestError, IssuesError, ValueError, TypeError):
    """The operation was given what it doesn't take: mend the arguments named below."""

    code = "argument-invalid"


class InputInvalidError(RequestError, IssuesError, ValueError):
    """The input doesn't match the workflow's input schema: mend the fields named below."""

    code = "input-invalid"


class EventInvalidError(RequestError, IssuesError, ValueError):
    """This is no event of the wire contract: mend the fields named below."""

    code = "event-invalid"


class GraphInvalidError(RequestError, IssuesError, ValueError):
    """The steps don't form a graph without cycles: mend the steps named below."""

    code = "graph-invalid"


class DefinitionError(RequestError, IssuesError, ValueError):
    """The workflow is declared wrongly: mend the declaration."""

    code = "definition"


class PayloadTooLargeError(RequestError):
    """The payload is larger than an item can hold, and there is no bucket: make it smaller, or configure a bucket."""

    code = "payload-too-large"


class IdempotencyConflictError(RequestError):
    """This idempotency key was used for another submission: use a new key, or send the same content."""

    code = "idempotency-conflict"


class EngineDrivenError(RequestError):
    """This run is driven by the engine, which does this step of the way itself: report the step's result instead."""

    code = "engine-driven"


class WrongPoolError(RequestError):
    """This step is another pool's: claim it for the pool that the facts name, or without one where they name none."""

    code = "wrong-pool"


class RunNotRetryableError(RequestError):
    """Only a run that failed or was cancelled can be tried again: wait for its end, or submit a new one."""

    code = "run-not-retryable"


class ReportTooLargeError(RequestError):
    """The range holds more than can be read in time: ask for a shorter one, or for one workflow."""

    code = "report-too-large"


class RunNotFoundError(GoneError):
    """There is no such run: check the id; a run is deleted once its retention has passed."""

    code = "run-not-found"


class WorkflowNotFoundError(GoneError):
    """There is no such workflow: check the slug, or register the workflow first."""

    code = "workflow-not-found"


class WorkflowRetiredError(GoneError):
    """The deployment no longer has this workflow: deploy code that declares it; its history and its runs stay."""

    code = "workflow-retired"


class StepNotFoundError(GoneError):
    """The run has no such step: check the id against the workflow's version that the run names."""

    code = "step-not-found"


class EventNotFoundError(GoneError):
    """The run waits for no such event from outside: check the name against those that its workflow declares."""

    code = "event-not-found"


class EventClosedError(GoneError):
    """The event takes nothing any more: it was sent already, its time is over, or its run. The facts say which."""

    code = "event-closed"


class VersionNotFoundError(GoneError):
    """The workflow has no such version: check the id, or register the workflow first."""

    code = "version-not-found"


class WorkerNotFoundError(GoneError):
    """No run that is running knows this worker: check the id."""

    code = "worker-not-found"


class ScheduleNotFoundError(GoneError):
    """The workflow has no such schedule: check the name; one that its code no longer declares is taken out."""

    code = "schedule-not-found"


class PayloadLostError(GoneError):
    """A payload of this run is there no more: run the workflow anew."""

    code = "payload-lost"


class StaleAttemptError(GoneError):
    """This attempt is no longer held: stop the work, nothing of it was stored. The facts say who holds what now."""

    code = "stale-attempt"


class RunNotCancellableError(GoneError):
    """The run has ended already: there is nothing left to cancel."""

    code = "run-not-cancellable"


class ConflictError(TransientError):
    """Another writer was faster, again and again: nothing was written; send the request again."""

    code = "conflict"


class ThrottledError(TransientError):
    """The database asks for a slower pace: nothing was written; send the request again, later."""

    code = "throttled"


class BackendUnavailableError(TransientError):
    """The database can't be reached: whether the request was done is unknown; send it again, later."""

    code = "backend-unavailable"


class UnhealthyError(TransientError):
    """The engine does not work as it should: the facts say which check failed, and how."""

    code = "unhealthy"


class ConfigurationError(SetupError):
    """A setting is missing or wrong: mend the configuration."""

    code = "configuration"


def _bounded(text: str) -> str:
    """A message is for people: one that quotes what is long is cut."""
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}… ({len(text):,} characters)"


def _default_message(error: type[CascadeFlowError], facts: dict[str, Any]) -> str:
    text = " ".join(cleandoc(error.__doc__ or error.__name__).split())
    listed = ", ".join(f"{name}={value!r}" for name, value in facts.items())
    return f"{text} ({listed})" if listed else text
