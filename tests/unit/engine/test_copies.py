"""What a new run takes from an old one, whole: its opening, its branches, and the steps that it keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cascade_flow.engine.copies import branches, kept_steps, open_copy
from cascade_flow.engine.runs import Opening
from cascade_flow.engine.state import Birth, Branch, Run
from cascade_flow.graph import END
from cascade_flow.model.events import RunSubmitted, WorkflowResumed
from cascade_flow.model.workflows import EventDefinition
from unit.engine.facts import NOW_US, facts_of, step, told
from unit.engine.openings import ENDED, FACTS, GRACE_US, NEW, ORDER, SAID, born, scheduled, started, validated

PARENT = replace(ENDED, run_id="first", parent="older", origin_run_id="oldest")


@pytest.mark.parametrize(
    ("parent", "origin"), [(PARENT, "oldest"), (replace(PARENT, parent=None, origin_run_id=None), "first")]
)
def test_a_copy_opens_after_all_that_was_copied(parent: Run, origin: str) -> None:
    link = {"version_id": "v2", "original_run_id": "first", "resumed_steps": 2, "pending_steps": 1}
    opening = open_copy(FACTS, ORDER, parent, WorkflowResumed, link, now_us=NOW_US, after_us=NOW_US + 30)
    at_us = NOW_US + 33
    events = (
        told(RunSubmitted, at_us, available_at_us=NOW_US, **SAID),
        told(WorkflowResumed, at_us + 3, **link),
        validated(at_us + 6),
        started(at_us + 9),
    )
    run = replace(
        NEW,
        status="running",
        created_us=at_us,
        deadline_us=at_us + 500,
        started_at_us=at_us + 9,
        last_us=at_us + 9,
        parent="first",
        origin_run_id=origin,
        owed=0,
        due_us=GRACE_US,
    )
    assert opening == Opening(run, events)


def test_a_copy_without_an_input_says_so() -> None:
    order = replace(ORDER, input=None, has_input_schema=False)
    link = {"version_id": "v2", "original_run_id": "first", "resumed_steps": 2, "pending_steps": 1}
    events = open_copy(FACTS, order, PARENT, WorkflowResumed, link, now_us=NOW_US, after_us=NOW_US).events
    assert events[-1] == started(NOW_US + 12, has_input=False, has_input_schema=False)


SHAPE = facts_of(
    step("a"),
    step("b", "a"),
    step("c", "a"),
    step("d"),
    step("e", "d", skip_cascades=False),
    step("f", "d"),
    step("j", "b", "d"),
    step("k", "c", "e"),
    step("l", "k", "f"),
    priority=6,
)
"""Branches: a-b, c, d-e, f, and the joins j, k, l; the run's end waits for j and l."""
AFTER_US = NOW_US + 500


def waiting(name: str, arrived: int) -> Birth:
    return Birth(Branch(name, "open", name, arrived=arrived, priority=6, due_us=GRACE_US))


def at_rest(name: str, last: str, **skipped: str) -> Birth:
    return Birth(Branch(name, "ended", last, priority=6, skipped=skipped, last_us=AFTER_US))


def next_of(name: str) -> int:
    """The first time after what was copied that is this branch's."""
    modulus, residue = SHAPE.graph.modulus, SHAPE.graph.residue(name)
    return next(us for us in range(AFTER_US + 1, AFTER_US + 1 + modulus) if us % modulus == residue)


def begun(name: str, step_id: str, reason: str, **skipped: str) -> Birth:
    found = born(name, next_of(name), step=step_id, skipped=skipped)
    return replace(found, events=(scheduled(next_of(name), step_id, reason),))


