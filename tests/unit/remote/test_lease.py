"""An attempt's words on their way to the API: what is said, how often, and for how long it is believed to be held."""

from __future__ import annotations

import threading
from threading import Event
from typing import Any, cast

import pytest

from cascade_flow import clock
from cascade_flow.client import Client
from cascade_flow.client.workers import Attempt
from cascade_flow.engine.commands import Cascade, Command, Complete, Fail, KeepCheckpoint, Postpone, SkipStep
from cascade_flow.errors import (
    BackendUnavailableError,
    CascadeFlowError,
    DefinitionError,
    PayloadLostError,
    StaleAttemptError,
)
from cascade_flow.model.parts import CheckpointRef, ResourceSnapshot, ResourceUsage, StepError
from cascade_flow.model.states import Checkpoint
from cascade_flow.operations.checkpoints import CheckpointNumber
from cascade_flow.remote.lease import RemoteLease
from cascade_flow.worker import telling
from cascade_flow.worker.log_buffer import LogLine
from unit.remote.conftest import LEASE_US, START_US, Api, claim_of

ATTEMPT = Attempt("r", "train", "box-1", 1)
ERROR = StepError(name="ValueError", message="no")
SNAPSHOT = ResourceSnapshot(memory_bytes=7)
USAGE = ResourceUsage(
    peak_memory_bytes=1,
    cpu_time_user_us=2,
    cpu_time_system_us=3,
    cpu_time_total_us=5,
    voluntary_context_switches=4,
    involuntary_context_switches=6,
)
OUTER, INNER = CheckpointRef(name="outer", sequence_number=1), CheckpointRef(name="inner", sequence_number=2)


@pytest.fixture
def lease(api: Api, time: clock.SteppingClock) -> RemoteLease:
    return RemoteLease(cast(Client, api), claim_of(), "box-1")


@pytest.mark.parametrize(
    ("command", "method", "words", "told"),
    [
        (
            Complete('{"a": 1}', 0, USAGE),
            "complete",
            (ATTEMPT, {"a": 1}),
            {"claim_next": True, "durationUs": 0, "resourceUsage": USAGE.to_wire(), "lastLogUs": 0},
        ),
        (
            Fail(ERROR, "timeout", 5, retryable=False, resource_usage=USAGE),
            "fail",
            (ATTEMPT, ERROR.to_wire()),
            {
                "retryable": False,
                "reason": "timeout",
                "durationUs": 5,
                "resourceUsage": USAGE.to_wire(),
                "lastLogUs": 0,
            },
        ),
        (
            SkipStep("nothing to do", 5, {"by": "me"}),
            "skip",
            (ATTEMPT, "nothing to do"),
            {"metadata": {"by": "me"}, "durationUs": 5, "lastLogUs": 0},
        ),
        (
            SkipStep("nothing to do", 5),
            "skip",
            (ATTEMPT, "nothing to do"),
            {"metadata": None, "durationUs": 5, "lastLogUs": 0},
        ),
        (
            KeepCheckpoint("inner", 2, "[1]", label="half", parent=OUTER),
            "checkpoint",
            (ATTEMPT, "inner", 2, [1]),
            {"error": None, "label": "half", "parent": {"name": "outer", "sequence": 1}},
        ),
        (
            KeepCheckpoint("inner", 2, error=ERROR),
            "checkpoint",
            (ATTEMPT, "inner", 2, None),
            {"error": ERROR.to_wire(), "label": None, "parent": None},
        ),
    ],
)
def test_each_report_is_told_whole(
    lease: RemoteLease, api: Api, command: Command, method: str, words: tuple[Any, ...], told: dict[str, Any]
) -> None:
    lease.report(command)
    assert api.asked == [(method, words, told)]


def test_what_no_worker_says_is_refused(lease: RemoteLease) -> None:
    with pytest.raises(CascadeFlowError, match="Cascade"):
        lease.report(Cascade())


def test_who_ends_takes_no_further_step_and_what_is_said_again_is_the_same(lease: RemoteLease, api: Api) -> None:
    def told_to_end() -> None:
        lease.goes_on = False
        raise BackendUnavailableError

    api.answers["complete"] = [told_to_end]
    lease.report(Complete("1", 1))
    lease.report(Complete("1", 1))
    assert [told["claim_next"] for told in api.told("complete")] == [True, True, False]


