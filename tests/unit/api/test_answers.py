"""Answers as they leave a function: what stands in every one, what is packed, what is too large, what is logged."""

from __future__ import annotations

import base64
import gzip
import io
import json
import logging
from typing import Any

import pytest

import events
from cascade_flow import errors
from cascade_flow.api import problems, router
from cascade_flow.api.answers import LARGEST_ANSWER_BYTES, PACKED_FROM_BYTES, Answer
from cascade_flow.api.problems import AnswerTooLargeError, problem, shortened
from cascade_flow.api.routes import route
from cascade_flow.model.events import ValidationIssue

ALWAYS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def of_bytes(count: int) -> Answer[str]:
    """An answer whose text is as long."""
    return Answer(200, "x" * (count - 2))


def test_each_says_that_nobody_keeps_or_guesses_it() -> None:
    told = Answer(201, {"ä": 1}, headers={"location": "/runs/r"}).to_event(accepts_gzip=True)
    kind = {"content-type": "application/json", "vary": "accept-encoding"}
    assert told == {"statusCode": 201, "headers": {**ALWAYS, **kind, "location": "/runs/r"}, "body": '{"ä":1}'}
    alone = Answer(204, headers={"x": "y"}).to_event(accepts_gzip=True)
    assert alone == {"statusCode": 204, "headers": {**ALWAYS, "x": "y"}, "body": ""}


@pytest.mark.parametrize("value", [0, "", [], {}, False])
def test_a_value_that_is_little_is_a_body_too(value: Any) -> None:
    assert json.loads(Answer(200, value).to_event(accepts_gzip=False)["body"]) == value


def test_what_is_long_is_packed_for_who_accepts_that() -> None:
    plain = of_bytes(PACKED_FROM_BYTES - 1).to_event(accepts_gzip=True)
    packed = of_bytes(PACKED_FROM_BYTES).to_event(accepts_gzip=True)
    assert "isBase64Encoded" not in plain
    assert packed["headers"]["content-encoding"] == "gzip"
    text = gzip.decompress(base64.b64decode(packed["body"])).decode()
    assert text == of_bytes(PACKED_FROM_BYTES).to_event(accepts_gzip=False)["body"]


def test_what_lambda_does_not_hand_on_is_refused() -> None:
    """Quotes of the text count: it is quoted once more."""
    largest = LARGEST_ANSWER_BYTES - 4
    assert len(of_bytes(largest).to_event(accepts_gzip=False)["body"]) == largest
    with pytest.raises(AnswerTooLargeError) as caught:
        of_bytes(largest + 3).to_event(accepts_gzip=False)
    assert caught.value.facts == {"bytes": LARGEST_ANSWER_BYTES + 3, "limit": LARGEST_ANSWER_BYTES}
    quoted = Answer(200, '"' * 1_500_000)
    with pytest.raises(AnswerTooLargeError):
        quoted.to_event(accepts_gzip=False)


def test_bytes_count_and_not_characters() -> None:
    with pytest.raises(AnswerTooLargeError):
        Answer(200, "ä" * (LARGEST_ANSWER_BYTES // 2)).to_event(accepts_gzip=False)


def test_no_number_is_sent_that_json_does_not_have() -> None:
    with pytest.raises(ValueError, match="JSON"):
        Answer(200, float("nan")).to_event(accepts_gzip=False)


def test_a_text_is_cut_where_nobody_reads_on() -> None:
    longest = "x" * problems.LONGEST_TEXT
    assert shortened(longest) == longest
    assert shortened(longest + "y") == longest[:-1] + "…"


def test_fifty_issues_are_told_and_the_list_not_twice() -> None:
    issues = [ValidationIssue(path=f"input.{number}", message="is wrong") for number in range(51)]
    told = problem(errors.InputInvalidError(issues=issues), request_id="q")
    assert [issue["path"] for issue in told["issues"]] == [f"input.{number}" for number in range(50)]
    assert "\n" not in told["detail"]


def test_a_problem_is_told_whole() -> None:
    told = problem(errors.WorkflowRetiredError("gone", workflow_slug="w"), request_id="q")
    assert told == {
        "type": "urn:cascade-flow:problem:workflow-retired",
        "title": "Workflow retired",
        "status": 409,
        "code": "workflow-retired",
        "detail": "gone",
        "requestId": "q",
        "facts": {"workflowSlug": "w"},
    }


class TestTheLog:
    @pytest.fixture
    def log(self, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
        stream = io.StringIO()
        for handler in logging.getLogger("cascade_flow").handlers:
            monkeypatch.setattr(handler, "stream", stream)
        return stream

    @pytest.mark.parametrize(
        ("error", "logged"),
        [
            (errors.RunNotFoundError("no run"), 0),
            (errors.ConflictError("busy"), 0),
            (errors.ThrottledError("slow"), 1),
            (errors.ConfigurationError("no table"), 1),
            (RuntimeError("no idea"), 1),
        ],
    )
    def test_what_is_ours_is_logged_with_its_cause(self, log: io.StringIO, error: Exception, logged: int) -> None:
        answered = _answered(events.get("/runs"), error)
        lines = [json.loads(line) for line in log.getvalue().splitlines()]
        assert len(lines) == logged
        for line in lines:
            assert str(error) in line["exception"]
            assert line["correlation_id"] == json.loads(answered["body"])["requestId"]

    def test_what_one_request_names_is_not_said_of_the_next(self, log: io.StringIO) -> None:
        def fail() -> Answer[object]:
            raise RuntimeError("no idea")

        handler: Any = router.router(route("GET /runs/{runId}")(fail), route("GET /runs")(fail))
        for target in ("/runs/r-1", "/runs"):
            handler(events.get(target), events.Context())
        assert [json.loads(line).get("run_id") for line in log.getvalue().splitlines()] == ["r-1", None]

    def test_who_is_called_without_a_gateway_has_the_invocations_id(self, log: io.StringIO) -> None:
        event = {**events.get("/runs"), "requestContext": {"http": {"method": "GET"}}}
        body = json.loads(_answered(event, errors.RunNotFoundError("no run"))["body"])
        assert body["requestId"] == events.Context().aws_request_id

    def test_what_was_measured_is_written_whatever_was_answered(
        self, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written: list[int] = []

        class Measured:
            def __enter__(self) -> None:
                """Nothing to begin."""

            def __exit__(self, *_: object) -> None:
                written.append(1)

        monkeypatch.setattr(router, "measured", Measured)
        _answered(events.get("/runs"), RuntimeError("no idea"))
        assert written == [1]


def _answered(event: events.Event, error: Exception) -> dict[str, Any]:
    def fail() -> Answer[object]:
        raise error

    handler: Any = router.router(route("GET /runs")(fail))
    answer: dict[str, Any] = handler(event, events.Context())
    return answer
