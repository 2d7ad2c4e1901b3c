"""A worker as its slots and its poller see it: who gets what, what is told, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Mapping
from threading import Timer
from typing import Any, cast

import pytest

from cascade_flow import clock
from cascade_flow.client import Client
from cascade_flow.client.asking import Json
from cascade_flow.client.workers import Attempt
from cascade_flow.errors import BackendUnavailableError, CascadeFlowError, ConfigurationError, StaleAttemptError
from cascade_flow.remote import dispatcher
from cascade_flow.remote.dispatcher import Dispatcher, Wishes
from cascade_flow.remote.place import Hear, SlotProcess
from cascade_flow.remote.poller import Seat
from unit.remote.conftest import Api, claim_of

CLAIM = claim_of()
NAMED = {"runId": "r", "stepId": "train", "attemptNumber": 1}
BEGAN, ENDED, IDLE = {"event": "began", **NAMED}, {"event": "ended", **NAMED, "status": "completed"}, {"event": "idle"}
READY = {"event": "ready", "workflows": 1, "pools": ["gpu"]}
Act = Callable[["Desk", Seat], object]


class Desk:
    """One dispatcher between slots without processes and a poller without an API.

    `answers`: what the poller does of each question, in order. `words`: what a slot does when it is told something.
    """

    def __init__(self, api: Api, **wishes: Any) -> None:
        self.told: list[Json] = []
        self.slots: list[Slot] = []
        self.asked: list[int] = []
        self.answers: list[Act] = []
        self.words: Callable[[Slot, Json], object] = works
        self.first: list[Json | None] = [READY]
        self.poller: dict[str, Callable[..., None]] = {}
        self.polls: tuple[str | None, int] = (None, 0)
        self._client = cast(Client, api)
        self._wishes = Wishes(workflows="flows", path=("here",), pool="gpu", **wishes)

    def run(self, *answers: Act) -> list[str]:
        """What was told of, when all is over."""
        self.answers = list(answers)
        Dispatcher(self._client, self._wishes, self.told.append).run()
        assert not self.answers, "nobody has asked"
        return [each["event"] for each in self.told]

    def ask(self, seat: Seat) -> None:
        self.asked.append(seat.index)
        self.answers.pop(0)(self, seat)

    def take(self, seat: Seat, claim: Json | None) -> None:
        self.poller["take"](seat, claim)

    @property
    def said(self) -> list[tuple[int, Any]]:
        """What slots were told, by the slot's index."""
        return [(slot.seat.index, words) for slot in self.slots for words in slot.told]


class Slot(SlotProcess):
    """A slot whose process is the test."""

    desk: Desk

    def __init__(self, seat: Seat, spec: Mapping[str, Any], hear: Hear) -> None:
        self.seat, self.spec = seat, spec
        self.holds, self.is_ready, self.is_free = None, False, False
        self.hears: Callable[[Json | None], None] = lambda said: hear(self, said)
        self.told: list[Any] = []
        self.desk.slots.append(self)
        if self.desk.first:
            self.hears(self.desk.first.pop(0) if len(self.desk.first) > 1 else self.desk.first[0])

    @property
    def pid(self) -> int:
        return 1_000 + self.seat.index

    def _say(self, words: Json) -> None:
        self.told.append(words)
        self.desk.words(self, words)

    def kill(self) -> None:
        self.told.append("kill")
        self.hears(None)

    def end(self) -> str:
        return "was killed by signal 9"


def works(slot: Slot, words: Json) -> None:
    """Does what it is told at once."""
    for said in (BEGAN, ENDED, IDLE) if "claim" in words else ():
        slot.hears(said)


def stays(slot: Slot, words: Json) -> None:
    """Begins, and goes on for ever; the worker is told to end meanwhile."""
    if "claim" in words:
        slot.hears(BEGAN)
        signalled()


def dies(slot: Slot, words: Json) -> None:
    if "claim" in words:
        slot.hears(BEGAN)
        slot.hears(None)


def gives(desk: Desk, seat: Seat) -> None:
    desk.take(seat, CLAIM)


def nothing(desk: Desk, seat: Seat) -> None:
    desk.take(seat, None)


