"""Runs of other engines: what each word of theirs asks of the table, and no request more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clauses.stage import asking
from clauses.test_callers import under_way
from contract.called import FLOW, Called
from simulation import World

READ, ALL, WRITE = "BatchGetItem", "Query", "TransactWriteItems"
WORDS: dict[str, tuple[Callable[[Called], object], list[str]]] = {
    "an id is reserved": (lambda run: run.backend.initialize_run(FLOW, "new"), [READ, "PutItem"]),
    "an id is reserved again": (lambda run: run.backend.initialize_run(FLOW, run.run_id), [READ]),
    "submitted": (lambda run: Called(run.backend, "new").submit(), [READ, "PutItem", WRITE]),
    "started": (lambda run: run.start(), [READ, WRITE]),
    "scheduled": (lambda run: run.schedule("d"), [READ, WRITE]),
    "begun": (lambda run: run.backend.save_step_start(FLOW, run.run_id, "e", "w", dependencies=[]), [READ, WRITE]),
    "claimed": (lambda run: run.claim("c"), ["GetItem", READ, WRITE]),
    "beaten": (lambda run: run.beat("b"), ["GetItem", READ, WRITE]),
    "tried again": (lambda run: run.retry("b"), [READ, WRITE]),
    "the run ends: its two live steps leave the lists": (lambda run: run.give_up(), [ALL, WRITE, ALL, WRITE, WRITE]),
    "cancelled": (lambda run: run.backend.cancel_run(run.run_id), ["GetItem", ALL, WRITE, ALL, WRITE, WRITE]),
    "no end is deleted": (lambda run: run.backend.delete_workflow_terminal_events(FLOW, run.run_id), [READ, ALL]),
    "a step is forgotten": (
        lambda run: run.backend.delete_step_events(FLOW, run.run_id, step_ids=["a"]),
        [READ, ALL, READ, ALL, WRITE],
    ),
}


@pytest.fixture
def asked(world: World) -> tuple[Called, list[str]]:
    """A run of which one step is done, one held and one due, in the hands of another process; what that asks."""
    run = under_way(world, "a", "b", "c")
    run.do("a")
    run.take("b")
    by, operations = asking(world)
    return Called(by, run.run_id), operations


@pytest.mark.parametrize("word", WORDS)
def test_a_word_asks_for_what_it_needs(asked: tuple[Called, list[str]], word: str) -> None:
    (run, operations), (say, needed) = asked, WORDS[word]
    say(run)
    assert operations == needed


def test_an_ended_run_that_goes_on_lists_its_live_steps_only(asked: tuple[Called, list[str]], world: World) -> None:
    run, operations = asked
    Called(world.observer, run.run_id).give_up()
    run.try_again()
    assert operations == [READ, WRITE, ALL, "PutItem", "PutItem", "UpdateItem"]


def test_what_is_copied_makes_its_run_and_is_not_copied_again(asked: tuple[Called, list[str]]) -> None:
    run, operations = asked
    copied = ["GetItem", ALL, ALL, ALL, WRITE, ALL]
    for needed in (copied, ["GetItem", ALL, ALL, ALL, ALL, ALL]):
        operations.clear()
        run.backend.copy_step_events(FLOW, run.run_id, "new", include_step_ids=["a"])
        assert operations == needed


def test_steps_that_were_begun_since_are_not_looked_at_by_who_looks_for_silent_ones(
    asked: tuple[Called, list[str]],
) -> None:
    run, operations = asked
    assert run.backend.reclaim_stale_steps(60_000_000, "reaper") == []
    assert {*operations} == {ALL}
    operations.clear()
    assert run.backend.reclaim_stale_steps(1, "reaper") != []
    assert READ in operations
