"""What a step tells whose work runs of their own do, where it fails and where it is tried again."""

from __future__ import annotations

from dataclasses import replace

from cascade_flow.engine.children import failed
from cascade_flow.engine.commands import Revive
from cascade_flow.engine.decide import decide
from cascade_flow.engine.state import Branch, Family
from cascade_flow.model.events import StepError, StepFailed, StepScheduled, StepStarted
from cascade_flow.model.workflows import ChildrenDefinition
from unit.engine.facts import NOW_US, facts_of, step

FACTS = facts_of(step("a"), step("m", "a", children=ChildrenDefinition(kind="map", over="a")), run_attempt=2)
FAMILY = Family(3, 3, 3, 1, 3, made=3, lost=1, out=((1, 2),))
WAITING = Branch("a", "waiting", "m", arrived=2, family=FAMILY, last_us=NOW_US - 50)


def test_it_fails_after_as_long_as_it_has_waited() -> None:
    now = replace(WAITING, last_us=NOW_US - 10)
    commit = failed(FACTS, WAITING, now, StepError(message="too many"), now_us=NOW_US)
    [told] = commit.events
    assert isinstance(told, StepFailed)
    assert (told.duration_us, told.terminal, commit.before) == (50, True, WAITING)


def test_what_had_failed_is_begun_again_after_what_it_depends_on() -> None:
    commit = decide(FACTS, replace(WAITING, status="failed"), Revive(), now_us=NOW_US)
    scheduled, started = commit.events
    assert isinstance(scheduled, StepScheduled)
    assert isinstance(started, StepStarted)
    assert (scheduled.attempt_number, started.attempt_number, started.dependencies) == (2, 2, ["a"])
    assert commit.after.family == replace(FAMILY, made=0, lost=0, out=())
    assert (commit.after.status, commit.after.arrived) == ("waiting", 0)
    assert (commit.after.attempts_before, commit.after.last_us) == (1, int(started.timestamp_us))
