"""Errors as HTTP says them: one table from error to status, and the problem document (RFC 9457) that tells of it.

Nothing but the error itself decides; what is our own mistake is never told in detail. No framework may be known here:
the client reads problems with this module too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_camel, to_snake

from cascade_flow.errors import (
    BackendUnavailableError,
    CascadeFlowError,
    ConflictError,
    EngineDrivenError,
    EventClosedError,
    EventInvalidError,
    GoneError,
    GraphInvalidError,
    IdempotencyConflictError,
    InputInvalidError,
    IssuesError,
    PayloadLostError,
    PayloadTooLargeError,
    ReportTooLargeError,
    RequestError,
    RunNotCancellableError,
    RunNotRetryableError,
    StaleAttemptError,
    ThrottledError,
    TransientError,
    WorkflowRetiredError,
    WrongPoolError,
)
from cascade_flow.model.events import ValidationIssue
from cascade_flow.serialization import safe_serialize

if TYPE_CHECKING:
    from cascade_flow.api.replies import Issue, Problem

MEDIA_TYPE = "application/problem+json"
INTERNAL = "internal"
"""The code of a mistake of ours, whatever it was."""
TYPE_PREFIX = "urn:cascade-flow:problem:"
MOST_ISSUES = 50
LONGEST_TEXT = 1_000


class RequestInvalidError(RequestError, IssuesError, ValueError):
    """The request is not what this address takes: mend the fields named below."""

    code = "request-invalid"


class RouteNotFoundError(GoneError):
    """There is nothing at this address: check the path."""

    code = "route-not-found"


class MethodNotAllowedError(RequestError):
    """This address does not take this method. The facts say which it takes."""

    code = "method-not-allowed"


class AnswerTooLargeError(RequestError):
    """The answer is too large to be sent as it is: accept gzip (Accept-Encoding), or ask for less (`payloads=false`,
    `steps=false`, `limit`).
    """

    code = "answer-too-large"


STATUSES: Mapping[type[CascadeFlowError], int] = {
    RequestError: 400,
    InputInvalidError: 422,
    EventInvalidError: 422,
    GraphInvalidError: 422,
    PayloadTooLargeError: 413,
    IdempotencyConflictError: 409,
    EngineDrivenError: 409,
    WrongPoolError: 409,
    MethodNotAllowedError: 405,
    AnswerTooLargeError: 406,
    ReportTooLargeError: 422,
    GoneError: 404,
    PayloadLostError: 410,
    StaleAttemptError: 409,
    RunNotCancellableError: 409,
    EventClosedError: 409,
    RunNotRetryableError: 409,
    WorkflowRetiredError: 409,
    TransientError: 503,
    ConflictError: 409,
    CascadeFlowError: 500,
}
"""An error has the status of its nearest class in this table."""

RETRY_AFTER_S: Mapping[type[CascadeFlowError], int] = {ThrottledError: 1, BackendUnavailableError: 2}


def status_of(error: CascadeFlowError) -> int:
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def headers_of(error: CascadeFlowError) -> dict[str, str]:
    """What the error adds to an answer's headers."""
    seconds = next((RETRY_AFTER_S[kind] for kind in type(error).__mro__ if kind in RETRY_AFTER_S), None)
    allowed = error.facts.get("allowed") if isinstance(error, MethodNotAllowedError) else None
    named = {"retry-after": seconds, "allow": allowed and ", ".join(allowed)}
    return {name: str(value) for name, value in named.items() if value}


def problem(error: CascadeFlowError, *, request_id: str) -> Problem:
    """The problem document of an error."""
    status = status_of(error)
    if status == 500:
        return internal_problem(request_id=request_id)
    told = _told(error.code, status, _detail(error), request_id)
    if isinstance(error, IssuesError):
        told["issues"] = list(_issues(error))
    if error.facts:
        told["facts"] = _on_the_wire(error.facts)
    return told


def internal_problem(*, request_id: str) -> Problem:
    """The problem document of a mistake of ours: it says where to look, and nothing of what is inside."""
    detail = f"Something is wrong on our side; the function's log says what, under the request id {request_id}."
    return _told(INTERNAL, 500, detail, request_id)


def _told(code: str, status: int, detail: str, request_id: str) -> Problem:
    return {
        "type": f"{TYPE_PREFIX}{code}",
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
        "requestId": request_id,
    }


def _on_the_wire(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {to_camel(name): json.loads(safe_serialize(value)) for name, value in facts.items()}


def _detail(error: CascadeFlowError) -> str:
    """The message, without the list of issues that is told beside it."""
    return shortened(error.message.split("\n  ", 1)[0] if isinstance(error, IssuesError) else error.message)


def _issues(error: IssuesError) -> Iterator[Issue]:
    for issue in error.issues[:MOST_ISSUES]:
        yield {"path": shortened(issue.path), "message": shortened(issue.message)}


def shortened(text: str) -> str:
    """The text, cut where nobody reads on."""
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def raised(document: Mapping[str, Any]) -> CascadeFlowError:
    """The error that a problem document tells of; one whose code is unknown here has the nearest class."""
    kind = {known.code: known for known in _below(CascadeFlowError)}.get(document["code"])
    status = document.get("status", 500)
    kind = kind or (RequestError if status < 500 else CascadeFlowError)
    issues = [ValidationIssue.model_validate(issue) for issue in document.get("issues", [])]
    lines = [f"  {issue.path or '(the whole)'}: {issue.message}" for issue in issues]
    message = "\n".join([document.get("detail", ""), *lines])
    facts = {to_snake(name): value for name, value in document.get("facts", {}).items()}
    return kind(message, issues=issues, **facts) if issubclass(kind, IssuesError) else kind(message, **facts)


def _below(kind: type[CascadeFlowError]) -> Iterator[type[CascadeFlowError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _below(child)
