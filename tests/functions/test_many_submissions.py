"""Many runs in one request: each read for itself, answered in its place, and known again by its key."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

import events
from cascade_flow import errors
from cascade_flow.api.answers import LARGEST_ANSWER_BYTES, Answer
from cascade_flow.api.batch_answers import many_submitted, problem_of_one
from cascade_flow.api.batch_shapes import MOST_AT_ONCE
from cascade_flow.client import Client
from cascade_flow.client.submissions import MOST_BYTES_AT_ONCE
from cascade_flow.model.events import ValidationIssue
from events.deployed import Functions
from functions.front_door import KEY, SECRET, Gateway, serving
from functions.test_patient_client import AWAY, Scripted, asked

FINE = {"input": {"weights": [1]}}


def post(functions: Functions, raw: str) -> Any:
    reply = functions.http("submission", events.post("/runs/batch", raw=raw))
    assert reply.status == 200, reply.json
    return reply.json


def what_became(answer: Any) -> list[tuple[str, str | None]]:
    """Of each its outcome, and the field that is wrong."""
    return [(each["outcome"], _field(each.get("problem", {}))) for each in answer["runs"]]


def _field(problem: Any) -> str | None:
    field: str | None = problem["issues"][0]["path"] if problem.get("issues") else problem.get("code")
    return field


@pytest.mark.servers("ministack")
def test_each_is_read_for_itself_and_told_which_field_of_its_own_is_wrong(functions: Functions) -> None:
    rows = [
        '{"input": {"weights": [1]}, "runId": "a", "tags": ["x"], "priority": 5}',
        '{"input": {"weights": ["heavy"]}}',
        '{"input": {"weights": [1]}, "priority": "high"}',
        '{"inptu": {}}',
        '{"input": {"weights": [1], "weights": [2]}}',
        '{"input": "\\ud800"}',
        '{"input": 1e999}',
        f'{{"input": {"[" * 40}{"]" * 40}}}',
        f'{{"input": "{"x" * 262_144}"}}',
        '"parcels"',
        "null",
        '{"workflowSlug": "letters"}',
        '{"workflowSlug": "a b"}',
        '{"input": {"weights": [1]}, "runId": "a"}',
        '{"input": {"weights": [1]}, "delayUs": 60000000, "idempotencyKey": "k", "metadata": {"by": "mila"}}',
    ]
    answer = post(functions, f'{{"workflowSlug": "parcels", "runs": [{", ".join(rows)}]}}')
    wrong = ["input.weights.0", "priority", "inptu", "input", "input", "input", "input" + ".0" * 31]
    wrong += ["payload-too-large", "", "", "workflow-not-found", "workflowSlug", "conflict"]
    submitted = ("submitted", None)
    assert what_became(answer) == [submitted, *(("refused", field) for field in wrong), submitted]
    assert answer["counts"] == {"submitted": 2, "known": 0, "refused": 13, "left": 0}
    shown = functions.asked(events.get("/runs/a")).json["run"]
    assert (shown["tags"], shown["priority"], shown["input"]) == (["x"], 5, {"weights": [1]})
    functions.work()
    assert functions.asked(events.get("/runs/a")).json["run"]["status"] == "completed"


@pytest.mark.servers("ministack")
def test_one_that_names_no_workflow_is_told_so(functions: Functions) -> None:
    answer = post(functions, json.dumps({"runs": [FINE, {**FINE, "workflowSlug": "parcels"}]}))
    assert what_became(answer) == [("refused", "workflowSlug"), ("submitted", None)]


@pytest.mark.servers("ministack")
def test_a_client_submits_many_and_again_without_doubling_any(functions: Functions) -> None:
    with serving(Gateway()) as url, Client(url, session=boto3.Session(KEY, SECRET)) as client:
        rows = [{**FINE, "idempotency_key": f"k-{n}", "tags": ["many"]} for n in range(3)]
        first = list(client.submit_many("parcels", rows))
        again = list(client.submit_many("parcels", [*rows, {"input": {"weights": [-1]}}]))
        assert [each["outcome"] for each in (*first, *again)] == ["submitted"] * 3 + ["known"] * 3 + ["refused"]
        assert [each["runId"] for each in first] == [each["runId"] for each in again[:3]]
        assert len(client.runs(tags=["many"])["runs"]) == 3
        with pytest.raises(TypeError, match="inptu"):
            next(client.submit_many("parcels", [{"inptu": 1}]))


def test_a_thousand_refusals_fit_in_an_answer_whatever_is_wrong() -> None:
    strange = '\x00"\\🦜' * 2_000
    issues = [ValidationIssue(path=f"{strange}{n}", message=strange) for n in range(50)]
    error = errors.InputInvalidError(strange, issues=issues, run_id=strange)
    told = problem_of_one(error)
    assert (told["status"], told["code"]) == (422, "input-invalid")
    event = Answer(200, many_submitted([error] * MOST_AT_ONCE)).to_event(accepts_gzip=False)
    assert len(json.dumps(event, ensure_ascii=False).encode()) < LARGEST_ANSWER_BYTES + 1_000
    assert len(problem_of_one(errors.InputInvalidError(issues=issues[:1])).get("issues", [])) == 0
    plain = [ValidationIssue(path=f"input.{n}", message="is no number") for n in range(5)]
    assert len(problem_of_one(errors.InputInvalidError(issues=plain))["issues"]) == 5


def answering(*outcomes: str | int) -> dict[str, Any]:
    """An answer of these outcomes; a number is a refusal with this status."""
    runs = [
        {"outcome": "refused", "problem": {"status": each, "code": "throttled", "detail": ""}}
        if isinstance(each, int)
        else {"outcome": each, "runId": "r"}
        for each in outcomes
    ]
    return {"statusCode": 200, "headers": {}, "body": json.dumps({"runs": runs})}


class Listening(Scripted):
    """Keeps which keys were sent, too."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        super().__init__(*answers)
        self.sent: list[list[str | None]] = []

    def answer(self, method: str, target: str, *asked: Any) -> dict[str, Any]:
        self.sent.append([run.get("idempotencyKey") for run in json.loads(asked[1])["runs"]])
        return super().answer(method, target)


