"""Runs of other engines: what happens while a word is on its way, and what whoever dies leaves to the next reader."""

from __future__ import annotations

import secrets
from functools import partial

import pytest

from cascade_flow import clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.caller_ledger import CallerLedger
from cascade_flow.dynamodb.digests import digests_since
from cascade_flow.operations.ended_runs import EndedRuns
from clauses.stage import asking, counting, dies, dying
from clauses.test_callers import MINUTE_US, by, checked, gone, line, listed, others, under_way
from contract.called import Called
from faults.moments import pausing
from simulation import World
from testbed.wire import Answer, Floor, Request, Send, wire_of


def silent(world: World) -> Called:
    """A run of whose step nobody has heard for a minute."""
    run = under_way(world)
    run.take("a")
    world.clock.pause_us(MINUTE_US)
    return run


def test_a_worker_that_beats_just_before_it_is_reclaimed_is_left_alone(world: World) -> None:
    run = silent(world)
    late = pausing(world, "BatchGetItem", partial(others(world, run).beat, "a"), at=2)
    assert late.reclaim_stale_steps(stale_threshold_us=MINUTE_US // 2, reclaimed_by="late") == []


def test_who_is_not_silent_is_not_read_one_by_one(world: World) -> None:
    run = silent(world)
    asked = []
    for _ in range(2):
        late, sizes = counting(world)
        assert late.reclaim_stale_steps(stale_threshold_us=2 * MINUTE_US, reclaimed_by="late") == []
        asked.append(len(sizes))
        run.beat("a")
        world.clock.pause_us(2 * MINUTE_US - 1_000_000)
    assert asked[1] <= asked[0] + 1


def test_no_attempt_is_reclaimed_but_the_one_that_was_found_silent(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    run = silent(world)

    def meanwhile() -> None:
        other = others(world, run)
        other.retry("a")
        other.take("a")
        world.clock.pause_us(MINUTE_US)

    late = pausing(world, "BatchGetItem", meanwhile, at=2)
    assert late.reclaim_stale_steps(stale_threshold_us=MINUTE_US // 2, reclaimed_by="late") == []
    assert caplog.messages == [], "nothing of it is a fault"


def test_nothing_is_reclaimed_of_a_run_that_is_gone(world: World) -> None:
    run = silent(world)
    late = pausing(world, "TransactWriteItems", partial(gone, world, keys.run(run.run_id)))
    assert late.reclaim_stale_steps(stale_threshold_us=MINUTE_US // 2, reclaimed_by="late") == []


def test_what_is_put_off_while_lists_are_read_is_not_due(world: World) -> None:
    run = under_way(world, "a", "b")
    later = partial(others(world, run).schedule, "a", available_at_us=clock.now_us() + MINUTE_US)
    assert by(run, pausing(world, "BatchGetItem", later)).due() == [(run.run_id, "b")]


def test_what_ends_while_lists_are_read_is_not_due(world: World) -> None:
    run = under_way(world, "a", "b")
    assert by(run, pausing(world, "BatchGetItem", partial(others(world, run).do, "a"))).due() == [(run.run_id, "b")]


def test_a_step_of_which_nothing_was_said_can_not_be_claimed(world: World) -> None:
    run = under_way(world)
    claimable = [world.backend.is_step_claimable(run.slug, run.run_id, name) for name in ("a", "b")]
    assert claimable == [True, False]


def test_who_begins_a_step_of_a_run_that_is_not_there_makes_it(world: World) -> None:
    run = Called(world.backend, "run-1")
    assert (run.begin("a"), run.kinds()) == (1, ["StepStarted"])


def test_who_tries_a_step_again_has_not_failed_it_for_good(world: World) -> None:
    run = under_way(world)
    run.take("a")
    run.retry("a")
    assert [event.terminal for event in run.events("StepFailed")] == [False]
    assert run.backend.get_failed_steps(run.slug, run.run_id) == []


def test_nothing_is_reclaimed_after_the_runs_end(world: World) -> None:
    run = silent(world)
    late = pausing(world, "TransactWriteItems", others(world, run).give_up)
    assert late.reclaim_stale_steps(stale_threshold_us=MINUTE_US // 2, reclaimed_by="late") == []
    assert "StepReclaimed" not in run.kinds()


def test_a_run_that_goes_while_its_step_is_reclaimed_is_no_fault(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    run = silent(world)
    late = pausing(world, "BatchGetItem", partial(gone, world, keys.run(run.run_id)), at=2)
    assert late.reclaim_stale_steps(stale_threshold_us=MINUTE_US // 2, reclaimed_by="late") == []
    assert caplog.messages == []


def test_nothing_is_claimed_after_the_runs_end(world: World) -> None:
    run = under_way(world)
    late = pausing(world, "TransactWriteItems", others(world, run).give_up)
    assert by(run, late).claim("a") is None
    assert "StepStarted" not in run.kinds()


def test_who_ends_a_run_and_dies_leaves_its_steps_to_the_next_reader(world: World) -> None:
    run = under_way(world, "a", "b")
    dies(by(run, dying(world, "TransactWriteItems", at=2)).give_up)
    assert listed(world, run) == ["a", "b"]
    assert world.observer.list_scheduled_steps() == []
    assert listed(world, run) == []


def test_what_is_said_again_since_others_were_quicker_is_put_aside_once(world: World) -> None:
    run = under_way(world)
    run.take("a")
    late = pausing(world, "TransactWriteItems", partial(others(world, run).beat, "a"))
    long = secrets.token_hex(1_000)
    by(run, late).complete("a", 1, long)
    table = world.observer.runtime.ledger.table
    assert long not in str(list(CallerLedger(table).records(run.run_id)))
    items = table.query(keys.Span(keys.run(run.run_id).pk, "P#", "P#~"))
    assert len(list(items)) == 1


def test_whoever_forgets_a_long_step_and_dies_leaves_how_it_began(world: World) -> None:
    run = under_way(world)
    run.take("a")
    for _ in range(100):
        run.beat("a")
    before = run.kinds("a")
    dies(lambda: dying(world, "TransactWriteItems", at=2).delete_step_events(run.slug, run.run_id, step_ids=["a"]))
    assert run.kinds("a") == before[:12]


def test_a_step_is_forgotten_at_the_first_try_though_its_run_ends_meanwhile(world: World) -> None:
    run = under_way(world)
    late, operations = asking(world)

    def ends_first(request: Request, send: Send) -> Answer:
        if request.operation == "TransactWriteItems" and operations.count(request.operation) == 1:
            others(world, run).give_up()
        return send(request)

    wire_of(late.runtime.ledger.table.client).add(ends_first, floor=Floor.SCHEDULE)
    late.delete_step_events(run.slug, run.run_id, step_ids=["a"])
    assert operations.count("TransactWriteItems") == 1
    assert checked(world, run)[-1] == "WorkflowFailed"
    assert run.kinds("a") == []


def test_of_a_run_that_its_caller_may_go_on_telling_of_nothing_is_kept_for_reports(world: World) -> None:
    run = under_way(world)
    run.give_up()
    runtime = world.observer.runtime
    ended = EndedRuns(runtime.ledger.table)
    ended.note(runtime.run(run.run_id), run.events())
    ended.keep()
    assert list(digests_since(runtime.ledger.table, 0)) == []


def test_what_is_said_of_a_run_that_has_ended_looks_for_no_steps(world: World) -> None:
    run = under_way(world)
    run.give_up()
    by, operations = asking(world)
    by.append_event(run.slug, run.run_id, line(run))
    assert "Query" not in operations
