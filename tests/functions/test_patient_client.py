"""A client whose API refuses it for a while, and what it fetches from S3 by an address that the API gives."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from cascade_flow import clock, errors
from cascade_flow.client import Client
from cascade_flow.dynamodb.codec import deflate, zipped
from functions.front_door import KEY, SECRET, Gateway, serving
from simulation import TickingClock

Asking = Callable[[Client], Any]
BUSY: dict[str, Any] = {"statusCode": 429, "headers": {}, "body": '{"message":"Too Many Requests"}'}
AWAY: dict[str, Any] = {"statusCode": 503, "headers": {}, "body": '{"message":"Service Unavailable"}'}
DONE: dict[str, Any] = {"statusCode": 200, "headers": {}, "body": '{"runId": "r", "workflows": [], "run": {}}'}


class Scripted(Gateway):
    """Gives these answers, one after the other; the last of them for ever."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        super().__init__()
        self._answers = list(answers)

    def answer(self, method: str, target: str, *_: object) -> dict[str, Any]:
        self.requests.append((method, target))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@contextmanager
def asked(gateway: Gateway) -> Iterator[Client]:
    with (
        clock.use(TickingClock(clock.now_us())),
        serving(gateway) as url,
        Client(url, session=boto3.Session(KEY, SECRET)) as client,
    ):
        yield client


def submit(client: Client) -> Any:
    return client.submit("orders")


def submit_once(client: Client) -> Any:
    return client.submit("orders", idempotency_key="k")


@pytest.mark.parametrize("ask", [Client.workflows, submit, submit_once, lambda client: client.cancel("r")])
def test_what_the_gateway_did_not_let_in_is_sent_again(ask: Asking) -> None:
    gateway = Scripted(BUSY, BUSY, DONE)
    with asked(gateway) as client:
        ask(client)
    assert len(gateway.requests) == 3


@pytest.mark.parametrize("ask", [Client.workflows, submit_once])
def test_what_may_have_been_done_is_sent_again_where_that_does_no_harm(ask: Asking) -> None:
    gateway = Scripted(AWAY, DONE)
    with asked(gateway) as client:
        ask(client)
    assert len(gateway.requests) == 2


@pytest.mark.parametrize("ask", [submit, lambda client: client.cancel("r")])
def test_what_may_have_been_done_is_not_done_twice(ask: Asking) -> None:
    gateway = Scripted(AWAY, DONE)
    with asked(gateway) as client, pytest.raises(errors.BackendUnavailableError, match="later"):
        ask(client)
    assert len(gateway.requests) == 1


def test_it_waits_as_long_as_it_is_asked_to() -> None:
    with asked(Scripted({**AWAY, "headers": {"retry-after": "5"}}, DONE)) as client:
        before_us = clock.now_us()
        client.workflows()
        assert 5_000_000 <= clock.now_us() - before_us < 8_000_000


@pytest.mark.parametrize(("answer", "error"), [(BUSY, errors.ThrottledError), (AWAY, errors.BackendUnavailableError)])
def test_in_the_end_it_says_so(answer: dict[str, Any], error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _, longest: longest)  # chance may end it sooner
    with asked(Scripted(answer)) as client:
        before_us = clock.now_us()
        with pytest.raises(error):
            client.workflows()
        assert 3_000_000 < clock.now_us() - before_us < 9_000_000


def test_it_does_not_wait_for_longer_than_people_do() -> None:
    gateway = Scripted({**BUSY, "headers": {"retry-after": "60"}}, DONE)
    with asked(gateway) as client, pytest.raises(errors.ThrottledError):
        client.workflows()
    assert len(gateway.requests) == 1


class WithObjects(Gateway):
    """Answers with addresses of objects, which it serves as S3 does: to whoever comes, and as they lie there."""

    def __init__(self, answer: Callable[[str], dict[str, Any]], stored: dict[str, Any]) -> None:
        super().__init__()
        self._answer = answer
        self._stored = stored

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        self.requests.append((method, target))
        if target.startswith("/b/payloads/"):
            assert "authorization" not in headers, "the address is the permission"
            return self._stored
        said = self._answer(f"http://{headers['host']}/b/payloads/1?X-Amz-Signature=1")
        return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(said)}


def stored(packed: bytes, **headers: str) -> dict[str, Any]:
    body = base64.b64encode(packed).decode()
    return {"statusCode": 200, "headers": headers, "isBase64Encoded": True, "body": body}


def denied(status: int, code: str, message: str) -> dict[str, Any]:
    said = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return {"statusCode": status, "headers": {"content-type": "application/xml"}, "body": said}


TEXT = json.dumps({"prices": [1.5, "ü"]})
OBJECTS = [stored(zipped(TEXT), **{"content-encoding": "gzip"}), stored(deflate(TEXT))]


@pytest.mark.parametrize("there", OBJECTS, ids=["a gzip file", "as an earlier release packed it"])
def test_a_run_is_whole_wherever_its_payloads_lie(there: dict[str, Any]) -> None:
    gateway = WithObjects(lambda at: {"run": {"status": "completed", "inputUrl": at}, "outputUrl": at}, there)
    with asked(gateway) as client:
        found = client.run("r")
    value = json.loads(TEXT)
    assert found == {"run": {"status": "completed", "input": value}, "output": value}


def test_events_are_the_contracts_wherever_their_texts_lie() -> None:
    gateway = WithObjects(lambda at: {"events": [{"type": "StepCompleted", "outputUrl": at}]}, OBJECTS[0])
    with asked(gateway) as client:
        assert client.events("r") == [{"type": "StepCompleted", "output": TEXT}]
        [left] = client.events("r", outside=False)
        assert left["outputUrl"].endswith("X-Amz-Signature=1")
    assert [target.startswith("/b/") for _, target in gateway.requests] == [False, True, False]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (denied(404, "NoSuchKey", "The specified key does not exist."), errors.PayloadLostError),
        (denied(403, "AccessDenied", "not authorized to perform: s3:ListBucket on resource"), errors.PayloadLostError),
        (denied(403, "AccessDenied", "Request has expired"), errors.ConfigurationError),
        (denied(503, "SlowDown", "Please reduce your request rate."), errors.BackendUnavailableError),
    ],
)
def test_an_object_that_can_not_be_had_is_told_of(answer: dict[str, Any], error: type[Exception]) -> None:
    gateway = WithObjects(lambda at: {"run": {}, "outputUrl": at}, answer)
    with asked(gateway) as client, pytest.raises(error):
        client.run("r")
