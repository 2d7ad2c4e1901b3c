"""What a sweep comes to, and what sweeps and workers work with: patience, a list without the unreadable."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import pytest

from cascade_flow import BackendUnavailableError, ConfigurationError, ThrottledError, clock
from cascade_flow.operations.patience import Patience
from cascade_flow.operations.tally import Failure, Swept, Tally
from cascade_flow.operations.unreadable import readable
from simulation import TickingClock


def test_a_tally_says_what_was_done_how_late_and_what_failed() -> None:
    tally = Tally()
    tally.count("looked at")
    tally.note("wake-ups repeated", "run", "a")
    tally.count("looked at")
    for waited_us in (2_999_999, 7_999_999, 1_000_000):
        tally.waited(waited_us)
    tally.fail("run", "a", ValueError("no"))
    swept = tally.swept(took_us=12_999, called_out=3, pools_us={"gpu": 5_999_999})
    done = {"looked at": 2, "wake-ups repeated": 1, "failed": 1}
    assert swept == Swept(done, [Failure("run", "a", "ValueError: no")], 7, False, 12, 3, {"gpu": 5})


def test_a_tally_counts_whole_seconds() -> None:
    tally = Tally()
    tally.waited(7_000_000)
    swept = tally.swept(took_us=12_000, called_out=0, pools_us={"gpu": 5_000_000})
    assert (swept.oldest_due_s, swept.took_ms, swept.pools) == (7, 12, {"gpu": 5})


def test_a_tally_tells_the_log_what_it_notes_and_why_it_failed(caplog: pytest.LogCaptureFixture) -> None:
    tally, error = Tally(), ValueError("no")
    with caplog.at_level(logging.INFO):
        tally.note("left for later", "run", "a", error)
        tally.note("wake-ups repeated", "run")
        tally.fail("run", "b", error)
        tally.fail_tick("flow", "nightly", error)
    assert [record.getMessage() for record in caplog.records] == [
        "left for later: run run a no",
        "wake-ups repeated: run run  ",
        "failed: run run, branch 'b': ValueError('no')",
        "failed: schedule nightly of flow: ValueError('no')",
    ]
    assert [record.levelno for record in caplog.records] == [logging.INFO] * 2 + [logging.ERROR] * 2


def test_a_time_of_a_schedule_is_a_failure_of_no_run_that_names_the_schedule() -> None:
    tally = Tally()
    tally.fail_tick("flow", "nightly", ValueError("no"))
    swept = tally.swept(took_us=0, called_out=0, pools_us={})
    assert swept == Swept({"failed": 1}, [Failure("", "", "schedule nightly of flow: ValueError: no")])


def test_a_tally_of_nothing_is_on_time() -> None:
    assert Tally().swept(took_us=0, called_out=0, pools_us={}) == Swept({}, [])


def test_a_tally_says_that_something_was_left() -> None:
    tally = Tally()
    tally.leave()
    assert tally.swept(took_us=0, called_out=0, pools_us={}).left


def test_all_failures_are_counted_and_the_first_fifty_named() -> None:
    tally = Tally()
    for number in range(52):
        tally.fail(f"run-{number}", "", ValueError("no"))
    swept = tally.swept(took_us=0, called_out=0, pools_us={})
    assert swept.done == {"failed": 52}
    assert [failure.run_id for failure in swept.failures] == [f"run-{number}" for number in range(50)]


class Refusing:
    """Refuses so many times with this error, and answers then."""

    def __init__(self, times: int, error: Exception) -> None:
        self.asked = 0
        self._times, self._error = times, error

    def __call__(self) -> str:
        self.asked += 1
        if self.asked <= self._times:
            raise self._error
        return "answer"


def test_who_has_patience_asks_again_until_there_is_an_answer() -> None:
    request = Refusing(3, ThrottledError())
    with clock.use(TickingClock()):
        assert Patience.of_ms(60_000).ask(request) == "answer"
    assert request.asked == 4


def test_who_asks_again_waits_ever_longer_and_no_longer_than_the_time_there_is() -> None:
    request, time = Refusing(1_000, BackendUnavailableError()), TickingClock(tick_us=0)
    begun_us, pauses = time.now_us(), list[int]()
    time_pause = time.pause_us
    time.pause_us = lambda us: (pauses.append(us), time_pause(us))[1]  # type: ignore[method-assign]
    with clock.use(time), pytest.raises(BackendUnavailableError):
        Patience.of_ms(60_000).ask(request)
    assert request.asked == len(pauses) + 1
    assert all(200_000 * 2**n / 2 <= us <= 200_000 * 2**n for n, us in enumerate(pauses[:5]))
    assert all(2_500_000 <= us <= 5_000_000 for us in pauses[5:])
    assert begun_us + 55_000_000 <= time.now_us() <= begun_us + 60_000_000


def test_what_does_not_pass_is_not_asked_again() -> None:
    request = Refusing(1, ConfigurationError("no table"))
    with clock.use(TickingClock()), pytest.raises(ConfigurationError):
        Patience.of_ms(60_000).ask(request)
    assert request.asked == 1


def test_who_has_no_time_asks_once() -> None:
    request = Refusing(1, ThrottledError())
    with clock.use(TickingClock()), pytest.raises(ThrottledError):
        Patience.of_ms(0).ask(request)
    assert request.asked == 1


def test_what_nobody_can_read_is_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[list[int]] = []

    def read(wanted: Sequence[int]) -> Iterable[int]:
        asked.append(list(wanted))
        return [1 // (number % 4) and number for number in wanted]

    assert readable(read, [1, 5, 4, 9, 13], what="item") == [1, 5, 9, 13]
    assert asked == [[1, 5, 4, 9, 13], [1, 5], [4, 9, 13], [4], [9, 13]]
    [told] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "passed over: item 4" in told.getMessage()


@pytest.mark.parametrize("error", [ThrottledError(), ConfigurationError("no table")])
def test_what_is_no_items_own_fault_is_raised(error: Exception) -> None:
    def read(wanted: Sequence[int]) -> Iterable[int]:
        raise error

    with pytest.raises(type(error)):
        readable(read, [1, 2])


def test_where_nothing_is_wanted_nothing_is_said_of_it() -> None:
    assert readable(lambda wanted: [1 // len(wanted)], []) == []
