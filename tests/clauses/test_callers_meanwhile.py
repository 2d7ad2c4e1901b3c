"""Runs of other engines: what happens while a word is on its way, and what whoever dies leaves to the next reader."""

from __future__ import annotations

import secrets
from functools import partial

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.digests import digests_since
from cascade_flow.operations.ended_runs import EndedRuns
from clauses.stage import dies, dying
from clauses.test_callers import MINUTE_US, by, line, listed, others, under_way
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


def test_no_attempt_is_reclaimed_but_the_one_that_was_found_silent(world: World) -> None:
    run = silent(world)

    def meanwhile() -> None:
        other = others(world, run)
        other.retry("a")
        other.take("a")
        world.clock.pause_us(MINUTE_US)

    late = pausing(world, "BatchGetItem", meanwhile, at=2)
    assert late.reclaim_stale_steps(stale_threshold_us=MINUTE_US // 2, reclaimed_by="late") == []


def test_nothing_is_reclaimed_after_the_runs_end(world: World) -> None:
    run = silent(world)
    late = pausing(world, "TransactWriteItems", others(world, run).give_up)
    assert late.reclaim_stale_steps(stale_threshold_us=MINUTE_US // 2, reclaimed_by="late") == []
    assert "StepReclaimed" not in run.kinds()


def test_nothing_is_claimed_after_the_runs_end(world: World) -> None:
    run = under_way(world)
    late = pausing(world, "TransactWriteItems", others(world, run).give_up)
    assert by(run, late).claim("a") is None
    assert "StepStarted" not in run.kinds()


def test_who_ends_a_run_and_dies_leaves_its_steps_to_the_next_reader(world: World) -> None:
    run = under_way(world)
    dies(by(run, dying(world, "TransactWriteItems", at=2)).give_up)
    assert listed(world, run) == ["a"]
    assert world.observer.list_scheduled_steps() == []
    assert listed(world, run) == []


def test_what_is_said_again_since_others_were_quicker_is_put_aside_once(world: World) -> None:
    run = under_way(world)
    run.take("a")
    late = pausing(world, "TransactWriteItems", partial(others(world, run).beat, "a"))
    by(run, late).complete("a", 1, secrets.token_hex(1_000))
    table = world.observer.runtime.ledger.table
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
    operations: list[str] = []
    client = world.store.another_client()

    def noted(request: Request, send: Send) -> Answer:
        operations.append(request.operation)
        return send(request)

    wire_of(client).add(noted, floor=Floor.SCHEDULE)
    world.another(client).append_event(run.slug, run.run_id, line(run))
    assert "Query" not in operations
