"""The verdict on chaos sees what it must: an output under another's name, a wrong end, an attempt that ran twice."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cascade_flow import StepCompleted, StepStarted
from checker import check_run
from shapes import SHAPES
from simulation import World
from testbed.servers import Store
from torture.users import Promised, outputs_of
from torture.verdict import crowded, must_be_signed, must_have_ended, must_have_given, of_attempts
from torture.workflows.chaos.order import Begun, Order

WORD = "c0ffee"
SIGNED = json.dumps({"value": 5, "attempt": 2, "word": WORD})


def history(output: str, *, step: str = "a", attempt: int = 2) -> Any:
    event = StepCompleted(
        timestamp_us=9,
        event_id="9",
        workflow_slug="chain",
        run_id="run",
        step_id=step,
        attempt_number=attempt,
        output=output,
        duration_us=1,
        export_output=False,
    )
    return SimpleNamespace(events=[event], story=SimpleNamespace(run=SimpleNamespace(created_us=1)))


def begun(**other: Any) -> Begun:
    return Begun(**{"run_id": "run", "step_id": "a", "attempt": 2, "word": WORD, "pid": 1, **other})


def promised(shape: str, number: int = 1, *ends: str) -> Promised:
    return Promised("run", shape, Order(folder=Path(), number=number), frozenset(ends), outputs_of(shape, number))


def test_what_an_attempt_gave_is_stored_as_its_own() -> None:
    must_be_signed(history(SIGNED), {WORD: begun()})
    must_be_signed(history('"unsigned"'), {})


@pytest.mark.parametrize("author", [begun(attempt=1), begun(step_id="b"), begun(run_id="another")])
def test_the_output_of_another_attempt_is_seen(author: Begun) -> None:
    with pytest.raises(AssertionError):
        must_be_signed(history(SIGNED), {WORD: author})


def test_a_word_that_nobody_drew_is_seen() -> None:
    with pytest.raises(LookupError):
        must_be_signed(history(SIGNED), {})


def test_a_wrong_end_is_seen() -> None:
    ended: Any = SimpleNamespace(status="failed")
    must_have_ended(promised("doomed", 1, "failed"), ended)
    with pytest.raises(AssertionError, match="failed, where it must be one of"):
        must_have_ended(promised("chain", 1, "completed"), ended)


@pytest.mark.parametrize("told", [None, {}, {"fourth": 5}, {"fourth": 4, "third": 3}])
def test_a_wrong_output_is_seen(told: Any) -> None:
    must_have_given(promised("chain"), {"fourth": {"value": 4, "attempt": 3, "word": WORD}})
    with pytest.raises(AssertionError, match="and must give"):
        must_have_given(promised("chain"), told)


@pytest.mark.parametrize("rings", [1, 7])
def test_a_run_gives_what_the_graph_gives_that_it_began_with(rings: int) -> None:
    must_have_given(promised("growing", 3), {f"ring/{ring}": 3 for ring in range(rings)})
    with pytest.raises(AssertionError):
        must_have_given(promised("growing", 3), {f"ring/{ring}": 3 for ring in range(1, rings + 1)})


def test_code_that_ran_twice_or_without_a_start_is_seen(dynamodb: Store, time: Any) -> None:
    [shape] = [shape for shape in SHAPES if shape.name == "diamond"]
    world = World(dynamodb, shape.script, clock=time)
    world.register(shape.steps)
    world.submit(run_id="run", input={"order": 7})
    world.settle("run")
    [started, *_] = [event for event in check_run(world.observer, "run").events if isinstance(event, StepStarted)]
    town: Any = SimpleNamespace(stack=SimpleNamespace(backend=world.observer))
    first = begun(step_id=started.step_id, attempt=1)
    assert list(of_attempts(town, [first])) == []
    assert [v.what for v in of_attempts(town, [first, first])] == [f"{first.step_id}, attempt 1: run 2 times"]
    [strange] = of_attempts(town, [first._replace(attempt=4)])
    assert "was never started" in strange.what


def test_more_behind_a_gate_than_may_be_are_seen() -> None:
    apart = [(1, 1), (2, 1), (3, -1), (4, 1)]
    assert crowded(apart) == crowded([]) == []
    assert crowded([*apart, (5, 1)]) == [(5, 3)]