def signalled(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def after_a_signal(act: Act, times: int = 1) -> Act:
    def acts(desk: Desk, seat: Seat) -> None:
        for _ in range(times):
            signalled()
        act(desk, seat)

    return acts


last = after_a_signal(nothing)
"""A question during which the worker is told to end, and which finds nothing."""


class Poller:
    """Asks the desk."""

    desk: Desk

    def __init__(self, client: object, pool: str | None, concurrency: int, **ends: Callable[..., None]) -> None:
        self.desk.poller = ends
        self.desk.polls = (pool, concurrency)

    def start(self) -> None:
        """Nobody asks by itself."""

    def ask(self, seat: Seat) -> None:
        self.desk.ask(seat)


@pytest.fixture
def desk(api: Api, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Desk]:
    def make(**wishes: Any) -> Desk:
        made = Desk(api, **wishes)
        for part in (Slot, Poller):
            monkeypatch.setattr(part, "desk", made, raising=False)
        return made

    monkeypatch.setattr(dispatcher, "SlotProcess", Slot)
    monkeypatch.setattr(dispatcher, "Poller", Poller)
    return make


def test_a_due_step_goes_to_the_slot_that_is_free_and_then_the_next_is_asked_for(desk: Callable[..., Desk]) -> None:
    at = desk()
    assert at.run(gives, gives, last) == ["ready", "began", "ended", "began", "ended", "draining"]
    assert at.told[0] == {"event": "ready", "pool": "gpu", "workflows": 1, "poolsDeclared": ["gpu"], "slots": [1_000]}
    assert at.told[1] == {**BEGAN, "slot": 0}
    assert at.told[2] == {**ENDED, "slot": 0}
    assert at.said == [(0, {"claim": CLAIM}), (0, {"claim": CLAIM}), (0, {"do": "drain"}), (0, "kill")]


def test_a_slot_is_known_by_machine_process_and_number(desk: Callable[..., Desk]) -> None:
    at = desk(concurrency=2, url="https://x", region="eu-west-1")
    at.run(last)
    assert at.polls == ("gpu", 2)
    ids = [slot.seat.worker_id for slot in at.slots]
    assert ids == [f"{socket.gethostname()[:100]}-{os.getpid()}-{index}" for index in (0, 1)]
    spec = {"workflows": "flows", "path": ("here",), "url": "https://x", "region": "eu-west-1", "profile": None}
    assert [slot.spec for slot in at.slots] == [spec, spec]
    assert [each["slots"] for each in at.told if each["event"] == "ready"] == [[1_000, 1_001]], "when all are"


def test_a_busy_slot_is_asked_for_nothing(desk: Callable[..., Desk]) -> None:
    at = desk(concurrency=2)
    at.words = lambda slot, words: slot.hears(BEGAN) if "claim" in words else finishes(slot)

    def finishes(slot: Slot) -> None:
        if slot.holds:
            slot.hears(ENDED)
            slot.hears(IDLE)

    at.run(gives, last)
    assert at.asked == [0, 1]


def test_what_was_asked_for_before_the_end_is_still_run(desk: Callable[..., Desk], api: Api) -> None:
    at = desk()
    assert at.run(after_a_signal(gives)) == ["ready", "draining", "began", "ended"]
    assert api.asked == []


def test_who_is_told_twice_gives_back_what_it_is_given(desk: Callable[..., Desk], api: Api) -> None:
    at = desk()
    assert at.run(after_a_signal(gives, times=2)) == ["ready", "draining", "giving back"]
    worker_id = at.slots[0].seat.worker_id
    assert api.asked == [("release", (Attempt("r", "train", worker_id, 1),), {})]
    assert (0, {"do": "give back"}) in at.said


def test_after_its_time_a_step_is_given_back_and_then_killed(
    desk: Callable[..., Desk], api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "SECONDS_TO_GIVE_BACK", 0)
    at = desk(drain_s=0)
    at.words = stays
    assert at.run(gives) == ["ready", "began", "draining", "giving back", "crashed"]
    assert [words for _, words in at.said][1:4] == [{"do": "drain"}, {"do": "give back"}, "kill"]
    assert [each["steps"] for each in at.told if "steps" in each] == [1, 1]
    assert [name for name, *_ in api.asked] == ["release"], "it is no failure of the step"
    assert len(at.slots) == 1, "who ends opens no further slot"


def test_who_gives_back_has_seconds_for_it_and_is_then_killed_once(
    desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits_s: list[float] = []

    def noted(seconds: float) -> int:
        limits_s.append(seconds)
        return 0

    def kill(slot: Slot) -> None:
        slot.told.append("kill")
        Timer(0.02, slot.hears, [None]).start()

    monkeypatch.setattr(dispatcher, "_in", noted)
    monkeypatch.setattr(Slot, "kill", kill)
    at = desk(drain_s=5)
    at.words = stays
    at.run(gives)
    assert limits_s == [5, dispatcher.SECONDS_TO_GIVE_BACK]
    assert [words for _, words in at.said].count("kill") == 1


def test_what_comes_for_a_slot_that_died_while_its_worker_drained_is_given_back(
    desk: Callable[..., Desk], api: Api
) -> None:
    def dies_first(desk: Desk, seat: Seat) -> None:
        desk.slots[0].hears(None)
        gives(desk, seat)

    at = desk()
    assert at.run(after_a_signal(dies_first)) == ["ready", "draining"]
    assert [name for name, *_ in api.asked] == ["release"]


def test_what_is_left_of_its_time_is_more_than_whole_seconds(desk: Callable[..., Desk], api: Api) -> None:
    with clock.use(clock.SteppingClock(1_000_000)):
        worker = Dispatcher(cast(Client, api), desk()._wishes, print)
        worker._until_us = 1_500_000
        assert worker._left_s() == 0.5


def test_a_machines_long_name_is_cut(desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "h" * 200)
    at = desk()
    at.run(last)
    assert at.slots[0].seat.worker_id == f"{'h' * 100}-{os.getpid()}-0"


def test_without_a_limit_it_waits_for_its_steps(desk: Callable[..., Desk]) -> None:
    at = desk()

    def begins(slot: Slot, words: Json) -> None:
        if "claim" in words:
            slot.hears(BEGAN)
            signalled()
        elif words == {"do": "drain"}:
            slot.hears(ENDED)
            slot.hears(IDLE)

    at.words = begins
    assert at.run(gives) == ["ready", "began", "draining", "ended"]


@pytest.mark.parametrize(
    ("answer", "untold"), [({"status": "failed"}, 0), (StaleAttemptError(), 0), (BackendUnavailableError("away"), 1)]
)
def test_a_slot_that_dies_is_told_for_and_replaced(
    desk: Callable[..., Desk], api: Api, answer: Any, untold: int
) -> None:
    at = desk()
    at.words = dies
    api.answers["fail"] = [answer]
    assert at.run(gives, last) == ["ready", "began", "crashed", *["untold"] * untold, "ready", "draining"]
    words = "the step's process was killed by signal 9"
    assert at.told[2] == {"event": "crashed", **NAMED, "slot": 0, "reason": words}
    [(method, (attempt, error), told)] = api.asked
    assert (method, attempt) == ("fail", Attempt("r", "train", at.slots[0].seat.worker_id, 1))
    assert (error, told) == ({"name": "WorkerExit", "message": words}, {"reason": "worker-crash"})
    assert [slot.seat for slot in at.slots] == [at.slots[0].seat] * 2


def test_a_step_whose_slot_dies_while_its_worker_drains_has_failed(desk: Callable[..., Desk], api: Api) -> None:
    at = desk()

    def begins(slot: Slot, words: Json) -> None:
        if "claim" in words:
            slot.hears(BEGAN)
            signalled()
        else:
            slot.hears(None)

    at.words = begins
    assert at.run(gives) == ["ready", "began", "draining", "crashed"]
    assert [name for name, *_ in api.asked] == ["fail"]


def test_a_slot_that_dies_after_its_step_has_taken_nothing_with_it(desk: Callable[..., Desk], api: Api) -> None:
    at = desk()
    at.words = lambda slot, words: [slot.hears(said) for said in (BEGAN, ENDED, None) if "claim" in words]
    assert at.run(gives, last) == ["ready", "began", "ended", "ready", "draining"]
    assert api.asked == []


def test_a_slot_that_is_given_a_step_before_it_is_ready_is_busy(desk: Callable[..., Desk]) -> None:
    """The one before it has died while it was asked for."""
    at = desk()

    def replaced(desk: Desk, seat: Seat) -> None:
        desk.first = []
        desk.slots[0].hears(None)
        gives(desk, seat)

    def begins(slot: Slot, words: Json) -> None:
        if "claim" in words:
            slot.hears(READY)
            signalled()
        elif words == {"do": "drain"}:
            works(slot, {"claim": CLAIM})

    at.words = begins
    assert at.run(replaced) == ["ready", "ready", "draining", "began", "ended"]


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ({"event": "unable", "reason": "no flows"}, "no flows"),
        (None, "could not be started: it was killed by signal 9"),
    ],
)
def test_where_no_slot_can_be_started_it_cannot_begin(
    desk: Callable[..., Desk], first: Json | None, words: str
) -> None:
    at = desk()
    at.first = [first]
    with pytest.raises(ConfigurationError, match=words):
        at.run()


