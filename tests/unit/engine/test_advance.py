"""What follows a step that is over, along its branch and beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cascade_flow.engine.advance import birth, births_owed, owed_after
from cascade_flow.engine.commands import Cascade, Complete, SkipStep
from cascade_flow.engine.decide import decide
from cascade_flow.engine.event_writer import EventWriter
from cascade_flow.engine.state import Birth, Branch, Family, Owed
from cascade_flow.model.events import StepSkipped
from cascade_flow.model.workflows import EventDefinition
from unit.engine.facts import NOW_US, TIMING, facts_of, step

CHAIN = facts_of(step("a"), step("b", "a"), step("c", "b"), step("d", "c", skip_cascades=False))
FAN = facts_of(step("a"), *(step(id, "a") for id in "bcde"))
HELD = Branch("a", "running", "a", worker="w", lease_us=NOW_US + 10, started_at_us=NOW_US - 10, last_us=NOW_US - 20)


def test_all_that_a_skip_runs_along_names_where_it_began() -> None:
    commit = decide(CHAIN, HELD, SkipStep("nothing to do", 1), now_us=NOW_US)
    skips = [event for event in commit.events if isinstance(event, StepSkipped)]
    assert [(event.step_id, event.cascaded_from) for event in skips] == [("a", None), ("b", "a"), ("c", "a")]
    assert commit.after.skipped == {"a": "a", "b": "a", "c": "a"}
    assert (commit.after.step, commit.after.status) == ("d", "scheduled")


def test_a_skip_that_came_from_elsewhere_names_where_it_began() -> None:
    """Also on a branch that had skipped something before."""
    skipped = {"a": "a", "b": "z"}
    commit = decide(CHAIN, replace(HELD, status="skipping", step="b", skipped=skipped), Cascade(), now_us=NOW_US)
    skips = [event for event in commit.events if isinstance(event, StepSkipped)]
    assert [(event.step_id, event.cascaded_from) for event in skips] == [("b", "z"), ("c", "z")]
    assert commit.after.skipped == {"a": "a", "b": "z", "c": "z"}


def test_what_was_skipped_before_stays_so() -> None:
    commit = decide(CHAIN, replace(HELD, step="c", skipped={"a": "a"}), SkipStep("rain", 1), now_us=NOW_US)
    assert commit.after.skipped == {"a": "a", "c": "c"}


def test_what_comes_after_a_step_with_children_has_none() -> None:
    held = replace(HELD, attempt=2, attempts_before=1, family=Family(2, 2, 2, 1, 2, made=2))
    after = decide(CHAIN, held, Complete("[]", 1), now_us=NOW_US).after
    assert (after.step, after.family) == ("b", None)


@pytest.mark.parametrize(("made", "left"), [(0, "cde"), (1, "de"), (3, "")])
def test_what_is_owed_is_made_once(made: int, left: str) -> None:
    parent = replace(HELD, step="b", owed=Owed(("a",), made))
    assert [birth.branch.name for birth in births_owed(FAN, parent, now_us=NOW_US)] == list(left)


@pytest.mark.parametrize(("skipped", "status"), [({}, "scheduled"), ({"a": "z"}, "skipping")])
def test_what_is_owed_gives_way_where_its_dependency_was_skipped(skipped: dict[str, str], status: str) -> None:
    """Wherever the branch stands that owes it."""
    parent = replace(HELD, step="b", owed=Owed(("a",)), skipped=skipped)
    [born, *_] = births_owed(FAN, parent, now_us=NOW_US)
    assert (born.branch.status, born.branch.skipped) == (status, {"c": "z"} if skipped else {})


@pytest.mark.parametrize(("made", "owed", "due_us"), [(1, Owed(("a",), 2), 5), (2, None, None)])
def test_who_has_ended_is_at_rest_when_all_is_made(made: int, owed: Owed | None, due_us: int | None) -> None:
    parent = Branch("a", "ended", "b", owed=Owed(("a",), 1), due_us=5)
    after = owed_after(FAN.graph, parent, made)
    assert (after.owed, after.due_us) == (owed, due_us)


BOTH = facts_of(step("a"), *(step(id, "a") for id in "bcd"), *(step(id, "b") for id in "efg"))
"""`a` forks into `c` and `d`, and `b`, which goes on after it, into `f` and `g`."""


@pytest.mark.parametrize(
    ("before", "made", "left"), [(0, 1, "dfg"), (0, 2, "fg"), (1, 2, "g"), (2, 1, "g"), (3, 1, "")]
)
def test_what_several_steps_owe_is_owed_until_all_is_made(before: int, made: int, left: str) -> None:
    parent = replace(HELD, step="b", owed=Owed(("a", "b"), before))
    after = owed_after(BOTH.graph, parent, made)
    assert after.owed == (Owed(("a", "b"), before + made) if left else None)
    assert [birth.branch.name for birth in births_owed(BOTH, after, now_us=NOW_US)] == list(left)


def test_who_goes_on_stays_in_the_index_when_all_is_made() -> None:
    parent = Branch("a", "scheduled", "b", owed=Owed(("a",), 1), due_us=5)
    assert owed_after(FAN.graph, parent, 2).due_us == 5


def test_a_branch_that_is_born_is_looked_at_after_a_grace() -> None:
    commit = decide(FAN, HELD, Complete("1", 1), now_us=NOW_US)
    assert {birth.branch.due_us for birth in commit.births} == {NOW_US + TIMING.grace_us}


def test_an_event_is_born_to_wait() -> None:
    """For the outside, and for all that it depends on: nothing of that has arrived."""
    facts = facts_of(step("e", event=EventDefinition()), run_attempt=2, priority=6)
    born = birth(facts, "e", origin=None, now_us=NOW_US, after_us=NOW_US - 5)
    branch = Branch("e", "open", "e", run_attempt=2, priority=6, last_us=NOW_US - 5, due_us=NOW_US + TIMING.grace_us)
    assert born == Birth(branch)


def test_no_time_is_given_twice_whatever_lines_and_clocks_say() -> None:
    """The newest line is earlier than the heartbeat, and the clock has gone back."""
    beaten = replace(HELD, heartbeat_us=NOW_US + 1_000)
    writer = EventWriter.of(CHAIN, beaten, now_us=NOW_US - 500, told_us=NOW_US - 5)
    writer.take_in(beaten)
    assert writer.last_us >= NOW_US + 1_000
