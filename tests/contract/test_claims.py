"""A scheduled attempt is taken once, by one, when it is due."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cascade_flow import (
    DynamoDBBackend,
    EventInvalidError,
    InvalidIdError,
    RunNotFoundError,
    StepNotFoundError,
    clock,
)
from contract.called import Called
from contract.outside import FLOW, Outside, register, step
from simulation import TickingClock

pytestmark = pytest.mark.servers("all")


def test_a_claim_starts_the_attempt(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), step("b", "a"))
    run.do("a")
    claim = run.claim("b", dependencies=["a"], slot_index=2, worker_concurrency=4)
    assert claim is not None
    assert claim.attempt_number == 1
    started = run.events("StepStarted")[-1]
    assert (started.step_id, started.worker_id, started.attempt_number) == ("b", "worker-1", 1)
    assert (started.dependencies, started.slot_index, started.worker_concurrency) == (["a"], 2, 4)


def test_the_first_worker_wins(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    other = replace(run, name="worker-2")
    assert run.claim("a") is not None
    assert other.claim("a") is None
    assert run.claim("a") is None, "nor does the winner get it twice"
    [started] = run.events("StepStarted")
    assert started.worker_id == "worker-1"


def test_a_step_that_is_over_is_not_claimed(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), step("b", "a"))
    run.do("a")
    assert run.claim("a") is None
    run.do("b")
    assert run.claim("b") is None


def test_a_step_that_waits_for_others_is_not_claimed(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"))
    assert [run.claim(each) for each in "bcd"] == [None] * 3
    run.do("a", "b")
    assert run.claim("d") is None


def test_an_attempt_that_is_not_due_is_not_claimed(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"))
    run.fail("a", run.take("a"))
    assert run.claim("a") is None
    time.pause_us(2_000_000)
    assert run.take("a") == 2


def test_only_what_is_there_is_claimed(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    with pytest.raises(StepNotFoundError, match="'x'"):
        run.claim("x")
    with pytest.raises(RunNotFoundError):
        replace(run, run_id="unknown").claim("a")
    with pytest.raises(InvalidIdError):
        replace(run, run_id="a#b").claim("a")
    with pytest.raises(InvalidIdError):
        run.claim("a#b")


def test_a_run_is_not_claimed_by_another_workflows_name(backend: DynamoDBBackend) -> None:
    register(backend, step("a"), slug="bill")
    run = Outside.at(backend, step("a"))
    with pytest.raises(RunNotFoundError):
        replace(run, slug="bill").claim("a")
    assert run.claim("a") is not None


def test_a_step_says_whether_it_can_be_claimed(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"), step("b", "a"), step("c", "a"))

    def claimable(step_id: str) -> bool:
        return backend.is_step_claimable(FLOW, run.run_id, step_id)

    assert claimable("a")
    assert not claimable("b")
    assert not claimable("c"), "nothing is there of it"
    run.take("a")
    assert not claimable("a")
    run.fail("a")
    assert not claimable("a"), "not due yet"
    with clock.use(TickingClock(run.events("StepScheduled")[-1].available_at_us, tick_us=0)):
        assert claimable("a"), "it is due at this very moment"
    time.pause_us(2_000_000)
    assert claimable("a")
    run.complete("a", run.take("a"))
    assert not claimable("a")
    assert claimable("b")
    with pytest.raises(RunNotFoundError):
        backend.is_step_claimable(FLOW, "unknown", "a")
    with pytest.raises(StepNotFoundError):
        backend.is_step_claimable(FLOW, run.run_id, "x")


def test_a_claim_that_no_event_can_tell_of_is_refused(backend: DynamoDBBackend) -> None:
    engine, caller = Outside.at(backend, step("a")), Called.with_step(backend)
    for run in (engine, caller):
        for slot in ({"slot_index": -1}, {"worker_concurrency": 0}):
            with pytest.raises(EventInvalidError):
                run.claim("a", **slot)
        assert run.take("a") == 1
        with pytest.raises(EventInvalidError):
            run.beat("a", slot_index=-1)
        assert run.kinds()[-1] == "StepStarted"