def test_where_one_cannot_be_replaced_the_others_finish(desk: Callable[..., Desk]) -> None:
    at = desk(concurrency=2)
    at.first = [READY, READY, {"event": "unable", "reason": "no flows"}]

    def begins(slot: Slot, words: Json) -> None:
        if "claim" in words:
            slot.hears(BEGAN)
            if slot.seat.index:
                slot.hears(None)
        elif words == {"do": "drain"} and slot.holds:
            slot.hears(ENDED)
            slot.hears(IDLE)

    at.words = begins
    told = at.run(gives, gives)
    assert told == ["ready", "began", "began", "crashed", "unable", "draining", "ended"]
    assert at.told[4] == {"event": "unable", "reason": "no flows"}


def test_where_two_cannot_be_replaced_that_is_told_once_and_costs_nobody_a_step(
    desk: Callable[..., Desk], api: Api
) -> None:
    at = desk(concurrency=3)
    at.first = [READY, READY, READY, {"event": "unable", "reason": "no flows"}]

    def begins(slot: Slot, words: Json) -> None:
        if "claim" in words:
            slot.hears(BEGAN)
            for other in at.slots[1:3]:
                other.hears(None)
        elif words == {"do": "drain"} and slot.holds:
            slot.hears(ENDED)
            slot.hears(IDLE)

    at.words = begins
    assert at.run(gives, nothing) == ["ready", "began", "unable", "draining", "ended"]
    assert api.asked == []


