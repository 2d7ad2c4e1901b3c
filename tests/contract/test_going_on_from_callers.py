"""New runs of the engine's out of old ones that were told otherwise than it would have: what fits is kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cascade_flow import DynamoDBBackend, StepCompleted, clock
from contract.called import FLOW, Called
from contract.outside import Outside, register, step, sweep
from simulation import BEGIN_US, TIMING, TickingClock

pytestmark = pytest.mark.servers("all")


def in_order(run: Called) -> None:
    run.schedule("a")
    run.do("a")


def over_twice(run: Called) -> None:
    in_order(run)
    run.schedule("a", 2)
    run.do("a")


def scheduled_again(run: Called) -> None:
    in_order(run)
    run.schedule("a", 2)


def never_begun(run: Called) -> None:
    end = StepCompleted(
        timestamp_us=BEGIN_US + 5,
        workflow_slug=FLOW,
        run_id=run.run_id,
        step_id="a",
        output="1",
        duration_us=1,
        attempt_number=1,
        export_output=False,
    )
    run.backend.append_event(FLOW, run.run_id, end)


def in_the_future(run: Called) -> None:
    run.schedule("a")
    run.take("a")
    [started] = run.events("StepStarted")
    later = started.timestamp_us + 10**12
    told = {"output": "1", "duration_us": 1, "attempt_number": 1, "export_output": False}
    place = {"workflow_slug": FLOW, "run_id": run.run_id, "step_id": "a", "timestamp_us": later}
    run.backend.append_event(FLOW, run.run_id, StepCompleted.model_validate({**place, **told}, by_name=True))


TELLINGS: list[tuple[Callable[[Called], None], list[str]]] = [
    (in_order, ["b"]),
    (over_twice, ["a", "b"]),
    (scheduled_again, ["a", "b"]),
    (never_begun, ["a", "b"]),
    (in_the_future, ["a", "b"]),
]


def look_after(backend: DynamoDBBackend, time: TickingClock) -> None:
    time.pause_us(TIMING.grace_us)
    sweep(backend)


@pytest.mark.parametrize(("tell", "again"), TELLINGS, ids=[tell.__name__ for tell, _ in TELLINGS])
def test_what_a_caller_told_in_order_is_kept(
    backend: DynamoDBBackend, time: TickingClock, tell: Callable[[Called], None], again: list[str]
) -> None:
    register(backend, step("a"), step("b", "a"))
    old = Called.new(backend)
    tell(old)
    old.give_up()
    for new_id in (
        backend.resume_run(old.run_id).run_id,
        backend.rerun_from(parent_run_id=old.run_id, from_step_id="b").run_id,
    ):
        new = Outside(backend, new_id)
        look_after(backend, time)
        new.do(*again)
        assert new.status == "completed"
        assert max(event.timestamp_us for event in new.events()) <= clock.now_us()
        assert sorted(event.step_id for event in new.events("StepCompleted")) == ["a", "b"]


def test_what_does_not_follow_its_dependency_in_the_new_graph_runs_again(
    backend: DynamoDBBackend, time: TickingClock
) -> None:
    old = Outside.at(backend, step("a"), step("b"), step("c", "a", "b"))
    old.do("b", "a")
    old.fail("c", old.take("c"), terminal=True)
    register(backend, step("a"), step("b", "a"), step("c", "a", "b"))
    new = Outside(backend, backend.resume_run(old.run_id).run_id)
    look_after(backend, time)
    new.do("b", "c")
    assert new.status == "completed"
    assert [event.step_id for event in new.events("StepCompleted")] == ["a", "b", "c"]
