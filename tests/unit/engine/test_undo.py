"""The run that undoes another, whole: what it is for, what it was ordered as, and how long it may last."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cascade_flow.engine.state import Facts, Limit, Up
from cascade_flow.engine.undo import undo_run, undoing
from cascade_flow.engine.undoing import Completion, Done, Undoing
from cascade_flow.graph import undo_graph
from cascade_flow.model.events import RunSubmitted, WorkflowFailed
from cascade_flow.model.workflows import UndoDefinition
from unit.engine.facts import NOW_US, TIMING, facts_of, step, told
from unit.engine.openings import ENDED

UNDOS = {id: UndoDefinition(id=f"undo-{id}", name=id) for id in "ab"}
FACTS = facts_of(
    step("a", undo=UNDOS["a"]),
    step("b", "a", undo=UNDOS["b"]),
    step("c", "b"),
    run_attempt=3,
    priority=6,
    limit_keys={"k": "v"},
    limit=Limit("@flow", 3),
    place=1,
    up=Up("parent", "m", "m", 0, True),
)
END = told(
    WorkflowFailed,
    NOW_US + 9,
    workflow_attempt_number=3,
    duration_us=1,
    completed_steps=2,
    error={"message": "no"},
    failure_reason="step-failed",
)
TAIL = (
    {
        "hasInputSchema": True,
        "input": {"$ref": "P#$input"},
        "metadata": {"m": 1},
        "timeoutUs": 500,
        "idempotencyKey": "k",
    },
)
RUN = replace(ENDED, place=1, tail=TAIL)


def test_what_has_completed_last_is_undone_first_and_what_has_no_undo_is_left() -> None:
    done = [Completion(7, "b", None, in_part=True), Completion(9, "c", None), Completion(5, "a", 4)]
    assert undoing(FACTS.graph, "run", done) == Undoing("run", (Done("b", None, True), Done("a", 4)))
    assert undoing(FACTS.graph, "run", done[1:2]) is None
    assert Undoing("run", (Done("b", None, True), Done("a", 4))).steps == ("b", "a")


def test_the_run_that_undoes_another_is_a_run_of_its_own() -> None:
    """It is as urgent, and has the same input, which lies in its own partition; attempt and time are its own."""
    back = Undoing("run", (Done("b", None), Done("a", 4)))
    born = undo_run(FACTS, RUN, back, END, run_id="back", input={"input": "P#$input#ab"})
    graph = undo_graph(FACTS.graph, ("b", "a"))
    assert born.facts == Facts(
        "back", "flow", graph, FACTS.expires_s, TIMING, priority=6, limit_keys={"k": "v"}, undoes=True
    )
    assert born.references == {"P#$input#ab": "P#$input#ab"}
    [submitted, *_] = born.opening.events
    assert isinstance(submitted, RunSubmitted)
    assert (submitted.timestamp_us > END.timestamp_us, submitted.input) == (True, "P#$input#ab")
    assert (submitted.available_at_us, submitted.has_input_schema) == (END.timestamp_us + 1, True)
    assert (submitted.timeout_us, submitted.version_id) == (TIMING.timeout_us, "v2")
    assert (submitted.metadata, submitted.tags, submitted.idempotency_key) == ({"m": 1}, ["t", "undo"], None)
    run = born.opening.run
    assert (run.run_id, run.version_id, run.status, run.run_attempt) == ("back", "v2", "running", 1)
    assert (run.priority, run.tags, run.undoing, run.place) == (6, ("t", "undo"), back, None)
    assert run.deadline_us == run.due_us == run.created_us + TIMING.timeout_us
    [first] = born.opening.births
    assert (first.branch.name, first.branch.priority) == ("undo-b", 6)
    assert (run.limit, run.up, run.limit_keys) == (None, None, {"k": "v"})
    assert (run.parent, run.first_run_id, run.undone_by) == (None, "back", None)


@pytest.mark.parametrize(("input", "said"), [({}, "[1]"), ({"a": "P#a#out"}, "[1]"), ({"input": "P#1"}, "P#1")])
def test_an_input_that_does_not_lie_aside_is_handed_on_as_it_was_said(input: dict[str, str], said: str) -> None:
    run = replace(RUN, tail=({"hasInputSchema": False, "input": "[1]"},))
    born = undo_run(FACTS, run, Undoing("run", (Done("a", 4),)), END, run_id="back", input=input)
    submitted = born.opening.events[0]
    assert isinstance(submitted, RunSubmitted)
    assert (submitted.input, submitted.has_input_schema) == (said, False)
    assert born.references == {place: place for place in input.values()}


def test_it_is_over_and_looked_at_before_what_it_reads_expires() -> None:
    """By a 180th of the time for which that is kept, which is half a day of 90: here a second."""
    timing = replace(TIMING, retention_us=180_000_000)
    facts = replace(FACTS, timing=timing, expires_s=NOW_US // 1_000_000 + 61)
    back = Undoing("run", (Done("a", 4),))
    run = undo_run(facts, RUN, back, END, run_id="back", input={"input": "P#$input#ab"}).opening.run
    assert run.deadline_us == run.due_us == NOW_US + 60_000_000
