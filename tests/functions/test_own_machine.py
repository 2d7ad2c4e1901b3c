"""`cascade worker` beside the functions: it ends in its own time, outlives its steps' processes and an API's outage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import events
from cascade_flow import RunSubmission, clock
from cascade_flow.engine.state import ENDED, Timing
from cascade_flow.operations.sweep import Sweep
from checker import check_run
from e2e.waiting import until
from e2e.workers import Started, started
from events.deployed import Functions, app
from functions import conftest
from functions.conftest import WORKFLOWS
from functions.gateway import Gateway, gateway
from testbed.servers import Store

pytestmark = pytest.mark.servers("ministack")
LEASE_US = 3_000_000
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}


@dataclass(frozen=True)
class Bench:
    """A run of `bench` for a worker, and where both meet."""

    functions: Functions
    gateway: Gateway
    folder: Path

    def submit(self, does: str) -> str:
        wish = {"folder": str(self.folder), "does": does}
        return self.functions.backend.submit_run(RunSubmission(workflow_slug="bench", input=wish)).run_id

    def worker(self, *options: str) -> AbstractContextManager[Started]:
        command = [sys.executable, "-m", "cascade_flow.cli", "worker", "--json", "--url", self.gateway.url]
        options = (*options, "--workflows", "bench", "--pool", "bench")
        return started([*command, *options], WORKFLOWS, self.folder / "worker.log", KEYS)

    def has_begun(self, attempt: int = 1) -> bool:
        return (self.folder / f"began.{attempt}").exists()

    def let_go(self) -> None:
        (self.folder / "end").touch()

    def happened(self, run_id: str, *kinds: str) -> list[Any]:
        return list(self.functions.backend.load_events("bench", run_id, types=list(kinds)))

    def ended(self, run_id: str) -> str | None:
        run = self.functions.backend.get_run(run_id)
        return run.status if run is not None and run.status in ENDED else None


@pytest.fixture
def bench(dynamodb: Store, environment: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
    environment.setenv("CASCADE_WORKFLOWS", "bench")
    environment.setattr(conftest, "TIMING", Timing(lease_us=LEASE_US, grace_us=LEASE_US))
    with conftest.deployed(dynamodb) as functions, gateway() as door:
        app("registration").handler({}, events.Context())
        yield Bench(functions, door, tmp_path)


def is_alive(pid: int) -> bool:
    """Whether a process of this number does anything: one that nobody has waited for doesn't."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def soon(answer: Callable[[], Any], worker: Started) -> Any:
    return until(answer, otherwise=lambda: worker.told, within_us=60_000_000)


def test_a_worker_that_is_told_to_end_finishes_what_it_runs_and_takes_no_more(bench: Bench) -> None:
    run_id = bench.submit("stay")
    with bench.worker() as worker:
        soon(bench.has_begun, worker)
        worker.process.terminate()
        soon(lambda: worker.has_told("draining"), worker)
        bench.let_go()
        assert worker.process.wait(timeout=60) == 0
    assert [event.step_id for event in bench.happened(run_id, "StepCompleted")] == ["saw"]
    assert [event.step_id for event in bench.happened(run_id, "StepStarted")] == ["saw"]
    check_run(bench.functions.backend, run_id)


def test_a_step_that_comes_while_an_idle_worker_is_told_to_end_costs_no_try(bench: Bench) -> None:
    with bench.worker() as worker:
        soon(lambda: worker.has_told("ready"), worker)
        worker.process.terminate()
        soon(lambda: worker.has_told("draining"), worker)
        run_id = bench.submit("finish")
        assert worker.process.wait(timeout=60) == 0
    assert len(bench.happened(run_id, "StepStarted")) == len(bench.happened(run_id, "StepCompleted"))
    assert bench.happened(run_id, "StepReclaimed") == []
    check_run(bench.functions.backend, run_id)


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--drain", "0.2s")], ids=["told twice", "out of time"])
def test_what_does_not_finish_is_given_back(bench: Bench, options: Sequence[str]) -> None:
    run_id = bench.submit("stay")
    with bench.worker(*options) as worker:
        soon(bench.has_begun, worker)
        worker.process.terminate()
        soon(lambda: worker.has_told("draining"), worker)
        if not options:
            worker.process.send_signal(signal.SIGINT)
        assert worker.process.wait(timeout=60) == 0
    [reclaimed] = bench.happened(run_id, "StepReclaimed")
    assert reclaimed.original_worker_id == reclaimed.reclaimed_by
    assert [event.attempt_number for event in bench.happened(run_id, "StepScheduled")] == [1, 2]
    assert bench.happened(run_id, "StepFailed") == []
    check_run(bench.functions.backend, run_id)


