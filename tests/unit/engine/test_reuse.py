"""Which steps of an old run a new one may keep, told event by event."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow.engine.reuse import Record, reusable_steps
from cascade_flow.graph import Graph
from unit.engine.facts import step

GRAPH = Graph([step("a"), step("b"), step("j", "a", "b")])
SHORT = {
    "due": "StepScheduled",
    "begun": "StepStarted",
    "beats": "StepHeartbeat",
    "keeps": "StepCheckpoint",
    "fails": "StepFailed",
    "dies": "StepFailed",
    "taken": "StepReclaimed",
    "again": "StepRetrying",
    "line": "LogEntry",
    "done": "StepCompleted",
    "skips": "StepSkipped",
    "gives-way": "StepSkipped",
}
SAID: dict[str, dict[str, Any]] = {
    "dies": {"terminal": True},
    "fails": {"terminal": False},
    "skips": {"skipType": "primary"},
    "gives-way": {"skipType": "cascade"},
}
NOW_US = 100


def records(story: str) -> list[Record]:
    """One event after the other: `step:what` or `step:what:attempt`, at its number; or at its time, `@us`."""
    found: list[Record] = []
    for number, word in enumerate(story.split(), start=1):
        told, _, at_us = word.partition("@")
        step_id, what, *attempt = told.split(":")
        place = {"timestampUs": int(at_us or number), "attemptNumber": int(attempt[0]) if attempt else 1}
        found.append({"type": SHORT[what], "stepId": step_id, **place, **SAID.get(what, {})})
    return found


def kept(story: str, *, by_caller: bool = True) -> str:
    begun = {"type": "WorkflowStarted", "timestampUs": 0}
    found = reusable_steps(GRAPH, [*reversed(records(story)), begun], by_caller=by_caller, now_us=NOW_US)
    return " ".join(sorted(found))


WHOLE = [
    "a:due a:begun a:done",
    "a:due a:begun a:beats a:beats a:keeps a:keeps a:line a:done",
    "a:due a:begun a:fails a:again a:due:2 a:begun:2 a:done:2",
    "a:due a:begun a:taken a:due:2 a:begun:2 a:done:2",
    "a:due a:skips",
    "a:due a:begun a:skips",
    "a:gives-way",
    "a:due a:dies a:due:2 a:begun:2 a:done:2",
    "a:due a:begun a:done@100",
]


@pytest.mark.parametrize("story", WHOLE)
def test_what_the_engine_could_have_told_is_kept(story: str) -> None:
    assert kept(story) == "a"


BROKEN = {
    "never scheduled": "a:begun a:done",
    "never begun": "a:due a:done",
    "begun in another attempt": "a:due a:begun a:due:2 a:done:2",
    "scheduled in another attempt": "a:due a:begun:2 a:done:2",
    "begun after its end": "a:due a:done a:begun",
    "skipped by itself out of nowhere": "a:skips",
    "failed before it was begun": "a:due a:fails a:begun a:done",
    "failed for good out of nowhere": "a:dies a:due:2 a:begun:2 a:done:2",
    "taken before it was begun": "a:due a:taken a:begun a:done",
    "a heartbeat before its start": "a:due a:beats a:begun a:done",
    "a line before its start": "a:due a:line a:begun a:done",
    "scheduled twice": "a:due a:due a:begun a:done",
    "begun twice": "a:due a:begun a:begun a:done",
    "a line is told once": "a:due a:begun a:line a:line a:done",
    "over twice": "a:due a:begun a:done a:due:2 a:begun:2 a:done:2",
    "skipped and done": "a:due a:begun a:skips a:done",
    "something after its end": "a:due a:begun a:done a:beats",
    "scheduled again after its end": "a:due a:begun a:done a:due:2",
    "not over": "a:due a:begun",
    "failed": "a:due a:begun a:dies",
    "over in the future": "a:due a:begun a:done@101",
}


@pytest.mark.parametrize("story", BROKEN.values(), ids=BROKEN)
def test_what_it_could_not_have_told_is_not(story: str) -> None:
    assert kept(story) == ""


@pytest.mark.parametrize("story", ["a:due a:done", "a:due a:begun a:done@101", "a:due a:begun", "a:begun a:dies"])
def test_what_the_engine_has_told_is_believed(story: str) -> None:
    assert kept(story, by_caller=False) == "a"


BEFORE = "a:due a:begun a:done b:due b:begun b:done"


@pytest.mark.parametrize("by_caller", [True, False])
@pytest.mark.parametrize(
    ("story", "found"),
    [
        (f"{BEFORE} j:due j:begun j:done", "a b j"),
        (f"{BEFORE} j:gives-way", "a b j"),
        (f"j:due@2 {BEFORE} j:begun j:done", "a b"),
        ("a:due a:begun a:done@5 b:due@3 b:begun@4 b:done@6 j:due@6 j:begun@7 j:done@8", "a b"),
        ("a:due a:begun a:done@5 b:due@3 b:begun@4 b:done@6 j:due@7 j:begun@8 j:done@9", "a b j"),
        ("a:due a:begun a:done j:due j:begun j:done", "a"),
    ],
)
def test_what_moved_before_its_dependencies_were_over_is_not_kept(story: str, found: str, by_caller: bool) -> None:
    assert kept(story, by_caller=by_caller) == found


@pytest.mark.parametrize("first", ["due", "begun", "fails", "taken", "skips"])
def test_each_move_before_a_dependencys_end_is_one_too_many(first: str) -> None:
    assert kept(f"j:{first}@1 a:gives-way@2 b:gives-way@3 j:gives-way@4", by_caller=False) == "a b"


def test_what_does_not_move_a_step_may_come_at_any_time() -> None:
    assert kept("j:line@1 j:beats@2 a:gives-way@3 b:gives-way@4 j:gives-way@5", by_caller=False) == "a b j"


def test_what_a_step_says_after_its_end_does_not_put_that_off() -> None:
    """Its last lines may be told later than what goes on behind it."""
    assert kept("a:gives-way@1 b:gives-way@2 j:due@3 a:line@4 j:done@5", by_caller=False) == "a b j"


def test_only_what_is_whole_is_over_for_what_follows() -> None:
    assert kept("a:due a:done b:gives-way j:gives-way") == "b"


def test_what_is_not_over_is_no_cause() -> None:
    assert kept("a:due a:begun b:gives-way j:gives-way", by_caller=False) == "a b"


def test_what_never_moved_is_not_kept() -> None:
    assert kept("a:line", by_caller=False) == ""


def test_steps_of_another_graph_are_nobodys() -> None:
    assert kept("gone:due gone:begun gone:done a:gives-way") == "a"
