"""Wake-ups as SQS gets them: in tens, no later than it can keep them, and lost without harm."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from cascade_flow import clock, wake as wake_module
from cascade_flow.aws.failures import NotReached
from cascade_flow.engine.state import LONGEST_DELAY_US
from cascade_flow.seal import Seal
from cascade_flow.wake import NoQueue, SqsQueue, Wake
from simulation import BEGIN_US, TickingClock

WAKE = Wake("run", "a", "b", 2, available_at_us=BEGIN_US)


class Client:
    """Takes what a queue is sent."""

    def __init__(self, *answers: Any) -> None:
        self.sent: list[dict[str, Any]] = []
        self._answers = list(answers)

    def send_message_batch(self, **request: Any) -> Any:
        self.sent.append(request)
        answer = self._answers.pop(0) if self._answers else {"Successful": []}
        if isinstance(answer, Exception):
            raise answer
        return answer


def sent(*wakes: Wake, client: Client | None = None) -> list[dict[str, Any]]:
    client = client or Client()
    with clock.use(TickingClock(tick_us=0)):
        SqsQueue("url", client=client).send(wakes)
    return client.sent


def due_in(us: int) -> Wake:
    return Wake("run", "a", "b", 2, available_at_us=BEGIN_US + us)


def test_a_message_says_where_to_look() -> None:
    assert json.loads(WAKE.to_message()) == {"runId": "run", "branch": "a", "step": "b", "attempt": 2}
    assert Wake.from_message(WAKE.to_message()) == Wake("run", "a", "b", 2)
    assert Wake.from_message(Wake("run").to_message()) == Wake("run", "", "", 0)


def test_a_message_says_whether_it_is_urgent() -> None:
    urgent = Wake("run", "a", "b", 2, urgent=True)
    assert json.loads(urgent.to_message()) == {**json.loads(WAKE.to_message()), "urgent": True}
    assert Wake.from_message(urgent.to_message()) == urgent


def test_a_message_says_what_its_step_must_get_first() -> None:
    limited = Wake("run", "a", "b", 2, limit="stripe")
    assert json.loads(limited.to_message()) == {**json.loads(WAKE.to_message()), "limit": "stripe"}
    assert Wake.from_message(limited.to_message()) == limited


def test_a_message_carries_what_its_sender_knew_and_that_makes_no_other_wake_up_of_it() -> None:
    told = Wake("run", "a", "b", 2, told="sealed words")
    assert json.loads(told.to_message()) == {**json.loads(WAKE.to_message()), "told": "sealed words"}
    assert Wake.from_message(told.to_message()).told == "sealed words"
    assert told == Wake("run", "a", "b", 2)
    assert "sealed" not in repr(told), "what lasts of a run is in no log"


def test_a_message_is_read_by_its_values_whatever_their_types() -> None:
    body = {"runId": 7, "branch": "a", "step": "b", "attempt": "2", "urgent": False}
    read = Wake.from_message(json.dumps(body))
    assert read == Wake("7", "a", "b", 2)
    assert (read.limit, read.told) == ("", "")


WHERE = ("runId", "branch", "step", "attempt")


@pytest.mark.parametrize(
    "body",
    [
        *("", "null", "[]", "{}"),
        *(json.dumps({name: 1 for name in WHERE if name != left_out}) for left_out in WHERE),
        WAKE.to_message().replace("2", '"two"'),
    ],
)
def test_what_is_no_wake_up_is_a_value_error(body: str) -> None:
    with pytest.raises(ValueError, match="no wake-up"):
        Wake.from_message(body)


def test_a_request_holds_ten_messages_each_under_its_own_number() -> None:
    wakes = [Wake(f"run-{number}") for number in range(21)]
    requests = sent(*wakes)
    assert [len(request["Entries"]) for request in requests] == [10, 10, 1]
    assert {request["QueueUrl"] for request in requests} == {"url"}
    assert [[entry["Id"] for entry in request["Entries"]] for request in requests] == [
        *[[str(number) for number in range(10)]] * 2,
        ["0"],
    ]
    bodies = [entry["MessageBody"] for request in requests for entry in request["Entries"]]
    assert bodies == [wake.to_message() for wake in wakes]


WAKES = [Wake(f"run-{number}", urgent=number % 2 == 1) for number in range(22)]


@pytest.mark.parametrize(
    ("urgent_url", "addresses"),
    [
        ("urgent", [("urgent", 10), ("urgent", 1), ("url", 10), ("url", 1)]),
        (None, [("url", 10), ("url", 10), ("url", 2)]),
    ],
)
def test_what_is_urgent_is_sent_first_to_a_queue_of_its_own(
    urgent_url: str | None, addresses: list[tuple[str, int]]
) -> None:
    """Where there is none, it is sent as all else, by no request more."""
    client = Client()
    SqsQueue("url", urgent_url=urgent_url, client=client).send(WAKES)
    assert [(request["QueueUrl"], len(request["Entries"])) for request in client.sent] == addresses
    bodies = [entry["MessageBody"] for request in client.sent for entry in request["Entries"]]
    ordered = sorted(WAKES, key=lambda wake: not wake.urgent) if urgent_url else WAKES
    assert bodies == [wake.to_message() for wake in ordered]


@pytest.mark.parametrize(
    ("late_us", "delay_s"),
    [
        (-5_000_000, 0),
        (0, 0),
        (1, 1),
        (1_000_000, 1),
        (1_000_001, 2),
        (LONGEST_DELAY_US - 1, 900),
        (LONGEST_DELAY_US, 900),
    ],
)
def test_a_message_comes_when_its_step_is_due_and_not_before(late_us: int, delay_s: int) -> None:
    [request] = sent(due_in(late_us))
    assert request["Entries"] == [{"Id": "0", "MessageBody": WAKE.to_message(), "DelaySeconds": delay_s}]


def test_what_is_due_later_than_a_queue_keeps_messages_is_left_to_the_sweep() -> None:
    assert sent(due_in(LONGEST_DELAY_US + 1)) == []
    [request] = sent(due_in(LONGEST_DELAY_US + 1), due_in(7))
    assert [entry["DelaySeconds"] for entry in request["Entries"]] == [1]


def test_a_queue_seals_as_it_was_told_and_opens_its_own_client(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, seal = list[str](), Seal(lambda: b"of a table")
    monkeypatch.setattr(wake_module, "open_client", opened.append)
    assert SqsQueue("url", seal=seal).seal is seal
    assert opened == ["sqs"]
    assert (SqsQueue("url", client=Client()).seal, NoQueue().seal) == (None, None)


def test_nothing_is_asked_where_nobody_is_to_be_woken() -> None:
    assert sent() == []


@pytest.mark.parametrize(
    "answer",
    [NotReached("gone"), EndpointConnectionError(endpoint_url="gone"), {"Failed": [{"Id": "3", "Code": "gone"}]}],
)
def test_what_a_queue_refuses_is_told_and_the_rest_is_sent(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(answer)
    assert len(sent(*[WAKE] * 11, client=client)) == 2
    [told] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "gone" in told.getMessage()


def test_what_a_queue_takes_is_not_complained_about(caplog: pytest.LogCaptureFixture) -> None:
    sent(WAKE, client=Client({"Successful": [{"Id": "0"}]}))
    NoQueue().send([WAKE])
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