def skipping(name: str, step_id: str, **skipped: str) -> Birth:
    branch = Branch(name, "skipping", step_id, priority=6, skipped=skipped, last_us=AFTER_US, due_us=GRACE_US)
    return Birth(branch)


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ({}, [begun("a", "a", "initial"), begun("d", "d", "initial")]),
        (
            {"a": None, "d": "d"},
            [
                waiting("j", 1),
                begun("a", "b", "dependency-satisfied"),
                begun("c", "c", "dependency-satisfied"),
                begun("d", "e", "dependency-satisfied", d="d"),
                skipping("f", "f", f="d"),
            ],
        ),
        (
            {"a": "a", "b": "a", "d": None, "e": None, "f": None},
            [
                at_rest("a", "b", a="a", b="a"),
                at_rest("d", "e"),
                at_rest("f", "f"),
                waiting("k", 1),
                waiting("l", 1),
                skipping("c", "c", c="a"),
                waiting("j", 2),
            ],
        ),
        (
            dict.fromkeys("abcdefjkl"),
            [
                at_rest("a", "b"),
                at_rest("c", "c"),
                at_rest("d", "e"),
                at_rest("f", "f"),
                at_rest("j", "j"),
                at_rest("k", "k"),
                at_rest("l", "l"),
                waiting(END, 2),
            ],
        ),
    ],
    ids=["nothing", "some roots", "joins that wait and one that is full", "everything"],
)
def test_the_branches_of_a_copy(kept: dict[str, str | None], expected: list[Birth]) -> None:
    """What waits comes first, what is live after it, and so do joins that are full."""
    assert branches(SHAPE, kept, now_us=NOW_US, after_us=AFTER_US) == expected


def test_a_skip_that_was_copied_goes_on_along_its_branch() -> None:
    facts = facts_of(step("a"), step("b", "a"), step("c", "b"), priority=6)
    for origin, over in (("a", "a"), ("a", "ab"), ("z", "a")):
        [copied] = branches(facts, dict.fromkeys(over, origin), now_us=NOW_US, after_us=AFTER_US)
        after = "abc"[len(over)]
        assert copied == skipping("a", after, **dict.fromkeys(over + after, origin))


def test_a_skip_that_was_copied_goes_on_into_another_branch() -> None:
    """It names the step where it began, not the one that handed it on."""
    facts = facts_of(step("a"), step("b", "a"), step("c", "b"), step("d", "b"), priority=6)
    kept: dict[str, str | None] = {"a": "a", "b": "a"}
    assert skipping("d", "d", d="a") in branches(facts, kept, now_us=NOW_US, after_us=AFTER_US)


def test_who_waits_for_two_steps_of_a_branch_has_met_both() -> None:
    facts = facts_of(step("a"), step("b", "a"), step("j", "a", "b"), priority=6)
    for kept, arrived in (("a", 1), ("ab", 2)):
        found = branches(facts, dict.fromkeys(kept), now_us=NOW_US, after_us=AFTER_US)
        assert waiting("j", arrived) in found


@pytest.mark.parametrize(
    ("kept", "status"), [({"a": None, "b": "b"}, "skipping"), ({"a": "a", "b": None}, "scheduled")]
)
def test_what_is_next_gives_way_to_the_last_that_is_kept(kept: dict[str, str | None], status: str) -> None:
    facts = facts_of(step("a"), step("b", "a", skip_cascades=False), step("c", "b"))
    [copied] = branches(facts, kept, now_us=NOW_US, after_us=AFTER_US)
    assert (copied.branch.step, copied.branch.status) == ("c", status)


def test_an_event_that_waits_for_nothing_but_the_outside_is_waited_for_again() -> None:
    facts = facts_of(step("e", event=EventDefinition()), step("b", "e"), priority=6)
    assert branches(facts, {}, now_us=NOW_US, after_us=AFTER_US) == [waiting("e", 0)]


def test_one_end_is_no_join() -> None:
    facts = facts_of(step("a"), step("b", "a"))
    [copied] = branches(facts, {"a": None, "b": None}, now_us=NOW_US, after_us=AFTER_US)
    assert (copied.branch.name, copied.branch.status) == ("a", "ended")


@pytest.mark.parametrize(
    ("over", "again", "kept"),
    [
        ("abcdefjkl", None, "abcdefjkl"),
        ("abcdefjkl", "e", "abcdfj"),
        ("abcdefjkl", "a", "def"),
        ("bcj", None, ""),
        ("abj", None, "ab"),
    ],
)
def test_what_is_kept_of_what_is_over(over: str, again: str | None, kept: str) -> None:
    assert set(kept_steps(SHAPE.graph, dict.fromkeys(over), again=again)) == set(kept)


def test_what_is_kept_follows_what_it_depends_on_in_whatever_order_they_are_declared() -> None:
    graph = facts_of(step("c", "b"), step("b", "a"), step("a")).graph
    assert set(kept_steps(graph, dict.fromkeys("abc"))) == set("abc")
    assert set(kept_steps(graph, dict.fromkeys("abc"), again="b")) == {"a"}


def test_what_is_kept_says_where_its_skip_began() -> None:
    over: dict[str, str | None] = {"a": "a", "b": "a", "d": None}
    assert kept_steps(SHAPE.graph, over) == over
