"""Who asks for steps: what passes is asked again, and what doesn't is told, so that the worker ends."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, cast

from cascade_flow import clock
from cascade_flow.client import Client
from cascade_flow.errors import BackendUnavailableError
from cascade_flow.remote.poller import Poller, Seat

SEAT = Seat(0, "box-1-0")
CLAIM = {"runId": "r", "stepId": "train"}


class Api:
    """Answers claims with these, one after the other."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    def claim(self, *_: object, **__: object) -> Any:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def told_by(*answers: Any, number: int) -> list[Any]:
    """What is heard of these answers, in order."""
    heard = SimpleQueue[Any]()

    def note(kind: str) -> Callable[..., None]:
        return lambda *what: heard.put((kind, what[-1]))

    api = cast(Client, Api(*answers))
    poller = Poller(api, "gpu", 1, take=note("taken"), fail=note("failed"), end=note("ended"))
    with clock.use(clock.SteppingClock(0)):
        poller.start()
        poller.ask(SEAT)
        return [heard.get(timeout=30) for _ in range(number)]


def test_an_api_that_is_away_is_asked_again() -> None:
    away = BackendUnavailableError()
    assert told_by(away, away, CLAIM, number=3) == [("failed", away), ("failed", away), ("taken", CLAIM)]


def test_what_nobody_foresaw_is_told_as_the_end() -> None:
    broken = RuntimeError("no such thing")
    assert told_by(broken, number=1) == [("ended", broken)]
