"""What a worker does around an attempt: it takes what a wake-up names, is patient as long as it may, and lets go."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cascade_flow import Retry, StepContext, Workflow, clock
from cascade_flow.errors import BackendUnavailableError, StaleAttemptError
from cascade_flow.model.events import StepStarted
from cascade_flow.operations.collection import Collection
from cascade_flow.operations.expansion import Expansion
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.operations.sweep import Sweep
from cascade_flow.records import replace
from cascade_flow.wake import Wake
from cascade_flow.worker import loop
from simulation import TIMING, TickingClock
from testbed.servers import Store
from unit.worker.place import LONGEST_MS, Place, once

Places = Callable[..., Place]


@pytest.fixture
def place(dynamodb: Store, time: TickingClock) -> Places:
    def of(function: Callable[..., Any], **options: Any) -> Place:
        flow = Workflow("flow")
        flow.step(id="work", retry=Retry(max_attempts=1))(function)
        return Place(dynamodb, flow, **options)

    return of


def test_who_is_woken_for_no_step_looks_at_what_is_named_in_its_own_name(
    place: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(sweep: Any, run_id: str, branch: str) -> None:
        looks.append((sweep._name, run_id, branch))

    at, looks = place(lambda: 1), list[tuple[str, str, str]]()
    monkeypatch.setattr(Sweep, "attend", look)
    for branch in ("", "work"):
        assert at.worker.work(Wake(at.run_id, branch), remaining_ms=lambda: LONGEST_MS) == 0
    assert looks == [("worker-7", at.run_id, ""), ("worker-7", at.run_id, "work")]


@pytest.mark.parametrize("part", ["take", "held_by", "inputs", "put_aside", "report"])
def test_a_table_that_is_away_for_a_moment_costs_an_attempt_nothing(
    place: Places, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    at = place(lambda: 1)
    monkeypatch.setattr(Steps, part, once(BackendUnavailableError("away"), getattr(Steps, part)))
    at.work()
    assert at.status == "completed"


@pytest.mark.parametrize(("part", "for_us"), [("take", 10_000_000), ("held_by", 40_000_000)])
def test_a_claim_is_tried_for_ten_seconds_and_what_is_claimed_is_asked_for_as_long_as_its_lease(
    place: Places, monkeypatch: pytest.MonkeyPatch, part: str, for_us: int
) -> None:
    def away(*_: Any) -> None:
        raise BackendUnavailableError

    at = place(lambda: 1, timing=replace(TIMING, lease_us=40_000_000))
    monkeypatch.setattr(Steps, part, away)
    [wake] = at.mailbox.wakes
    began_us = clock.now_us()
    with pytest.raises(BackendUnavailableError):
        at.worker.work(wake, remaining_ms=lambda: LONGEST_MS)
    assert for_us - 5_000_000 <= clock.now_us() - began_us <= for_us + 100_000


def test_what_a_wake_up_tells_is_not_read_again(place: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    at = place(lambda: 1)
    monkeypatch.setattr(Steps, "_read", pytest.fail)
    at.work()
    assert at.status == "completed"


def test_who_claims_is_known_by_its_name(place: Places) -> None:
    at = place(lambda: 1)
    at.work()
    [began] = at.told(StepStarted)
    assert began.worker_id == "worker-7"


def test_each_attempt_that_was_run_is_counted(dynamodb: Store, time: TickingClock) -> None:
    flow = Workflow("flow")
    flow.step(id="first")(lambda: 1)
    flow.step(id="second")(lambda first: first)
    flow.step(id="third")(lambda second: second)
    at = Place(dynamodb, flow)
    assert at.work() == 3


def test_a_place_is_let_go_as_it_was_held_last_where_the_attempt_is_lost_and_not_where_it_ends(
    place: Places, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def work(ctx: StepContext) -> None:
        ctx.heartbeat()

    def let_go(_: Steps, held: HeldAttempt) -> None:
        gone.append(held)

    gone = list[HeldAttempt]()
    monkeypatch.setattr(Steps, "let_place_go", let_go)
    place(work).work()
    assert gone == []
    at = place(work)
    monkeypatch.setattr(Steps, "report", once(StaleAttemptError("another has it"), Steps.report))
    at.work()
    [held] = gone
    assert held.branch.heartbeat_us is not None
    [told] = [record for record in caplog.records if record.name == loop.__name__]
    assert (told.levelno, told.getMessage()) == (logging.WARNING, "another has it")
    assert told.__dict__.items() >= {"run_id": at.run_id, "step": "work", "attempt": 1}.items()


def doubling() -> Workflow:
    """Numbers, a map over them, and what follows it."""
    flow = Workflow("flow")

    @flow.step
    def numbers() -> list[int]:
        return [1, 2]

    @flow.map(over=numbers)
    def twice(number: int) -> int:
        return 2 * number

    @flow.step
    def total(twice: list[int]) -> int:
        return sum(twice)

    return flow


@pytest.mark.parametrize(("owner", "part"), [(Expansion, "command"), (Collection, "collect")])
def test_what_children_do_is_handed_out_and_collected_for_as_long_as_there_is_time(
    dynamodb: Store, time: TickingClock, monkeypatch: pytest.MonkeyPatch, owner: Any, part: str
) -> None:
    at = Place(dynamodb, doubling())
    monkeypatch.setattr(owner, part, once(BackendUnavailableError("away"), getattr(owner, part)))
    at.work()
    assert at.status == "completed"


def test_who_collects_goes_on_with_what_follows_and_wakes_nobody_for_it(
    dynamodb: Store, time: TickingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sent(wakes: Sequence[Wake]) -> None:
        woken.extend(wake.step for wake in wakes)
        send(wakes)

    woken, at = list[str](), Place(dynamodb, doubling())
    send = at.mailbox.send
    monkeypatch.setattr(at.mailbox, "send", sent)
    at.work()
    assert at.status == "completed"
    assert "twice" in woken
    assert "total" not in woken
