"""A claimed step where only HTTP leads to the engine: what it is given, what is reported, when it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from cascade_flow import Retry, Skip, StepContext, Workflow, clock
from cascade_flow.client import Client
from cascade_flow.errors import BackendUnavailableError, PayloadLostError, PayloadTooLargeError, StaleAttemptError
from cascade_flow.idempotency import idempotency_key
from cascade_flow.model.ids import child_id
from cascade_flow.model.parts import ResourceSnapshot
from cascade_flow.remote import attempt as attempt_module
from cascade_flow.remote.attempt import RemoteAttempt
from cascade_flow.remote.lease import RemoteLease
from cascade_flow.worker.capture import Capture
from cascade_flow.worker.heartbeat import Heartbeat
from cascade_flow.worker.interrupt import Interrupted
from cascade_flow.worker.runner import run_attempt
from unit.remote.conftest import LEASE_US, START_US, Api, claim_of


def attempt_of(
    api: Api,
    function: Callable[..., Any] | None,
    *,
    timeout: float | None = None,
    retry: Sequence[Retry] | None = None,
    **claim: Any,
) -> RemoteAttempt:
    flow = Workflow("flow")
    if function is not None:
        for name in ("left", "right"):
            flow.step(id=name)(lambda: 1)
        flow.step(id="train", timeout=timeout, retry=retry)(function)
    return RemoteAttempt(RemoteLease(cast(Client, api), claim_of(**claim), "box-1"), {"flow": flow})


def test_a_step_is_given_what_it_depends_on(api: Api) -> None:
    def train(input: dict[str, int], left: int, right: int | None, ctx: StepContext) -> list[Any]:
        return [input, left, right, ctx.run_id, ctx.attempt, ctx.idempotency_key, ctx.remaining_ms]

    given = {"outputs": {"left": 3, "right": 4}, "skipped": ["right"], "input": {"ä": 1}}
    attempt = attempt_of(api, train, attemptNumber=2, firstRunId="r-0")
    api.answers["given"] = [given]
    assert attempt.carry_out() == {"status": "completed"}
    [(_, words, told)] = [each for each in api.asked if each[0] == "complete"]
    assert words[1] == [{"ä": 1}, 3, None, "r", 2, idempotency_key("flow", "r-0", "train", None), None]
    assert (told["claim_next"], told["durationUs"] >= 0) == (True, True)
    assert attempt.failure is None


def test_a_step_with_a_timeout_is_told_what_is_left(api: Api, time: clock.SteppingClock) -> None:
    def train(ctx: StepContext) -> int | None:
        return ctx.remaining_ms

    attempt_of(api, train, timeout=7, timeoutUs=7_000_000).carry_out()
    assert next(words[1] for name, words, _ in api.asked if name == "complete") == 7_000


@pytest.mark.parametrize(("timeout", "limit_ms"), [(7, 21_000), (None, None)])
def test_a_batch_has_the_time_of_all_its_items_and_each_its_place_among_all(
    api: Api, time: clock.SteppingClock, monkeypatch: pytest.MonkeyPatch, timeout: int | None, limit_ms: int | None
) -> None:
    limits_ms: list[int | None] = []

    def noted(*given: Any, timeout_ms: int | None, **more: Any) -> Any:
        limits_ms.append(timeout_ms)
        return run_attempt(*given, timeout_ms=timeout_ms, **more)

    flow = Workflow("flow")

    @flow.step
    def numbers() -> list[int]:
        return []

    @flow.map(id="train", over=numbers, batch=3, timeout=timeout)
    def train(number: int, index: int, ctx: StepContext) -> list[int | None]:
        return [index, ctx.remaining_ms]

    monkeypatch.setattr(attempt_module, "run_attempt", noted)
    claim = claim_of(runId=child_id("r", "train", 2), outputs={"numbers": [1, 2]})
    RemoteAttempt(RemoteLease(cast(Client, api), claim, "box-1"), {"flow": flow}).carry_out()
    [(_, words, _)] = [each for each in api.asked if each[0] == "complete"]
    assert (limits_ms, words[1]) == ([limit_ms], [[6, limit_ms], [7, limit_ms]])


def test_a_step_of_a_sub_workflow_is_a_step_as_any(api: Api) -> None:
    attempt_of(api, lambda: 1, runId=child_id("r", "called", 0)).carry_out()
    assert [words[1] for name, words, _ in api.asked if name == "complete"] == [1]


def test_what_undoes_a_step_is_carried_out_too(api: Api) -> None:
    flow = Workflow("flow")
    flow.step(id="book")(lambda: 1)
    flow.undo("book", id="unbook")(lambda: 2)
    RemoteAttempt(RemoteLease(cast(Client, api), claim_of(stepId="unbook"), "box-1"), {"flow": flow}).carry_out()
    assert [words[1] for name, words, _ in api.asked if name == "complete"] == [2]


def test_its_checkpoints_are_stored_by_its_lease(api: Api) -> None:
    def train(ctx: StepContext) -> int:
        return ctx.checkpoint("half", lambda: 1)

    attempt_of(api, train).carry_out()
    assert [words[1:] for name, words, _ in api.asked if name == "checkpoint"] == [("half", 0, 1)]


@pytest.mark.parametrize("value", [0, "", [], False])
def test_an_input_may_be_next_to_nothing(api: Api, value: Any) -> None:
    def train(input: Any) -> Any:
        return input

    attempt_of(api, train, input=value).carry_out()
    assert next(words[1] for name, words, _ in api.asked if name == "complete") == value


def test_an_input_may_be_left_out(api: Api) -> None:
    def train(input: int = 5) -> int:
        return input

    attempt_of(api, train, input=None).carry_out()
    assert next(words[1] for name, words, _ in api.asked if name == "complete") == 5


def test_what_it_used_is_told_by_the_meter_of_its_heartbeats(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(ctx: StepContext) -> None:
        ctx.heartbeat()

    attempt, snapshot = attempt_of(api, train), ResourceSnapshot(memory_bytes=7)
    used = attempt._meter.usage()
    monkeypatch.setattr(attempt._meter, "usage", lambda: used)
    monkeypatch.setattr(attempt._meter, "snapshot", lambda: snapshot)
    attempt.carry_out()
    assert api.told("heartbeat") == [{"resource_snapshot": snapshot.to_wire()}]
    assert api.told("complete")[0]["resourceUsage"] == used.to_wire()


def test_code_that_ends_its_process_is_told_of_by_the_lease(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def noted(sink: Any, **options: Any) -> Capture:
        told.append(options["on_exit"])
        return Capture(sink, **options)

    monkeypatch.setattr(attempt_module, "Capture", noted)
    attempt = attempt_of(api, lambda: 1)
    attempt.carry_out()
    assert told == [attempt.lease.exited]


def test_what_is_printed_goes_to_the_api_and_nowhere_else(api: Api, capfd: pytest.CaptureFixture[str]) -> None:
    begun_us = 2 * START_US
    attempt_of(api, lambda: print("at work"), startedAtUs=begun_us).carry_out()
    [lines] = [words[1] for name, words, _ in api.asked if name == "write_logs"]
    assert [(line["stream"], line["message"]) for line in lines] == [("stdout", "at work")]
    assert all(line["timestampUs"] > begun_us for line in lines), "whatever this machine's clock says"
    assert "at work" not in capfd.readouterr().out


def test_lines_that_are_lost_cost_nothing_else(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    api.answers["write_logs"] = [PayloadLostError("gone")]
    attempt_of(api, lambda: print("at work")).carry_out()
    assert api.told("complete")
    assert "lines of step 'train' are lost: gone" in caplog.text


def test_a_failure_is_told_and_known(api: Api) -> None:
    def train() -> None:
        raise ValueError("no gpu")

    attempt = attempt_of(api, train)
    attempt.carry_out()
    [told] = api.told("fail")
    assert (told["retryable"], told["reason"]) == (True, "execution-error")
    assert attempt.failure is not None
    assert attempt.failure.message == "no gpu"


def test_a_step_that_the_code_has_no_more_is_told(api: Api) -> None:
    for claim in ({"stepId": "gone"}, {"workflowSlug": "gone"}):
        attempt_of(api, lambda: 1, **claim).carry_out()
    assert [told["reason"] for told in api.told("fail")] == ["step-removed"] * 2
    messages = [words[1]["message"] for name, words, _ in api.asked if name == "fail"]
    assert "no step 'gone' of workflow 'flow'" in messages[0]
    assert "no step 'train' of workflow 'gone'" in messages[1]
    assert {told["retryable"] for told in api.told("fail")} == {False}


def test_what_is_too_large_fails_the_step_and_a_skip_goes_without_its_metadata(
    api: Api, time: clock.SteppingClock
) -> None:
    def skip() -> None:
        raise Skip("nothing to do", {"much": "x"})

    api.answers["complete"] = [PayloadTooLargeError("too large")]
    api.answers["skip"] = [PayloadTooLargeError("too large")]
    attempt_of(api, lambda: time.advance(2_000_000)).carry_out()
    attempt_of(api, skip).carry_out()
    [failed] = api.told("fail")
    assert (failed["retryable"], failed["reason"]) == (False, "execution-error")
    assert failed["durationUs"] == 2_000_000
    first, second = api.told("skip")
    assert (first["metadata"], second["metadata"]) == ({"much": "x"}, {"left out": "too large"})


def test_a_skip_that_is_too_large_without_metadata_fails_the_step(api: Api) -> None:
    def skip() -> None:
        raise Skip("a long reason")

    api.answers["skip"] = [PayloadTooLargeError("too large")]
    attempt_of(api, skip).carry_out()
    assert [told["retryable"] for told in api.told("fail")] == [False]
    assert len(api.told("skip")) == 1


@pytest.mark.parametrize("fault", [KeyError("input"), Interrupted()], ids=repr)
def test_a_fault_of_ours_is_told_as_the_steps_failure_and_logged(
    api: Api, time: clock.SteppingClock, caplog: pytest.LogCaptureFixture, fault: BaseException
) -> None:
    def given() -> Any:
        time.advance(2_000_000)
        raise fault

    attempt = attempt_of(api, lambda: 1)
    attempt.lease.given = given  # type: ignore[method-assign]
    attempt.carry_out()
    [told] = api.told("fail")
    assert (told["reason"], told["retryable"], told["durationUs"]) == ("execution-error", True, 2_000_000)
    assert "step 'train' could not be carried out" in caplog.text


@pytest.mark.parametrize("error", [StaleAttemptError(), BackendUnavailableError()])
def test_what_is_no_fault_of_the_step_is_none_of_its_failures(
    api: Api, time: clock.SteppingClock, error: Exception
) -> None:
    api.answers["complete"] = [error] * 1_000
    with pytest.raises(type(error)):
        attempt_of(api, lambda: 1).carry_out()
    assert not api.told("fail")


def test_what_is_given_back_is_released(api: Api) -> None:
    attempt = attempt_of(api, lambda: attempt.give_back())
    assert attempt.carry_out() == {"status": "completed"}
    assert [name for name, *_ in api.asked if name != "heartbeat"] == ["release"]


def test_what_has_come_of_it_all_the_same_is_told_and_not_given_back(api: Api) -> None:
    attempt = attempt_of(api, lambda: 1, stepId="gone")
    attempt.give_back()
    attempt.carry_out()
    assert [told["reason"] for told in api.told("fail")] == ["step-removed"]
    assert not api.told("release")


def test_code_that_is_stopped_to_be_given_back_is_known_to_be(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt, known = attempt_of(api, lambda: 1), list[bool]()
    monkeypatch.setattr(attempt, "_stop", lambda: known.append(attempt._given_back.is_set()))
    attempt.give_back()
    assert known == [True]


def test_a_policy_is_asked_for_the_attempt_as_it_counts(api: Api) -> None:
    def train() -> None:
        raise ValueError("no gpu")

    retry = [Retry(max_attempts=2), Retry(give_up_on=ValueError)]
    for counted in (2, 3):
        attempt_of(api, train, retry=retry, attemptNumber=7, countedAttempt=counted).carry_out()
    assert [told["retryable"] for told in api.told("fail")] == [True, False]


def test_what_another_has_is_told_so_and_not_released(api: Api) -> None:
    def train(ctx: StepContext) -> None:
        ctx.heartbeat()

    attempt = attempt_of(api, train)
    api.answers["heartbeat"] = [StaleAttemptError()]
    with pytest.raises(StaleAttemptError, match="another worker has it by now"):
        attempt.carry_out()
    assert [name for name, *_ in api.asked] == ["heartbeat"]


def test_it_beats_and_is_watched_until_it_is_reported(api: Api) -> None:
    names = list[set[str]]()
    api.answers["complete"] = [lambda: names.append({thread.name for thread in threading.enumerate()})]
    attempt_of(api, lambda: 1).carry_out()
    [at_work] = names
    assert at_work >= {"step-heartbeat", "step-lease"}


def test_what_outlasts_its_lease_is_stopped(api: Api) -> None:
    def train() -> None:
        while True:
            pass

    api.answers["heartbeat"] = [BackendUnavailableError()] * 1_000
    attempt = attempt_of(api, train, leaseUs=50_000)
    with pytest.raises(StaleAttemptError, match="its lease is over"):
        attempt.carry_out()


@pytest.mark.parametrize(("timeout_us", "stop_after_ms"), [(None, None), (7_000_000, 37_000)])
def test_it_beats_three_times_in_a_lease_and_no_longer_than_a_report_takes_after_its_timeout(
    api: Api, monkeypatch: pytest.MonkeyPatch, timeout_us: int | None, stop_after_ms: int | None
) -> None:
    told: list[Any] = []

    def noted(beat: Any, **options: Any) -> Heartbeat:
        told.append((options["every_ms"], options["stop_after_ms"]))
        return Heartbeat(beat, **options)

    monkeypatch.setattr(attempt_module, "Heartbeat", noted)
    attempt_of(api, lambda: 1, timeoutUs=timeout_us).carry_out()
    assert told == [(LEASE_US / 3_000, stop_after_ms)]