def test_lines_are_told_with_their_times_and_the_end_with_the_last_of_them(lease: RemoteLease, api: Api) -> None:
    lease.log([LogLine("stdout", "a", START_US + 1), LogLine("stderr", "b", START_US + 2)])
    lease.report(Complete("1", 1))
    (_, words, _), (_, _, told) = api.asked
    assert words == (
        ATTEMPT,
        [
            {"stream": "stdout", "message": "a", "timestampUs": START_US + 1},
            {"stream": "stderr", "message": "b", "timestampUs": START_US + 2},
        ],
    )
    assert told["lastLogUs"] == START_US + 2


def test_lines_that_may_have_been_stored_are_before_the_end(lease: RemoteLease, api: Api) -> None:
    api.answers["write_logs"] = [PayloadLostError("whether they were stored is unknown")]
    with pytest.raises(PayloadLostError):
        lease.log([LogLine("stdout", "a", START_US + 1)])
    lease.report(Complete("1", 1))
    assert api.told("complete")[0]["lastLogUs"] == START_US + 1


def test_a_heartbeat_prolongs_the_lease_from_when_it_was_asked_for(
    lease: RemoteLease, api: Api, time: clock.SteppingClock
) -> None:
    assert lease.left_s == LEASE_US / 1_000_000
    time.advance(20_000_000)
    assert lease.left_s == 10
    api.answers["heartbeat"] = [lambda: time.advance(4_000_000)]
    lease.beat(SNAPSHOT)
    assert lease.left_s == 26
    assert api.told("heartbeat") == [{"resource_snapshot": SNAPSHOT.to_wire()}]
    time.advance(27_000_000)
    assert lease.left_s == 0


def test_a_lease_lasts_by_the_clock_of_who_holds_it(api: Api, time: clock.SteppingClock) -> None:
    for began_us in (START_US - LEASE_US, START_US + LEASE_US):
        lease = RemoteLease(cast(Client, api), claim_of(startedAtUs=began_us), "box-1")
        assert lease.left_s == LEASE_US / 1_000_000


def test_a_heartbeat_that_is_refused_prolongs_nothing(lease: RemoteLease, api: Api, time: clock.SteppingClock) -> None:
    time.advance(20_000_000)
    api.answers["heartbeat"] = [BackendUnavailableError()]
    with pytest.raises(BackendUnavailableError):
        lease.beat(SNAPSHOT)
    assert lease.left_s == 10


def test_an_api_that_is_away_is_asked_for_as_long_as_the_lease_lasts(
    lease: RemoteLease, api: Api, time: clock.SteppingClock
) -> None:
    api.answers["complete"] = [BackendUnavailableError()] * 1_000
    with pytest.raises(BackendUnavailableError):
        lease.report(Complete("1", 1))
    assert 24 <= (time.now_us() - START_US) / 1_000_000 <= 30
    assert 5 < len(api.asked) < 20


def test_whatever_is_asked_is_asked_again(lease: RemoteLease, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for method in ("given", "release", "write_logs"):
        api.answers[method] = [BackendUnavailableError()]
    monkeypatch.setattr(api, "given", lambda claim: api.__getattr__("given")(claim))
    lease.given()
    lease.log([LogLine("stdout", "a", START_US)])
    lease.release()
    assert [name for name, *_ in api.asked] == ["given"] * 2 + ["write_logs"] * 2 + ["release"] * 2


def test_heartbeats_prolong_the_patience_too(lease: RemoteLease, api: Api, time: clock.SteppingClock) -> None:
    def away() -> None:
        if not api.told("heartbeat") and time.now_us() > START_US + LEASE_US // 2:
            lease.beat(SNAPSHOT)
        raise BackendUnavailableError

    api.answers["complete"] = [away] * 1_000
    with pytest.raises(BackendUnavailableError):
        lease.report(Complete("1", 1))
    spent_s = (time.now_us() - START_US) / 1_000_000
    assert spent_s > LEASE_US / 1_000_000
    assert lease.left_s < 5.1, "it was asked until the lease was over, but for a last pause"


def test_what_does_not_pass_is_raised_at_once(lease: RemoteLease, api: Api) -> None:
    api.answers["complete"] = [StaleAttemptError()]
    with pytest.raises(StaleAttemptError):
        lease.report(Complete("1", 1))
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    ("said", "when"),
    [
        (Postpone("why", 7, at_us=5), {"delay_us": None, "available_at_us": 5}),
        (Postpone("why", 7, delay_us=6), {"delay_us": 6, "available_at_us": None}),
        (Postpone("why", 7, delay_us=0), {"delay_us": 0, "available_at_us": None}),
    ],
)
def test_what_is_not_ready_is_told_with_its_time(
    lease: RemoteLease, api: Api, said: Postpone, when: dict[str, int | None]
) -> None:
    api.answers["later"] = [{"status": "scheduled"}]
    assert lease.report(said) == {"status": "scheduled"}
    assert api.asked == [("later", (ATTEMPT, "why"), {**when, "durationUs": 7, "lastLogUs": 0})]


