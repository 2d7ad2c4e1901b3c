"""Requests that no careful caller sends: each is refused with its pinned status, code and place; none breaks us."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

import events
from events.deployed import Functions

pytestmark = pytest.mark.servers("ministack")

FINE: dict[str, Any] = {"workflowSlug": "parcels", "input": {"weights": [1]}}


@dataclass(frozen=True)
class Case:
    """A request to a function, and how it must be refused; `path` is the place of the first issue."""

    name: str
    event: events.Event
    status: int = 400
    code: str = "request-invalid"
    path: str | None = None
    function: str = "submission"


def submission(
    name: str, path: str | None = None, *, status: int = 400, code: str = "request-invalid", **body: Any
) -> Case:
    return Case(name, events.post("/runs", {**FINE, **body}), status, code, path)


def raw(name: str, body: str | bytes, path: str = "", *, status: int = 400, code: str = "request-invalid") -> Case:
    return Case(name, events.post("/runs", raw=body), status, code, path)


def query(target: str, path: str | None = None, *, status: int = 400, code: str = "request-invalid") -> Case:
    return of("query", target, path, status=status, code=code)


def of(
    function: str, target: str, path: str | None = None, *, status: int = 400, code: str = "request-invalid"
) -> Case:
    return Case(f"GET {target}"[:60], events.get(target), status, code, path, function)


def to(
    function: str, target: str, body: Any, path: str | None, *, status: int = 400, code: str = "request-invalid"
) -> Case:
    return Case(f"{target} {json.dumps(body)}"[:60], events.post(target, body), status, code, path, function)


def inside(text: str) -> str:
    """A submission whose input is this JSON text."""
    return f'{{"workflowSlug": "parcels", "input": {text}}}'


BEAT = {"workerId": "w", "attemptNumber": 1}

BODIES = [
    Case("no body", events.post("/runs"), path="workflowSlug"),
    raw("empty text", "", "workflowSlug"),
    raw("spaces", "   "),
    raw("no JSON", "{workflowSlug: parcels}"),
    raw("half of a document", '{"workflowSlug": "par'),
    raw("two documents", "{} {}"),
    raw("a byte order mark", "\ufeff{}"),
    raw("a list", "[]"),
    raw("a string", '"parcels"'),
    raw("null", "null"),
    raw("no UTF-8", b'{"workflowSlug": "\xff\xfe"}'),
    raw("UTF-16", '{"workflowSlug": "parcels"}'.encode("utf-16")),
    raw("compressed", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"),
    Case("no base64", {**events.post("/runs", raw=b"x"), "body": "***"}, path=""),
    raw("NaN", inside("NaN"), "input"),
    raw("Infinity", inside('{"a": [1, -Infinity]}'), "input.a.1"),
    raw("a number beyond all", inside('{"a": 1e999}'), "input.a"),
    raw("a very long number", inside("9" * 5_000), "input"),
    raw("a name twice", inside('{"a": {"b": 1, "c": 2, "b": 3}}'), "input.a"),
    raw("a name twice at the top", '{"workflowSlug": "a", "workflowSlug": "b"}'),
    raw("half of a character", inside('["\\ud800"]'), "input.0"),
    raw("half of a character in a name", inside('{"a": {"\\udfff": 1}}'), "input.a"),
    raw("deeply nested", inside("[" * 32 + "]" * 32), ".".join(["input", *["0"] * 31])),
    raw("nested beyond all", inside("[" * 100_000 + "]" * 100_000)),
    raw("nested objects", inside('{"a":' * 40_000 + "1" + "}" * 40_000)),
    raw("too large", inside(f'"{"a" * 262_144}"'), status=413, code="payload-too-large"),
    raw("too large as base64", inside(f'"{"a" * 262_144}"').encode(), status=413, code="payload-too-large"),
    raw("an unknown name", '{"workflowSlug": "parcels", "inptu": {}}', "inptu"),
    raw("a hostile name", '{"workflowSlug": "parcels", "__proto__": {}}', "__proto__"),
    raw("another case", '{"workflow_slug": "parcels"}', "workflowSlug"),
]

FIELDS = [
    submission("a slug with a separator", "workflowSlug", workflowSlug="a#b"),
    submission("a slug with a path", "workflowSlug", workflowSlug="../runs"),
    submission("a slug that is empty", "workflowSlug", workflowSlug=""),
    submission("a slug that is long", "workflowSlug", workflowSlug="a" * 257),
    submission("a slug that is a number", "workflowSlug", workflowSlug=1),
    submission("a slug with a line's end", "workflowSlug", workflowSlug="parcels\n"),
    submission("a slug in other letters", "workflowSlug", workflowSlug="pаrcels"),  # noqa: RUF001
    submission("a run id with a separator", "runId", runId="R#1"),
    submission("a run id that is an object", "runId", runId={"S": "1"}),
    submission("a time in seconds as text", "availableAtUs", availableAtUs="1795370280"),
    submission("a time in a century", "availableAtUs", availableAtUs=4_900_000_000_000_000),
    submission("a time before 1970", "availableAtUs", availableAtUs=-1),
    submission("a time with a fraction", "availableAtUs", availableAtUs=1.5),
    submission("a delay that is negative", "delayUs", delayUs=-1),
    submission("a delay beyond a year", "delayUs", delayUs=1e300),
    submission("a delay that is true", "delayUs", delayUs=True),
    submission("a time and a delay", "delayUs", availableAtUs=0, delayUs=1),
    submission("a timeout of nothing", "timeoutUs", timeoutUs=0),
    submission("a timeout beyond a year", "timeoutUs", timeoutUs=40_000_000_000_000),
    submission("a priority beyond all", "priority", priority=10**30),
    submission("a priority with a fraction", "priority", priority=0.5),
    submission("a key that is empty", "idempotencyKey", idempotencyKey=""),
    submission("a key that is long", "idempotencyKey", idempotencyKey="k" * 257),
    submission("metadata that is a list", "metadata", metadata=[]),
    submission("metadata that is large", "metadata", metadata={"a": "ä" * 5_000}),
    submission("tags that are one text", "tags", tags="blue"),
    submission("51 tags", "tags", tags=[str(n) for n in range(51)]),
    submission("a tag that is long", "tags.1", tags=["fine", "t" * 129]),
    submission("a tag that is empty", "tags.0", tags=[""]),
    Case(
        "a key in the header that is long",
        events.post("/runs", FINE, headers={"idempotency-key": "k" * 257}),
        path="idempotency-key",
    ),
    Case(
        "two keys",
        events.post("/runs", {**FINE, "idempotencyKey": "a"}, headers={"Idempotency-Key": "b"}),
        path="idempotencyKey",
    ),
    submission("an unknown workflow", status=404, code="workflow-not-found", workflowSlug="letters"),
    submission("no input", "input", status=422, code="input-invalid", input=None),
    submission(
        "an input of another type", "input.weights.0", status=422, code="input-invalid", input={"weights": ["x"]}
    ),
    submission(
        "an input out of range", "input.weights.1", status=422, code="input-invalid", input={"weights": [1, -1]}
    ),
]

ADDRESSES = [
    query("/", status=404, code="route-not-found"),
    query("/run", status=404, code="route-not-found"),
    query("/runs/", status=404, code="route-not-found"),
    query("/runs/a/b", status=404, code="route-not-found"),
    query("/runs/a/events/", status=404, code="route-not-found"),
    query("/runs/nobody", status=404, code="run-not-found"),
    query("/runs/nobody/events", status=404, code="run-not-found"),
    query("/runs/nobody/logs", status=404, code="run-not-found"),
    query("/runs/a%2Fb", status=404, code="route-not-found"),
    query("/runs/a%252Fb", "runId"),
    query("/runs/a#b", status=404, code="run-not-found"),  # what follows a # never leaves the caller
    query("/runs/a b", "runId"),
    query("/runs/a%00b", "runId"),
    query("/runs/" + "a" * 257, "runId"),
    query("/runs/..", "runId"),
    query("/runs/ä", "runId"),
    query("/workflows/letters", status=404, code="workflow-not-found"),
    query("/workflows/a$b", "slug"),
    query("/workflows?limit=1", "limit"),
    query("/workflows/parcels?a=1", "a"),
    query("/runs/nobody?a=1", "a"),
    query("/runs?limit=0", "limit"),
    query("/runs?limit=201", "limit"),
    query("/runs?limit=ten", "limit"),
    query("/runs?limit=1&limit=2", "limit"),
    query("/runs?offset=-1", "offset"),
    query("/runs?offset=10001", "offset"),
    query("/runs?offset=1&cursor=5~r", "offset"),
    query("/runs?createdAfterUs=today", "createdAfterUs"),
    query("/runs?createdBeforeUs=-1", "createdBeforeUs"),
    query("/runs/nobody/steps", status=404, code="run-not-found"),
    query("/runs/nobody/steps?limit=1001", "limit"),
    query("/runs/nobody/steps?cursor=x", "cursor"),
    query("/runs/nobody/steps/a?payloads=some", "payloads"),
    query("/runs/nobody/steps/a%00b", "stepId"),
    query("/runs/nobody/rerun", status=404, code="run-not-found"),
    query("/runs/nobody/rerun?fromStepId=%2Fa", "fromStepId"),
    query("/runs/nobody/rerun?from=a", "from"),
    query("/workflows/parcels/versions?limit=1", "limit"),
    query("/workflows/letters/versions", status=404, code="workflow-not-found"),
    query("/runs?total=many", "total"),
    *(query(f"/runs?cursor={odd}", "cursor") for odd in ("", "1", "-1~r", "~r", "x~r", "1.5~r", "%C2%B2~r")),
    query("/runs?cursor=" + "9" * 5_000 + "~r", "cursor"),
    query("/runs?status=done", "status.0"),
    query("/runs?status=", "status.0"),
    query("/runs?tag=", "tag.0"),
    query("/runs?workflow=a%23b", "workflow"),
    query("/runs?workflow=letters", status=404, code="workflow-not-found"),
    query("/runs?tag=%FF", ""),
    query("/runs?" + "tag=a&" * 101, ""),
    query("/runs?workflows=a", "workflows"),
    query("/runs/nobody/events?afterUs=now", "afterUs"),
    query("/runs/nobody/events?type=StepExploded", "type.0"),
    query("/runs/nobody/events?step=a//b", "step"),
    query("/runs/nobody/logs?attempt=0", "attempt"),
    Case("HEAD", events.get("/runs", method="HEAD"), 405, "method-not-allowed", function="query"),
    Case("DELETE", events.get("/runs/a", method="DELETE"), 405, "method-not-allowed", function="query"),
    Case("no method at all", {}, 404, "route-not-found", function="query"),
    Case("POST of a GET", events.post("/workflows", {}), 405, "method-not-allowed", function="query"),
]

COMMANDS = [
    to("control", "/runs/nobody/retry", {}, None, status=404, code="run-not-found"),
    to("control", "/runs/nobody/retry", {"reason": "r" * 1_001}, "reason"),
    to("control", "/runs/nobody/resume", {"reason": "r"}, "reason"),
    to("control", "/runs/nobody/resume", {}, None, status=404, code="run-not-found"),
    to("control", "/runs/nobody/rerun", {}, "fromStepId"),
    to("control", "/runs/nobody/rerun", {"fromStepId": "a//b"}, "fromStepId"),
    to("control", "/runs/a%20b/rerun", {"fromStepId": "a"}, "runId"),
    to("control", "/runs/cancel", {}, ""),
    to("control", "/runs/cancel", {"limit": 201, "tags": ["a"]}, "limit"),
    to("control", "/runs/cancel", {"status": ["done"]}, "status.0"),
    to("control", "/runs/cancel", {"status": "failed"}, "status"),
    to("control", "/runs/cancel", {"tags": ["a"], "cursor": "5"}, "cursor"),
    to("control", "/runs/cancel", {"tags": ["a"], "cursor": 5}, "cursor"),
    to("control", "/runs/retry", {"createdAfterUs": "now"}, "createdAfterUs"),
    to("control", "/runs/retry", {"workflowSlug": "letters"}, None, status=404, code="workflow-not-found"),
    to("submission", "/workflows/letters/runs", {}, None, status=404, code="workflow-not-found"),
    to("submission", "/workflows/a%20b/runs", {}, "slug"),
    to("submission", "/workflows/parcels/runs", {"workflowSlug": "parcels"}, "workflowSlug"),
    to("submission", "/runs/batch", {}, "runs"),
    to("submission", "/runs/batch", {"runs": []}, "runs"),
    to("submission", "/runs/batch", {"runs": [{}] * 1_001}, "runs"),
    to("submission", "/runs/batch", {"runs": {"0": {}}}, "runs"),
    to("submission", "/runs/batch", {"runs": [FINE], "tags": ["a"]}, "tags"),
    to("submission", "/runs/batch", {"workflowSlug": "a b", "runs": [FINE]}, "workflowSlug"),
    Case("runs twice", events.post("/runs/batch", raw='{"runs": [], "runs": [{}]}'), path=""),
    Case(
        "runs too large together",
        events.post("/runs/batch", {"runs": [{**FINE, "input": "x" * 200_000}] * 27}),
        status=413,
        code="payload-too-large",
    ),
    to("service", "/dead-letters/redrive", {"limit": 0}, "limit"),
    to("service", "/dead-letters/redrive", {"all": True}, "all"),
    of("analytics", "/analytics/everything", status=404, code="route-not-found"),
    of("analytics", "/analytics/errors/a%2Fb", status=404, code="route-not-found"),
    of("analytics", "/analytics/errors?grouping=loose", "grouping"),
    of("analytics", "/analytics/errors?limit=201", "limit"),
    of("analytics", "/analytics/throughput?startUs=9&endUs=8", "endUs"),
    of("analytics", "/analytics/throughput?startUs=" + "9" * 400, "startUs"),
    of("analytics", "/analytics/queue-depth?startUs=9", "startUs"),
    of("analytics", "/workers?limit=0", "limit"),
    of("analytics", "/workers?staleAfterUs=soon", "staleAfterUs"),
    of("analytics", "/workers/" + "w" * 257, "workerId"),
    of("service", "/dead-letters?limit=101", "limit"),
    of("service", "/health?deep=true", "deep"),
    of("service", "/version?a=1", "a"),
]

WORKERS = [
    to("submission", "/runs/nobody/cancel", {}, None, status=404, code="run-not-found"),
    to("submission", "/runs/nobody/cancel", {"reason": 1}, "reason"),
    to("submission", "/runs/nobody/cancel", {"reason": "r" * 1_001}, "reason"),
    to("submission", "/runs/nobody/cancel", {"why": "r"}, "why"),
    to("claim", "/steps/claim", {}, "workerId"),
    to("claim", "/steps/claim", {"workerId": ""}, "workerId"),
    to("claim", "/steps/claim", {"workerId": "w", "runId": "r"}, "stepId"),
    to("claim", "/steps/claim", {"workerId": "w", "stepId": "s"}, "stepId"),
    to("claim", "/steps/claim", {"workerId": "w", "runId": "r", "stepId": "/s"}, "stepId"),
    to("claim", "/steps/claim", {"workerId": "w", "slotIndex": -1}, "slotIndex"),
    to("claim", "/steps/claim", {"workerId": "w", "workerConcurrency": 0}, "workerConcurrency"),
    to("claim", "/steps/claim", {"workerId": "w", "runId": "r", "stepId": "s"}, None, status=404, code="run-not-found"),
    to(
        "claim",
        "/steps/claim",
        {"workerId": "w", "workflowSlug": "letters"},
        None,
        status=404,
        code="workflow-not-found",
    ),
    to("heartbeat", "/runs/r/steps/s/heartbeat", {"workerId": "w"}, "attemptNumber"),
    to("heartbeat", "/runs/r/steps/s/heartbeat", {**BEAT, "attemptNumber": 0}, "attemptNumber"),
    to("heartbeat", "/runs/r/steps/s/heartbeat", {**BEAT, "resourceSnapshot": {}}, "resourceSnapshot.memoryBytes"),
    to(
        "heartbeat",
        "/runs/r/steps/s/heartbeat",
        {**BEAT, "resourceSnapshot": {"memoryBytes": 1e300}},
        "resourceSnapshot.memoryBytes",
    ),
    to("heartbeat", "/runs/r/steps/s//heartbeat", BEAT, "stepId"),
    to("heartbeat", "/runs/r/steps/../heartbeat", BEAT, "stepId"),
    to("heartbeat", "/runs/r/steps/heartbeat", BEAT, None, status=404, code="route-not-found"),
    to("heartbeat", "/runs/r/steps/s/heartbeat", BEAT, None, status=404, code="run-not-found"),
]


@pytest.mark.parametrize("case", [*BODIES, *FIELDS, *ADDRESSES, *COMMANDS, *WORKERS], ids=lambda case: case.name)
def test_it_is_refused_with_a_problem_that_names_the_place(untouched: Functions, case: Case) -> None:
    reply = untouched.http(case.function, case.event)
    assert (reply.status, reply.json["code"]) == (case.status, case.code), reply.json
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["type"] == f"urn:cascade-flow:problem:{case.code}"
    assert reply.json["status"] == case.status
    assert reply.json["title"]
    assert reply.json["detail"]
    if case.path is not None and case.status in (400, 422):
        assert reply.json["issues"][0]["path"] == case.path, reply.json["issues"]
    assert "Traceback" not in json.dumps(reply.json)


@pytest.mark.parametrize(
    "text",
    [
        "\x00",
        "\u2028",
        "🦜" * 100,
        "a" * 200_000,
        '"; DROP TABLE runs; --',
        "{{7*7}}",
        "%n%s",
        "\ufffe",
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_what_is_only_strange_is_taken_and_given_back(functions: Functions, text: str) -> None:
    wish = {**FINE, "input": {"weights": [1], text[:50]: [text]}}
    reply = functions.http("submission", events.post("/runs", wish))
    shown = functions.http("query", events.get(f"/runs/{reply.json['runId']}"))
    assert shown.json["run"]["input"] == wish["input"]


def test_a_method_that_is_not_taken_is_answered_with_those_that_are(functions: Functions) -> None:
    reply = functions.http("query", events.get("/runs", method="PATCH"))
    assert (reply.status, reply.headers["allow"]) == (405, "GET")


def test_many_faults_are_cut_to_what_somebody_reads(functions: Functions) -> None:
    reply = functions.http("submission", events.post("/runs", {**FINE, "input": {"weights": ["x" * 100] * 2_000}}))
    assert (reply.status, len(reply.json["issues"])) == (422, 50)
    assert len(json.dumps(reply.json)) < 20_000
