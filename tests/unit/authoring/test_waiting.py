"""How a step says that it waits (`delay=`, `poll=`, `raise Later(...)`): what it declares by that, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cascade_flow import DefinitionError, Later, Poll, StepDefinition, Workflow
from cascade_flow.graph import too_late

DAY_US = 86_400_000_000


def declared(**options: Any) -> StepDefinition:
    flow = Workflow("f")

    @flow.step(**options)
    def work() -> None: ...

    return flow.registration().steps[0]


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(DefinitionError) as caught:
        act()
    return str(caught.value)


@pytest.mark.parametrize(
    ("delay", "delay_ms"), [(timedelta(hours=1), 3_600_000), (0.5, 500), (timedelta(0), None), (0, None), (None, None)]
)
def test_a_delay_is_seconds_or_a_timedelta(delay: Any, delay_ms: int | None) -> None:
    assert declared(delay=delay).delay_ms == delay_ms


@pytest.mark.parametrize(
    ("poll", "told"),
    [
        (Poll(every=30), (30_000, None)),
        (Poll(every=timedelta(seconds=1), give_up_after=timedelta(hours=2)), (1_000, 7_200_000)),
        (None, (None, None)),
    ],
)
def test_a_poll_says_how_often_and_for_how_long(poll: Poll | None, told: tuple[int | None, int | None]) -> None:
    step = declared(poll=poll)
    assert (step.poll_every_ms, step.give_up_after_ms) == told


def test_a_step_that_does_not_wait_is_stored_as_it_always_was() -> None:
    """Its version's id, a hash of that, stays."""
    assert not {"delayMs", "pollEveryMs", "giveUpAfterMs"} & declared().to_wire().keys()


def version(**options: Any) -> str:
    flow = Workflow("f")

    def work() -> None: ...

    flow.step(**options)(work)
    return flow.definition().version_id


def test_another_wait_is_another_version() -> None:
    polls = [Poll(every=1), Poll(every=2), Poll(every=1, give_up_after=9)]
    versions = [version(), *(version(delay=each) for each in (1, 2)), *(version(poll=poll) for poll in polls)]
    assert len(set(versions)) == len(versions)
    assert version(delay=0) == version()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"delay": -1}, "delay is -1: give 0 or more seconds, or a timedelta"),
        ({"delay": "1h"}, "delay is '1h': give 0 or more seconds, or a timedelta"),
        ({"poll": 30}, "poll is 30: give a Poll, as in poll=Poll(every=timedelta(seconds=30))"),
        ({"poll": Poll(every=0.5)}, "Poll: every is 0.5: give a second or more"),
        ({"poll": Poll(every=True)}, "Poll: every is True: give more than 0 seconds"),
        ({"poll": Poll(every=1, give_up_after=0)}, "Poll: give_up_after is 0: give more than 0 seconds"),
    ],
)
def test_a_wait_that_makes_no_sense_is_a_mistake_of_its_step(options: dict[str, Any], said: str) -> None:
    message = refused(lambda: declared(**options))
    assert message.startswith("workflow 'f', step 'work': ")
    assert said in message


def test_all_that_is_wrong_with_a_poll_is_told() -> None:
    message = refused(lambda: declared(poll=Poll(every=0.5, give_up_after=-1)))
    assert "every is 0.5" in message
    assert "give_up_after is -1" in message


def test_what_no_run_could_ever_start_is_a_mistake() -> None:
    """Delays add up along the way; of ways that meet the longest counts."""
    flow = Workflow("f", timeout=timedelta(hours=3))

    @flow.step(delay=timedelta(hours=1))
    def first() -> int:
        return 1

    @flow.step(delay=timedelta(hours=1))
    def second(first: int) -> int:
        return first

    @flow.step
    def beside() -> int:
        return 1

    @flow.step(delay=timedelta(hours=1))
    def third(beside: int, second: int) -> int:
        return second

    assert refused(flow.definition).endswith(
        "workflow 'f', step 'third': with its delay, and those of the steps before it, it starts 3:00:00 after the run "
        "at the earliest, and a run may last 3:00:00: shorten the delay, or raise the workflow's timeout"
    )


def test_what_starts_just_in_time_is_none() -> None:
    steps = [StepDefinition(id="a", name="a", delay_ms=999)]
    assert too_late(steps, 1_000_000) == {}
    assert list(too_late(steps, 999_000)) == ["a"]


@pytest.mark.parametrize(
    ("later", "told"),
    [
        (Later(timedelta(minutes=5), "busy"), (300_000, None, "busy")),
        (Later(0.25), (250, None, "not ready")),
        (Later(), (None, None, "not ready")),
        (Later(at=datetime(2027, 1, 1, tzinfo=UTC)), (None, 1_798_761_600_000_000, "not ready")),
        (
            Later(at=datetime(2027, 1, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))),
            (None, 1_798_761_600_000_000, "not ready"),
        ),
    ],
)
def test_later_says_when_and_why(later: Later, told: tuple[int | None, int | None, str]) -> None:
    assert (later.delay_ms, later.at_us, later.reason) == told


def test_an_instant_in_the_night_that_has_two_of_them_is_the_one_that_is_meant() -> None:
    """In Berlin it is half past two twice, when summer time ends."""
    both = [datetime(2027, 10, 31, 2, 30, fold=fold, tzinfo=ZoneInfo("Europe/Berlin")) for fold in (0, 1)]
    first, second = (Later(at=at).at_us for at in both)
    assert (second or 0) - (first or 0) == 3_600_000_000


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: Later(at=datetime(2027, 1, 1)), "has no time zone, so it names no instant"),
        (lambda: Later(at="tomorrow"), "Later: at is 'tomorrow': give a datetime with a time zone"),  # type: ignore[arg-type]
        (lambda: Later(5, at=datetime(2027, 1, 1, tzinfo=UTC)), "give how long from now, or at=, not both"),
        (lambda: Later("not ready"), "Later: the time from now is 'not ready': give more than 0 seconds"),  # type: ignore[arg-type]
        (lambda: Later(0), "Later: the time from now is 0: give more than 0 seconds"),
        (lambda: Later(timedelta(days=-1)), "give more than 0 seconds"),
    ],
)
def test_a_time_that_is_none_is_refused_where_it_is_raised(act: Callable[[], object], said: str) -> None:
    assert said in refused(act)