def keyed(*keys: str | None) -> list[dict[str, Any]]:
    return [{"idempotency_key": key} for key in keys]


def outcomes(client: Client, *keys: str | None) -> list[str]:
    return [each["outcome"] for each in client.submit_many("orders", keyed(*keys))]


def test_what_was_left_is_sent_again_and_nothing_else() -> None:
    gateway = Listening(answering("submitted", "left", 422, "left"), answering("known", "left"), answering("submitted"))
    with asked(gateway) as client:
        assert outcomes(client, "a", "b", "c", "d") == ["submitted", "known", "refused", "submitted"]
    assert gateway.sent == [["a", "b", "c", "d"], ["b", "d"], ["d"]]


def test_what_met_a_busy_table_is_sent_again_if_it_would_be_known() -> None:
    gateway = Listening(answering("submitted", 503, 503), answering("submitted"))
    with asked(gateway) as client:
        assert outcomes(client, "a", None, "c") == ["submitted", "refused", "submitted"]
    assert gateway.sent == [["a", None, "c"], ["c"]]


def test_where_nothing_goes_on_it_says_so_in_the_end() -> None:
    gateway = Listening(answering("left"))
    with asked(gateway) as client:
        assert outcomes(client, "a") == ["left"]
    assert 3 < len(gateway.sent) < 12


def test_a_lost_answer_is_asked_for_again_where_every_run_has_a_key() -> None:
    gateway = Listening(AWAY, answering("known", "submitted"))
    with asked(gateway) as client:
        assert outcomes(client, "a", "b") == ["known", "submitted"]
    gateway = Listening(AWAY, answering("known", "submitted"))
    with asked(gateway) as client, pytest.raises(errors.BackendUnavailableError):
        outcomes(client, "a", None)
    assert len(gateway.sent) == 1


def test_they_are_sent_in_requests_that_are_taken_and_what_no_request_holds_is_refused_here() -> None:
    gateway = Listening(answering(*["submitted"] * 1_000), answering(*["submitted"] * 100))
    with asked(gateway) as client:
        assert outcomes(client, *map(str, range(1_100))) == ["submitted"] * 1_100
    large, larger = {"input": "x" * 250_000}, {"input": "x" * 262_144}
    gateway = Listening(answering(*["submitted"] * 9), answering("submitted", "submitted"))
    with asked(gateway) as client:
        found = list(client.submit_many("orders", [*[large] * 10, larger, large]))
    assert [len(sent) for sent in gateway.sent] == [9, 2]
    assert (found[10]["outcome"], found[10]["problem"]["code"]) == ("refused", "payload-too-large")
    assert 9 * 250_000 < MOST_BYTES_AT_ONCE < 10 * 250_100


def test_what_is_no_option_of_a_run_is_told_before_anything_is_sent() -> None:
    client, script = Client("http://nowhere.example", region="us-east-1"), dict[str, Any](inptu=1)
    with pytest.raises(TypeError, match=r"no option 'inptu' of a run; there are: input, run_id, "):
        client.submit("parcels", **script)
    with pytest.raises(TypeError, match="no option 'inptu'"):
        [*client.submit_many("parcels", [script])]
