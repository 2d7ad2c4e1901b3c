"""The service itself: is it well, what is it, and what did its queue give up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

import events
from cascade_flow import clock
from cascade_flow.api import resources
from cascade_flow.dead_letters import SqsDeadLetters
from cascade_flow.dynamodb.table import Table
from cascade_flow.release import VERSION
from cascade_flow.wake import Wake
from checker import check_run
from events.deployed import Functions, Reply

pytestmark = pytest.mark.servers("ministack")


@dataclass
class Dead:
    """The queue of dead letters."""

    functions: Functions
    url: str

    def put(self, *bodies: str) -> None:
        for body in bodies:
            self.functions.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def look(self, query: str = "") -> Any:
        reply = self.functions.asked(events.get(f"/dead-letters{query}"))
        assert reply.status == 200, reply.json
        return reply.json

    def redrive(self, **body: Any) -> Any:
        reply = self.functions.asked(events.post("/dead-letters/redrive", body))
        assert reply.status == 200, reply.json
        return reply.json


@pytest.fixture
def dead(functions: Functions) -> Iterator[Dead]:
    sqs, name = functions.sqs, functions.queue_url.rpartition("/")[2]
    url = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    letters = SqsDeadLetters(url, functions.queue_url, client=sqs)
    with resources.use(replace(functions.backend.runtime, dead_letters=letters)):
        yield Dead(functions, url)
    sqs.delete_queue(QueueUrl=url)


def bodies(letters: Any) -> list[str]:
    return sorted(letter["body"] for letter in letters["deadLetters"])


class TestDeadLetters:
    def test_there_are_none(self, dead: Dead) -> None:
        assert dead.look() == {"deadLetters": [], "approximateCount": 0}
        assert dead.redrive() == {"count": 0, "remaining": 0}

    def test_a_wake_up_says_whom_it_was_to_wake(self, dead: Dead) -> None:
        dead.put(Wake("r-1", branch="a", step="a/b", attempt=2).to_message(), Wake("r-2").to_message())
        step, start = sorted(dead.look()["deadLetters"], key=lambda letter: letter["runId"])
        assert (step["runId"], step["branch"], step["stepId"], step["attemptNumber"]) == ("r-1", "a", "a/b", 2)
        assert abs(step["sentAtUs"] - clock.now_us()) < 60_000_000
        assert (start["branch"], "stepId" in start) == ("", False)

    def test_what_a_wake_up_tells_its_worker_is_not_shown(self, dead: Dead) -> None:
        wake = Wake("r-1", branch="a", step="a", attempt=1)
        dead.put(replace(wake, told="a run's data").to_message())
        assert [letter["body"] for letter in dead.look()["deadLetters"]] == [wake.to_message()]

    def test_what_is_no_wake_up_is_shown_too_and_cut(self, dead: Dead) -> None:
        dead.put("hello", json.dumps({"runId": 1}), "x" * 5_000)
        found = dead.look()["deadLetters"]
        assert len(found) == 3
        assert not [letter for letter in found if "runId" in letter]
        assert max(len(letter["body"]) for letter in found) == 1_000

    def test_looking_changes_nothing(self, dead: Dead) -> None:
        sent = [f"{number:02}" for number in range(23)]
        dead.put(*sent)
        for _ in range(2):
            found = dead.look("?limit=100")
            assert (bodies(found), found["approximateCount"]) == (sent, 23)
        assert len(dead.look("?limit=5")["deadLetters"]) == 5
        assert dead.redrive()["count"] == 23, "what was looked at can be taken at once"

    def test_they_are_sent_again_as_many_as_were_asked_for(self, dead: Dead) -> None:
        dead.put(*(f"{number:02}" for number in range(23)))
        assert dead.redrive(limit=12) == {"count": 12, "remaining": 11}
        assert len(dead.look("?limit=100")["deadLetters"]) == 11
        assert dead.redrive() == {"count": 11, "remaining": 0}
        waiting = dead.functions.sqs.get_queue_attributes(
            QueueUrl=dead.functions.queue_url, AttributeNames=["ApproximateNumberOfMessages"]
        )
        assert waiting["Attributes"]["ApproximateNumberOfMessages"] == "23"

    def test_a_run_goes_on_with_its_wake_up(self, dead: Dead) -> None:
        run_id = dead.functions.submit()
        [message] = dead.functions.sqs.receive_message(QueueUrl=dead.functions.queue_url)["Messages"]
        dead.functions.lose_messages()
        dead.put(message["Body"])
        dead.redrive()
        dead.functions.work()
        shown = dead.functions.asked(events.get(f"/runs/{run_id}")).json
        assert shown["run"]["status"] == "completed"
        check_run(dead.functions.backend, run_id)

    def test_what_was_urgent_goes_back_to_its_own_queue(self, dead: Dead) -> None:
        queue_url, sqs = dead.functions.queue_url, dead.functions.sqs
        urgent_url = sqs.create_queue(QueueName=f"{queue_url.rpartition('/')[2]}-urgent")["QueueUrl"]
        letters = SqsDeadLetters(dead.url, queue_url, urgent_url=urgent_url, client=sqs)
        urgent, usual = Wake("r-1", urgent=True).to_message(), Wake("r-2").to_message()
        dead.put(usual, urgent, "hello")
        with resources.use(replace(dead.functions.backend.runtime, dead_letters=letters)):
            assert dead.redrive() == {"count": 3, "remaining": 0}
        found = [sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10) for url in (urgent_url, queue_url)]
        assert [sorted(message["Body"] for message in each["Messages"]) for each in found] == [
            [urgent],
            sorted(["hello", usual]),
        ]
        sqs.delete_queue(QueueUrl=urgent_url)

    def test_what_the_queue_does_not_take_stays(self, dead: Dead, monkeypatch: pytest.MonkeyPatch) -> None:
        dead.put("a", "b")
        taken: list[str] = []

        def some(**request: Any) -> dict[str, Any]:
            first, *others = request["Entries"]
            taken.append(first["MessageBody"])
            return {"Successful": [{"Id": first["Id"]}], "Failed": [{"Id": each["Id"]} for each in others]}

        letters = resources.runtime().dead_letters
        assert isinstance(letters, SqsDeadLetters)
        monkeypatch.setattr(letters._client, "send_message_batch", some)
        assert letters.send_again(2, clock.now_us()) == 1
        [left] = {"a", "b"} - set(taken)
        found = dead.functions.sqs.get_queue_attributes(QueueUrl=dead.url, AttributeNames=["All"])["Attributes"]
        counts = {found["ApproximateNumberOfMessages"], found["ApproximateNumberOfMessagesNotVisible"]}
        assert counts == {"0", "1"}, f"{left} is hidden for a while, and comes back"

    def test_it_ends_in_time(self, dead: Dead, monkeypatch: pytest.MonkeyPatch) -> None:
        dead.put(*(f"{number:02}" for number in range(23)))
        monkeypatch.setattr("cascade_flow.api.resources.patience_us", lambda: clock.now_us() - 1)
        assert resources.runtime().dead_letters.send_again(23, clock.now_us() - 1) == 10

    def test_a_queue_that_is_not_there_is_told(self, dead: Dead) -> None:
        letters = SqsDeadLetters(dead.url + "-none", dead.functions.queue_url, client=dead.functions.sqs)
        with resources.use(replace(dead.functions.backend.runtime, dead_letters=letters)):
            reply = dead.functions.asked(events.get("/dead-letters"))
        assert reply.status in (500, 503)


class TestHealth:
    def ask(self, functions: Functions) -> Reply:
        return functions.asked(events.get("/health"))

    def test_it_is_well(self, functions: Functions) -> None:
        reply = self.ask(functions)
        assert (reply.status, reply.json) == (200, {"status": "ok", "checks": {"table": "ok"}})

    def test_what_is_not_is_named(self, functions: Functions) -> None:
        runtime = functions.backend.runtime
        gone = Table(runtime.ledger.table.client, "no-such-table")
        registry = type(runtime.registry)(gone)
        with resources.use(replace(runtime, registry=registry)):
            reply = self.ask(functions)
        assert (reply.status, reply.json["code"]) == (503, "unhealthy")
        assert "no such table" in reply.json["facts"]["checks"]["table"]

    def test_the_version_is_the_packages(self, functions: Functions) -> None:
        assert functions.asked(events.get("/version")).json["version"] == VERSION

    def test_so_are_the_workers_as_they_are_set(self, functions: Functions, environment: pytest.MonkeyPatch) -> None:
        told = functions.asked(events.get("/version")).json
        assert (told["heartbeatUs"], told["workerMemoryMb"]) == (20_000_000, 512)
        environment.delenv("CASCADE_WORKER_MEMORY_MB")
        resources.settings.cache_clear()
        assert "workerMemoryMb" not in functions.asked(events.get("/version")).json
