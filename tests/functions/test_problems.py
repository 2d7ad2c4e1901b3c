"""Errors as HTTP says them: the table, what is told and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

import events
from cascade_flow import clock, errors
from cascade_flow.api import problems
from cascade_flow.api.answers import Answer
from cascade_flow.api.problems import headers_of, problem, raised, status_of
from cascade_flow.api.router import router
from cascade_flow.api.routes import Act, route
from cascade_flow.model.events import ValidationIssue
from events.deployed import Functions
from simulation import TickingClock
from testbed.faults import Kind, faults

pytestmark = pytest.mark.servers("ministack")

STATUSES = {
    "RequestError": 400,
    "RequestInvalidError": 400,
    "InvalidIdError": 400,
    "ArgumentInvalidError": 400,
    "InputInvalidError": 422,
    "EventInvalidError": 422,
    "GraphInvalidError": 422,
    "DefinitionError": 400,
    "PayloadTooLargeError": 413,
    "IdempotencyConflictError": 409,
    "EngineDrivenError": 409,
    "WrongPoolError": 409,
    "MethodNotAllowedError": 405,
    "AnswerTooLargeError": 406,
    "ReportTooLargeError": 422,
    "GoneError": 404,
    "RouteNotFoundError": 404,
    "PayloadLostError": 410,
    "RunNotFoundError": 404,
    "WorkflowNotFoundError": 404,
    "StepNotFoundError": 404,
    "WorkerNotFoundError": 404,
    "ScheduleNotFoundError": 404,
    "EventNotFoundError": 404,
    "LimitNotFoundError": 404,
    "EventClosedError": 409,
    "VersionNotFoundError": 404,
    "StaleAttemptError": 409,
    "RunNotCancellableError": 409,
    "RunNotRetryableError": 409,
    "WorkflowRetiredError": 409,
    "TransientError": 503,
    "ConflictError": 409,
    "ThrottledError": 503,
    "BackendUnavailableError": 503,
    "UnhealthyError": 503,
    "SetupError": 500,
    "ConfigurationError": 500,
    "IssuesError": 500,
    "CascadeFlowError": 500,
}


def every_error() -> list[type[errors.CascadeFlowError]]:
    found = [errors.CascadeFlowError]
    for kind in found:
        found += [child for child in kind.__subclasses__() if child.__module__.startswith("cascade_flow.")]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_has_its_status_and_comes_back_as_itself(kind: type[errors.CascadeFlowError]) -> None:
    error = kind("what happened", run_id="r-1")
    document = problem(error, request_id="q-1")
    assert status_of(error) == document["status"] == STATUSES[kind.__name__]
    assert document["requestId"] == "q-1"
    if document["status"] != 500:
        back = raised(json.loads(json.dumps(document)))
        assert (type(back), str(back), back.facts) == (kind, "what happened", {"run_id": "r-1"})


def test_issues_come_back_too() -> None:
    issues = [ValidationIssue(path="input.a", message="is wrong"), ValidationIssue(path="", message="is odd")]
    error = errors.InputInvalidError(issues=issues)
    back = raised(problem(error, request_id="q"))
    assert isinstance(back, errors.InputInvalidError)
    assert (str(back), back.issues) == (str(error), issues)


def test_an_unknown_problem_is_the_nearest_error() -> None:
    assert type(raised({"code": "out-of-tea", "status": 418, "detail": "no"})) is errors.RequestError
    assert type(raised({"code": "internal", "status": 500, "detail": "no"})) is errors.CascadeFlowError


def test_who_should_try_again_is_told_when() -> None:
    assert headers_of(errors.ThrottledError()) == {"retry-after": "1"}
    assert headers_of(errors.BackendUnavailableError()) == {"retry-after": "2"}
    assert headers_of(errors.ConflictError()) == {}


def test_a_mistake_of_ours_is_a_500_that_tells_nothing() -> None:
    def broken() -> Answer[object]:
        raise RuntimeError("secret")

    answer = _answered(broken)
    assert answer["statusCode"] == 500
    assert "secret" not in answer["body"]
    request_id = json.loads(answer["body"])["requestId"]
    assert request_id == events.load("http_api_get")["requestContext"]["requestId"]


def test_a_wrong_set_up_is_a_500_that_tells_nothing() -> None:
    def broken() -> Answer[object]:
        raise errors.ConfigurationError("CASCADE_TABLE is secret")

    answer = _answered(broken)
    assert answer["statusCode"] == 500
    assert "secret" not in answer["body"]


def test_an_answer_that_is_too_large_is_refused_in_words() -> None:
    def large() -> Answer[object]:
        return Answer(200, {"text": '"' * 2_000_000})

    refused = _answered(large)
    assert (refused["statusCode"], json.loads(refused["body"])["code"]) == (406, "answer-too-large")
    packed = _answered(large, {"accept-encoding": "gzip"})
    assert (packed["statusCode"], packed["isBase64Encoded"]) == (200, True)


def test_a_table_that_asks_for_a_slower_pace_is_a_503(functions: Functions) -> None:
    assert _failing(functions, Kind.THROTTLE) == (503, "throttled", "1")


def test_a_table_that_can_not_be_reached_is_a_503(functions: Functions) -> None:
    assert _failing(functions, Kind.DROP_BEFORE) == (503, "backend-unavailable", "2")


def _answered(act: Act, headers: dict[str, str] | None = None) -> dict[str, Any]:
    handler: Any = router(route("GET /runs")(act))
    answer: dict[str, Any] = handler(events.get("/runs", headers=headers), events.Context())
    return answer


def _failing(functions: Functions, kind: Kind) -> tuple[int, str, str]:
    """What GET /workflows says while every request to the table ends like this."""
    client = functions.backend.runtime.ledger.table.client
    with clock.use(TickingClock(clock.now_us())), faults(lambda *_: kind, client):
        reply = functions.http("query", events.get("/workflows"))
    return reply.status, reply.json["code"], reply.headers["retry-after"]


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in every_error()]
    assert len(codes) == len(set(codes))
    assert set(problems.STATUSES) <= set(every_error())