def test_a_step_that_kills_its_process_is_told_at_once_and_tried_again(bench: Bench) -> None:
    """Also where a child of it lives on: that is ended."""
    run_id = bench.submit("die")
    with bench.worker("--concurrency", "2") as worker:
        soon(lambda: bench.ended(run_id), worker)
        assert worker.end() == 0
    [failed] = bench.happened(run_id, "StepFailed")
    assert (failed.failure_reason, failed.terminal) == ("worker-crash", False)
    assert failed.error.message == "the step's process was killed by signal 9"
    assert [event.output for event in bench.happened(run_id, "StepCompleted")] == ["2", "2"]
    until(lambda: not is_alive(int((bench.folder / "child").read_text())))
    check_run(bench.functions.backend, run_id)


@pytest.mark.slow
def test_an_outage_shorter_than_the_lease_costs_nothing(bench: Bench) -> None:
    run_id = bench.submit("stay")
    with bench.worker() as worker:
        soon(bench.has_begun, worker)
        bench.gateway.is_away = True
        bench.let_go()
        soon(lambda: bench.gateway.refused >= 2, worker)
        bench.gateway.is_away = False
        soon(lambda: bench.ended(run_id), worker)
        assert worker.end() == 0
    assert len(bench.happened(run_id, "StepStarted")) == 2
    assert not worker.has_told("lost")
    check_run(bench.functions.backend, run_id)


@pytest.mark.slow
def test_an_outage_longer_than_the_lease_costs_the_attempt_and_not_the_worker(bench: Bench) -> None:
    run_id = bench.submit("stay")
    with bench.worker() as worker:
        soon(bench.has_begun, worker)
        bench.gateway.is_away = True
        soon(lambda: worker.has_told("lost", "saw"), worker)
        soon(lambda: worker.has_told("away"), worker)
        bench.gateway.is_away = False
        soon(lambda: worker.has_told("back"), worker)
        bench.let_go()
        sweep = Sweep(bench.functions.backend.runtime, name="reaper")
        soon(lambda: sweep.sweep(until_us=clock.now_us() + 10_000_000) and bench.ended(run_id), worker)
        assert worker.end() == 0
    assert [event.attempt_number for event in bench.happened(run_id, "StepReclaimed")] == [1]
    check_run(bench.functions.backend, run_id)


@pytest.mark.slow
def test_a_skipped_step_is_told_so(bench: Bench) -> None:
    run_id = bench.submit("skip")
    with bench.worker() as worker:
        soon(lambda: bench.ended(run_id), worker)
        assert worker.end() == 0
    assert {event.step_id for event in bench.happened(run_id, "StepSkipped")} == {"saw", "sweep"}
    check_run(bench.functions.backend, run_id)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workflows", "nowhere"], "nowhere"),
        (["--url", "http://127.0.0.1:9", "--workflows", "bench"], "nothing answers at http://127.0.0.1:9"),
    ],
    ids=["no such package", "no API"],
)
def test_what_keeps_it_from_beginning_is_told_in_a_line(bench: Bench, options: Sequence[str], words: str) -> None:
    command = [sys.executable, "-m", "cascade_flow.cli", "worker", "--url", bench.gateway.url, *options]
    ended = subprocess.run(
        command, cwd=WORKFLOWS, env={**os.environ, **KEYS}, capture_output=True, text=True, check=False
    )
    assert ended.returncode in (2, 3)
    assert words in ended.stderr.splitlines()[0]
    assert ended.stderr.startswith("error: ")
    assert len(ended.stderr.splitlines()) == 1