def fails(desk: Desk, seat: Seat) -> None:
    desk.poller["fail"](BackendUnavailableError("away"))


def test_an_api_that_never_was_there_is_told_at_once(desk: Callable[..., Desk]) -> None:
    with pytest.raises(CascadeFlowError, match="away"):
        desk().run(fails)


def test_an_api_that_is_away_is_told_of_once_and_so_is_its_return(desk: Callable[..., Desk]) -> None:
    def twice(desk: Desk, seat: Seat) -> None:
        fails(desk, seat)
        fails(desk, seat)
        desk.take(seat, None)

    at = desk()
    assert at.run(nothing, twice, nothing, last) == ["ready", "away", "back", "draining"]
    assert at.told[1]["reason"] == "away"


def test_who_ends_waits_for_no_answer_of_an_api_that_is_away(desk: Callable[..., Desk]) -> None:
    at = desk()
    assert at.run(nothing, after_a_signal(fails)) == ["ready", "draining", "away"]


def test_where_nobody_asks_any_more_it_ends(desk: Callable[..., Desk]) -> None:
    with pytest.raises(ConfigurationError, match="steps can't be claimed any more: no"):
        desk().run(lambda at, _: at.poller["end"](RuntimeError("no")))


def test_signals_are_its_own_for_as_long_as_it_runs(desk: Callable[..., Desk]) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    at = desk()
    at.run(lambda at, seat: (os.kill(os.getpid(), signal.SIGINT), nothing(at, seat)))
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == before
