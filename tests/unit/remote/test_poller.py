"""Who asks for steps: what passes is asked again, and what doesn't is told, so that the worker ends."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, cast

from cascade_flow import clock
from cascade_flow.client import Client
from cascade_flow.errors import BackendUnavailableError
from cascade_flow.remote.poller import WAIT_MS, Poller, Seat

SEAT = Seat(2, "box-1-2")
CLAIM = {"runId": "r", "stepId": "train"}


class Api:
    """Answers claims with these, one after the other."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[Any, ...]] = []

    def claim(self, *named: object, **wishes: object) -> Any:
        self.asked.append((*named, wishes))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class NotingClock(clock.SteppingClock):
    """Keeps the pauses that were made."""

    def __init__(self) -> None:
        super().__init__(0)
        self.pauses_us: list[int] = []

    def pause_us(self, us: int) -> int:
        self.pauses_us.append(us)
        return self.advance(us)


def told_by(*answers: Any, number: int) -> list[Any]:
    """What is heard of these answers, in order."""
    return heard_of(Api(*answers), clock.SteppingClock(0), number)


def heard_of(api: Api, time: clock.SteppingClock, number: int) -> list[Any]:
    heard = SimpleQueue[Any]()

    def note(kind: str) -> Callable[..., None]:
        return lambda *what: heard.put((kind, what[-1]))

    poller = Poller(cast(Client, api), "gpu", 3, take=note("taken"), fail=note("failed"), end=note("ended"))
    with clock.use(time):
        poller.start()
        poller.ask(SEAT)
        return [heard.get(timeout=30) for _ in range(number)]


def test_an_api_that_is_away_is_asked_again() -> None:
    away = BackendUnavailableError()
    assert told_by(away, away, CLAIM, number=3) == [("failed", away), ("failed", away), ("taken", CLAIM)]


def test_what_nobody_foresaw_is_told_as_the_end() -> None:
    broken = RuntimeError("no such thing")
    assert told_by(broken, number=1) == [("ended", broken)]


def test_a_question_names_its_seat_and_pool_and_waits() -> None:
    api = Api(CLAIM)
    heard_of(api, clock.SteppingClock(0), 1)
    wishes = {"pool": "gpu", "wait_ms": WAIT_MS, "slot_index": 2, "worker_concurrency": 3}
    assert api.asked == [("box-1-2", wishes)]


def test_it_pauses_ever_longer_up_to_half_a_minute_and_never_at_once() -> None:
    time, failures = NotingClock(), 20
    heard_of(Api(*[BackendUnavailableError()] * failures, CLAIM), time, failures + 1)
    longest = [min(30_000_000, 500_000 * 2**number) for number in range(failures)]
    assert len(time.pauses_us) == failures
    assert all(most / 2 <= us <= most for us, most in zip(time.pauses_us, longest, strict=True))
    assert len(set(time.pauses_us[6:])) > 1, "workers that were refused together don't come back together"
