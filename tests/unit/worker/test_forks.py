"""A child that a step forks off ends where it would come back from the step; the attempt stays its parent's."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from cascade_flow import DynamoDBBackend, Retry, RunSubmission, StepContext, Workflow
from cascade_flow.worker import descriptors
from cascade_flow.worker.forks import _status, children_end_here
from cascade_flow.worker.loop import Worker
from checker import check_run
from simulated_queue import Mailbox
from simulation import TIMING, TickingClock
from testbed.servers import Store

Work = Callable[[StepContext], int]


def status_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def returns(_: StepContext) -> None:
    """The child's step is over."""


def raises(_: StepContext) -> None:
    raise ValueError("the child's own")


def exits(_: StepContext) -> None:
    sys.exit(3)


def saves(ctx: StepContext) -> None:
    ctx.heartbeat()
    ctx.checkpoint("child's", lambda: 1)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(("child", "status"), [(returns, 0), (raises, 1), (exits, 3), (saves, 1)])
def test_a_child_that_comes_back_ends_with_its_own_status(
    dynamodb: Store, time: TickingClock, child: Callable[[StepContext], None], status: int
) -> None:
    seen: list[int] = []
    test = os.getpid()

    def work(ctx: StepContext) -> int:
        pid = os.fork()
        if pid == 0:
            child(ctx)
            return -1
        seen.append(status_of(pid))
        ctx.checkpoint("parent's", lambda: 1)
        return 42

    events = events_of(work, dynamodb)
    if os.getpid() != test:
        os._exit(99)
    assert seen == [status]
    assert [event.type for event in events].count("StepCompleted") == 1
    assert [event.name for event in events if event.type == "StepCheckpoint"] == ["parent's"]


def double(number: int) -> int:
    return 2 * number


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_children_of_multiprocessing_work(dynamodb: Store, time: TickingClock) -> None:
    def work(ctx: StepContext) -> int:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return sum(pool.map(double, range(4)))

    [told] = [event for event in events_of(work, dynamodb) if event.type == "StepCompleted"]
    assert told.output == "12"


def events_of(work: Work, store: Store) -> list[Any]:
    flow, mailbox = Workflow("flow"), Mailbox(store)
    cast(Any, flow).step(retry=Retry(max_attempts=1))(work)
    backend = DynamoDBBackend(store.table, client=store.client, queue=mailbox, timing=TIMING)
    backend.register_workflow(flow.registration())
    run_id = backend.submit_run(RunSubmission(workflow_slug="flow")).run_id
    Worker(backend.runtime, {"flow": flow}, worker_id="worker").work(mailbox.wakes.pop(), remaining_ms=lambda: 600_000)
    return list(check_run(backend, run_id).events)


@pytest.mark.parametrize(("code", "status"), [(None, 0), (3, 3), (256, 0), (2**40 + 3, 3)])
def test_a_status_is_a_byte_as_it_is_of_any_process(code: int | None, status: int) -> None:
    """A number that is too much for the system would end nothing."""
    assert _status(SystemExit(code)) == status


class Mute:
    def __str__(self) -> str:
        raise ValueError


def speaks() -> None:
    print("told", end="")
    print("noted", end="", file=sys.stderr)


def closes() -> None:
    speaks()
    sys.stdout.close()


def loses() -> None:
    speaks()
    os.close(sys.stdout.fileno())


def fails() -> None:
    raise ValueError("no")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(
    ("leave", "status", "told", "noted"),
    [
        (speaks, 0, "told", "noted"),
        (closes, 0, "told", "noted"),
        (loses, 0, "", "noted"),
        (lambda: sys.exit("a reason"), 1, "", "a reason\n"),
        (lambda: sys.exit(cast(Any, Mute())), 1, "", ""),
        (fails, 1, "", "ValueError: no\n"),
    ],
)
def test_a_child_ends_as_any_and_what_it_said_is_not_lost(
    tmp_path: Path, leave: Callable[[], None], status: int, told: str, noted: str
) -> None:
    """Whatever becomes of one of its streams, and of what it says at its end."""
    test, out, err = os.getpid(), tmp_path / "out", tmp_path / "err"
    try:
        with children_end_here():
            pid = os.fork()
            if pid == 0:
                sys.stdout, sys.stderr = out.open("w"), err.open("w")
                leave()
    finally:
        if os.getpid() != test:
            os._exit(99)
    assert (status_of(pid), out.read_text()) == (status, told)
    assert err.read_text().endswith(noted)
    assert err.read_text().startswith("Traceback") == (leave is fails)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_takes_nothing_from_its_parents_reader() -> None:
    before = descriptors._reader
    pid = os.fork()
    if pid == 0:
        os._exit(descriptors._reader is before)
    assert status_of(pid) == 0