def test_it_is_given_back_by_name(lease: RemoteLease, api: Api) -> None:
    assert lease.release() == {"status": "completed"}
    assert api.asked == [("release", (ATTEMPT,), {})]


def test_code_that_ends_its_process_is_told_as_a_crash_with_its_time(
    lease: RemoteLease, api: Api, time: clock.SteppingClock
) -> None:
    time.advance(2_000_000)
    lease.exited("os._exit(3)")
    [(method, words, told)] = api.asked
    assert (method, words[1]) == ("fail", {"name": "WorkerExit", "message": "os._exit(3)"})
    assert told == {"retryable": True, "reason": "worker-crash", "durationUs": 2_000_000, "lastLogUs": 0}


def test_an_attempt_of_a_clock_that_is_ahead_took_no_time(lease: RemoteLease, api: Api) -> None:
    lease.claim["startedAtUs"] = START_US + 1_000_000
    lease.exited("os._exit(3)")
    assert api.told("fail")[0]["durationUs"] == 0
    assert lease.started_us == START_US + 1_000_000


def test_what_lies_in_s3_is_fetched_once_and_kept(lease: RemoteLease, api: Api) -> None:
    api.answers["given"] = [{"outputs": {"a": 1}}]
    assert lease.given()["outputs"] == lease.claim["outputs"] == {"a": 1}


def test_checkpoints_of_earlier_attempts_are_known_with_their_place(api: Api, time: clock.SteppingClock) -> None:
    outer = {"name": "outer", "sequence": 1}
    kept = [
        {**outer, "attemptNumber": 1, "data": "ä"},
        {"name": "inner", "sequence": 2, "attemptNumber": 2, "parent": outer},
        {"name": "inner", "sequence": 2, "attemptNumber": 3, "parent": outer, "data": None},
    ]
    lease = RemoteLease(cast(Client, api), claim_of(checkpoints=kept), "box-1")
    stored = Checkpoint(name="outer", sequence_number=1, attempt_number=1, data='"ä"')
    again = Checkpoint(name="inner", sequence_number=2, attempt_number=3, data="null", parent_checkpoint=OUTER)
    assert list(lease.recorded()) == [
        CheckpointNumber(OUTER, 1, None, stored),
        CheckpointNumber(INNER, 2, OUTER),
        CheckpointNumber(INNER, 3, OUTER, again),
    ]


def test_a_forked_child_says_nothing(lease: RemoteLease, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling.os, "getpid", lambda: 0)
    lease.beat(SNAPSHOT)
    lease.log([LogLine("stdout", "a", START_US)])
    with pytest.raises(DefinitionError, match="'train'"):
        lease.report(Complete("1", 1))
    assert api.asked == []


class TestWatching:
    """Time is played, and the watch looks again after as long as the lease lasts."""

    @pytest.fixture
    def short(self, api: Api, time: clock.SteppingClock) -> RemoteLease:
        return RemoteLease(cast(Client, api), claim_of(leaseUs=1_000), "box-1")

    def test_the_end_of_the_lease_is_told_and_no_look_before(
        self, short: RemoteLease, time: clock.SteppingClock
    ) -> None:
        over = Event()
        with short.watched(over.set):
            assert not over.wait(0.05)
            time.advance(1_000)
            assert over.wait(30)

    def test_an_attempt_that_has_ended_is_watched_no_more(self, short: RemoteLease, time: clock.SteppingClock) -> None:
        over = Event()
        with short.watched(over.set):
            pass
        time.advance(1_000)
        assert not over.wait(0.05)

    def test_an_attempt_that_breaks_off_is_watched_no_more(self, short: RemoteLease, time: clock.SteppingClock) -> None:
        over = Event()
        with pytest.raises(KeyError), short.watched(over.set):
            raise KeyError
        time.advance(1_000)
        assert not over.wait(0.05)

    def test_the_end_is_told_once_by_who_keeps_no_process_from_ending(
        self, short: RemoteLease, time: clock.SteppingClock
    ) -> None:
        told = list[bool]()
        before = set(threading.enumerate())
        with short.watched(lambda: told.append(threading.current_thread().daemon)):
            [watch] = set(threading.enumerate()) - before
            time.advance(1_000)
            watch.join(10)
            assert told == [True]
