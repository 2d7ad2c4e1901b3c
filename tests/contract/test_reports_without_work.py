"""A step can be skipped, or fail for good, before anybody works on it: said of the attempt that is scheduled.

Of a step that is not scheduled yet nothing can be said; and who says again what was stored is told so.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cascade_flow import DynamoDBBackend, RetryTier, StaleAttemptError, clock
from cascade_flow.dynamodb import due
from contract.outside import ERROR, Outside, step, sweep
from simulation import TIMING, TickingClock

pytestmark = pytest.mark.servers("all")

CHAIN = [step("a"), step("b", "a", skip_cascades=False), step("c", "b")]
JOINED = [step("a"), step("b"), step("j", "a", "b")]
PATIENT = [RetryTier(max_attempts=3, delay_ms=600_000, jitter=0.0)]


def fail_for_good(run: Outside, step_id: str, attempt: int = 1) -> None:
    run.fail(step_id, attempt, terminal=True, failure_reason="step-removed")


def test_a_scheduled_step_is_skipped(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, *CHAIN)
    run.skip("a", metadata={"why": "empty"})
    assert run.kinds("a") == ["StepScheduled", "StepSkipped"]
    [skipped] = run.events("StepSkipped")
    assert (skipped.attempt_number, skipped.skip_type, skipped.metadata) == (1, "primary", {"why": "empty"})
    assert run.claim("a") is None
    run.do("b", "c")
    assert run.status == "completed"


def test_a_skip_without_work_skips_what_depends_on_it(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, *JOINED)
    run.skip("a")
    run.do("b")
    for _ in range(2):
        time.pause_us(TIMING.grace_us)
        sweep(backend)
    assert run.status == "completed"
    assert {(e.step_id, e.skip_type) for e in run.events("StepSkipped")} == {("a", "primary"), ("j", "cascade")}


def test_a_skip_of_the_last_step_ends_the_run(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), step("b", "a"))
    run.do("a")
    run.skip("b")
    assert run.status == "completed"
    assert run.kinds()[-2:] == ["StepSkipped", "WorkflowCompleted"]


def test_a_scheduled_step_fails_for_good(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a", retry=PATIENT), step("b", "a"))
    fail_for_good(run, "a")
    failed, ended = run.events()[-2:]
    assert run.kinds("a") == ["StepScheduled", "StepFailed"]
    assert (failed.terminal, failed.failure_reason, failed.error) == (True, "step-removed", ERROR)
    assert (ended.failed_step, run.status) == ("a", "failed"), "there is no retry of what failed for good"
    backend.retry_run(run.run_id)
    run.do("a", "b")
    assert run.status == "completed"


def test_others_may_finish_when_a_waiting_step_has_failed(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, *JOINED)
    run.take("b")
    fail_for_good(run, "a")
    assert run.status == "running", "b is still at work"
    run.complete("b")
    assert run.status == "failed"


def test_a_retry_that_waits_can_be_given_up(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a", retry=PATIENT), step("b", "a", skip_cascades=False))
    run.fail("a", run.take("a"))
    with pytest.raises(StaleAttemptError):
        run.skip("a", 1)
    run.skip("a", 2)
    assert run.kinds("a")[-2:] == ["StepScheduled", "StepSkipped"]
    run.do("b")
    assert run.status == "completed"


def test_what_follows_a_skip_without_work_is_looked_after_soon(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a", retry=PATIENT), step("b", "a", skip_cascades=False))
    run.fail("a", run.take("a"))
    time.pause_us(TIMING.grace_us)
    sweep(backend)
    run.skip("a", 2)
    [entry] = [e for e in due.entries(backend.runtime.ledger.table, until_us=2**62) if e.branch == "a"]
    assert entry.due_us <= clock.now_us() + TIMING.grace_us, "its retry was due much later"


@pytest.mark.parametrize("say", [Outside.skip, fail_for_good], ids=["skip", "failure"])
def test_what_is_not_scheduled_yet_is_refused(
    backend: DynamoDBBackend, say: Callable[[Outside, str, int], None]
) -> None:
    later = Outside.at(backend, step("a"), available_at=clock.now_us() + 60_000_000)
    chain, joined = Outside.at(backend, *CHAIN), Outside.at(backend, *JOINED)
    joined.do("a")
    for run, step_id in ((later, "a"), (chain, "b"), (chain, "c"), (joined, "j")):
        before = run.events()
        with pytest.raises(StaleAttemptError, match=r"not scheduled yet.*cancel_run") as refused:
            say(run, step_id, 1)
        assert refused.value.facts["now"] == "pending"
        assert run.events() == before
    chain.do("a", "b", "c")
    assert chain.status == "completed"


@pytest.mark.parametrize("say", [Outside.skip, fail_for_good], ids=["skip", "failure"])
def test_what_is_over_is_refused(backend: DynamoDBBackend, say: Callable[[Outside, str, int], None]) -> None:
    run, ended = Outside.at(backend, *CHAIN), Outside.at(backend, *CHAIN)
    run.do("a")
    backend.cancel_run(ended.run_id)
    for each, step_id in ((run, "a"), (ended, "a"), (ended, "b")):
        before = each.events()
        with pytest.raises(StaleAttemptError, match="nothing") as refused:
            say(each, step_id, 1)
        assert "stored" not in refused.value.facts
        assert each.events() == before


WORDS: dict[str, Callable[[Outside], None]] = {
    "completion": lambda run: run.complete("a", 1, {"n": 1}),
    "failure": lambda run: run.fail("a"),
    "failure for good": lambda run: run.fail("a", terminal=True),
    "skip": lambda run: run.skip("a", metadata={"why": "empty"}),
}


@pytest.mark.parametrize("word", WORDS)
def test_who_reports_twice_is_told_what_is_stored(backend: DynamoDBBackend, word: str) -> None:
    run = Outside.at(backend, *CHAIN)
    run.take("a")
    WORDS[word](run)
    before = run.events()
    with pytest.raises(StaleAttemptError, match="stored when it was said first") as told:
        WORDS[word](run)
    assert told.value.facts["stored"]
    with pytest.raises(StaleAttemptError, match="nothing of it was stored") as other:
        run.complete("a", 1, {"n": 2})
    assert "stored" not in other.value.facts
    assert run.events() == before
