"""The lines that come with a report: stored before it counts, and only where it may."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import ArgumentInvalidError, ChildrenDefinition, LogEntry, StaleAttemptError, clock
from clauses.families import child, handed_out, taken
from clauses.stage import RUN, begun, claimed, dies, dying, ended, reported
from clauses.test_runs import items_of
from contract.called import Called
from contract.outside import Outside
from faults.moments import pausing
from simulation import World, step


def at_work(world: World, driver: str, *, begins: bool = True) -> Outside:
    """A worker outside of the engine at step `a` of a run, which it has begun, or not."""
    if driver == "engine":
        begun(world, step("a"))
    run = Outside(world.backend, RUN, "flow") if driver == "engine" else Called.with_step(world.backend)
    if begins:
        run.take("a")
    return run


def line(run: Outside, step_id: str = "a", attempt: int = 1, said: str = "hello") -> LogEntry:
    return LogEntry(
        event_id="1",
        timestamp_us=clock.now_us(),
        workflow_slug=run.slug,
        run_id=run.run_id,
        step_id=step_id,
        attempt_number=attempt,
        stream="stdout",
        message=said,
    )


def stored(world: World, run_id: str) -> int:
    """How many pieces of lines lie in the run, whoever may be shown them."""
    return sum(item["sk"]["S"].startswith("L#") for item in items_of(world, run_id))


@pytest.mark.parametrize("driver", ["engine", "caller"])
@pytest.mark.parametrize(("begins", "attempt"), [(False, 1), (True, 2)], ids=["not begun", "another attempt"])
def test_of_a_report_that_is_refused_no_line_is_stored(world: World, driver: str, begins: bool, attempt: int) -> None:
    run = at_work(world, driver, begins=begins)
    with pytest.raises(StaleAttemptError):
        run.complete("a", attempt, logs=[line(run, attempt=attempt)])
    assert stored(world, run.run_id) == 0


@pytest.mark.parametrize("driver", ["engine", "caller"])
def test_who_dies_while_it_reports_has_stored_its_lines(world: World, driver: str) -> None:
    run = at_work(world, driver)
    late: Any = type(run)(dying(world, "TransactWriteItems"), run.run_id, run.slug)
    dies(lambda: late.complete("a", logs=[line(run)]))
    assert (stored(world, run.run_id), run.kinds("a").count("StepCompleted")) == (1, 0)


def test_of_results_that_are_none_no_line_is_stored(world: World) -> None:
    handed_out(world, ["x", "y"], batch=2)
    taken(world, 0)
    run = Outside(world.backend, child(0), "flow")
    with pytest.raises(ArgumentInvalidError):
        run.complete("pack", output=[1], logs=[line(run, "pack")])
    assert (stored(world, run.run_id), run.status) == (0, "running")


def test_what_a_step_of_a_sub_workflow_gives_is_no_batch(world: World) -> None:
    world.register([step("a", export_output=True)], slug="inner")
    begun(world, step("go", children=ChildrenDefinition(kind="workflow", workflow="inner")))
    held = claimed(world, "go")
    reported(world, held, world.act(held, "worker-1"))
    below = Outside(world.backend, f"{RUN}~go~0", "inner")
    below.do("a")
    assert below.status == "completed"
    ended(world)


def test_each_line_is_its_own_attempts(world: World) -> None:
    run = at_work(world, "engine")
    lines = [line(run, said="first"), line(run, attempt=2, said="second"), line(run, said="third")]
    world.backend.save_step_logs("flow", RUN, "a", lines)
    found = {attempt: world.observer.load_step_logs("flow", RUN, "a", attempt_number=attempt) for attempt in (1, 2)}
    assert {attempt: [each.message for each in of or ()] for attempt, of in found.items()} == {
        1: ["first", "third"],
        2: ["second"],
    }


def test_nobody_completes_what_a_caller_takes_away_meanwhile(world: World) -> None:
    """The attempt was held when it was looked at, and waits for another worker by then."""
    run = Called.with_step(world.backend)
    run.take("a")

    def taken_away() -> None:
        run.reclaim("a")
        run.schedule("a", 1)

    late = Called(pausing(world, "TransactWriteItems", taken_away), run.run_id)
    with pytest.raises(StaleAttemptError):
        late.complete("a")
    assert run.kinds("a").count("StepCompleted") == 0
