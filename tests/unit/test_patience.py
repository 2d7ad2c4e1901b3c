"""Pauses between two tries grow, up to five seconds, and no two who were refused together make the same."""

from __future__ import annotations

import pytest

from cascade_flow import ThrottledError, clock
from cascade_flow.operations import patience
from cascade_flow.operations.patience import Patience, _pause_us
from simulation import BEGIN_US, TickingClock


@pytest.mark.parametrize(("attempt", "longest_us"), [(0, 200_000), (1, 400_000), (4, 3_200_000), (5, 5_000_000)])
def test_a_pause_is_between_half_and_all_of_a_time_that_doubles(attempt: int, longest_us: int) -> None:
    pauses_us = {_pause_us(attempt) for _ in range(50)}
    assert longest_us / 2 <= min(pauses_us) < max(pauses_us) <= longest_us


@pytest.mark.parametrize(("left_ms", "asked"), [(0, 1), (299, 1), (300, 2), (599, 2), (600, 3)])
def test_who_is_patient_asks_again_as_long_as_a_pause_is_over_in_time(
    monkeypatch: pytest.MonkeyPatch, left_ms: int, asked: int
) -> None:
    monkeypatch.setattr(patience, "_pause_us", lambda _: 300_000)
    asks: list[int] = []

    def refuse() -> None:
        asks.append(clock.now_us() - BEGIN_US)
        raise ThrottledError

    with clock.use(TickingClock(BEGIN_US, tick_us=0)):
        patient = Patience.of_ms(left_ms)
        assert patient.until_us == BEGIN_US + left_ms * 1_000
        with pytest.raises(ThrottledError):
            patient.ask(refuse)
    assert asks == [number * 300_000 for number in range(asked)]


def test_each_pause_is_longer_than_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[int] = []

    def paused(attempt: int) -> int:
        attempts.append(attempt)
        return 100_000

    monkeypatch.setattr(patience, "_pause_us", paused)
    answers = iter([ThrottledError(), ThrottledError(), "done"])

    def ask() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with clock.use(TickingClock()):
        assert Patience.of_ms(1_000).ask(ask) == "done"
    assert attempts == [0, 1]
