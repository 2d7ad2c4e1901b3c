"""What an attempt has written is there afterwards, whatever the clock did, and whatever the attempt did to its process.

The worker is the real one, in this process.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from cascade_flow import DynamoDBBackend, Retry, RunSubmission, Workflow
from cascade_flow.model.events import LogEntry, StepFailed
from cascade_flow.worker.loop import Worker
from checker import Checked, check_run
from simulated_queue import Mailbox
from simulation import TIMING, TickingClock
from testbed.servers import Store

BACK_US = 5_000_000


@dataclass
class Workplace:
    """A backend, and a worker that does what there is to do."""

    backend: DynamoDBBackend
    mailbox: Mailbox
    time: TickingClock

    def run(self, work: Callable[[int], None], *, attempts: int = 2) -> Checked:
        flow = Workflow("flow")

        @flow.step(retry=Retry(max_attempts=attempts, delay=0))
        def write(input: int) -> None:
            work(input)

        @flow.step
        def following(write: None) -> None:
            print("following")

        self.backend.register_workflow(flow.registration())
        run_id = self.backend.submit_run(RunSubmission(workflow_slug="flow", input=3)).run_id
        worker = Worker(self.backend.runtime, {"flow": flow}, worker_id="worker")
        while self.mailbox.wakes:
            self.time.pause_us(1_000_000)
            worker.work(self.mailbox.wakes.pop(0), remaining_ms=lambda: 900_000)
        return check_run(self.backend, run_id)


@pytest.fixture
def place(dynamodb: Store, time: TickingClock) -> Workplace:
    mailbox = Mailbox(dynamodb)
    backend = DynamoDBBackend(dynamodb.table, client=dynamodb.client, queue=mailbox, timing=TIMING)
    return Workplace(backend, mailbox, time)


def messages(checked: Checked) -> list[str]:
    return [event.message for event in checked.events if isinstance(event, LogEntry)]


def test_lines_stay_where_the_clock_steps_back_during_the_attempt(place: Workplace, time: TickingClock) -> None:
    def work(count: int) -> None:
        for number in range(count):
            print("before", number)
        time.pause_us(-BACK_US)
        for number in range(count):
            print("after", number)

    checked = place.run(work)
    assert messages(checked) == [f"{when} {n}" for when in ("before", "after") for n in range(3)] + ["following"]
    told = [event.type for event in checked.events if event.type in ("StepStarted", "LogEntry", "StepCompleted")]
    first = ["StepStarted", *["LogEntry"] * 6, "StepCompleted"]
    assert told == [*first, "StepStarted", "LogEntry", "StepCompleted"]


def test_lines_stay_where_the_clock_steps_back_before_another_attempt(place: Workplace, time: TickingClock) -> None:
    begun: list[int] = []

    def work(_: int) -> None:
        begun.append(1)
        print("attempt", len(begun))
        time.pause_us(-BACK_US)
        print("later in", len(begun))
        if len(begun) == 1:
            raise ValueError

    assert messages(place.run(work)) == ["attempt 1", "later in 1", "attempt 2", "later in 2", "following"]


class Ended(BaseException):
    """In a test, where the process would be over."""


@pytest.mark.parametrize("attempts", [1, 2])
def test_an_attempt_that_ends_its_process_fails_with_the_status_and_its_lines(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, attempts: int
) -> None:
    def end(status: int) -> None:
        monkeypatch.setattr(Worker, "_report", lambda *_: None)  # as nothing is reported by a process that is gone
        raise Ended(status)

    def work(status: int) -> None:
        print("last words")
        os._exit(status)

    monkeypatch.setattr(os, "_exit", end)
    checked = place.run(work, attempts=attempts)
    failures = [event for event in checked.events if isinstance(event, StepFailed)]
    assert {(failure.error.name, failure.failure_reason) for failure in failures} == {("WorkerExit", "worker-crash")}
    assert failures[0].error.message == "the step ended its process with os._exit(3)"
    assert [failure.terminal for failure in failures] == [False] * (attempts - 1) + [True]
    assert messages(checked) == ["last words"] * attempts
