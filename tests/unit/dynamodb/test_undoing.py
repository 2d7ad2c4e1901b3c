"""What a run that undoes another reads of it: each step's completion where it lies, and the maps under way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.dynamodb.codec import to_record
from cascade_flow.dynamodb.items import commit_item
from cascade_flow.dynamodb.undoing import completion, completions
from cascade_flow.engine.state import LATEST_US, Branch, Family
from cascade_flow.engine.undoing import Completion, Done
from cascade_flow.model.events import StepSkipped, StepStarted
from unit.dynamodb.stored import NEVER_S, Counting, put
from unit.dynamodb.told import step_completed
from unit.engine.facts import run_of, told

FAMILY = Family(4, 4, 4, 1, 2)


def completed(step: str, us: int, output: str = "1") -> Any:
    return to_record(step_completed(us, output, step_id=step), {})


def started(step: str, us: int) -> Any:
    said: Any = {"step_id": step, "attempt_number": 1, "worker_id": "w", "dependencies": []}
    return to_record(told(StepStarted, us, **said), {})


def skipped(step: str, us: int) -> Any:
    said: Any = {"step_id": step, "attempt_number": 1, "skip_type": "primary", "reason": "no", "duration_us": 1}
    return to_record(told(StepSkipped, us, **said), {})


@pytest.fixture
def client() -> Counting:
    client = Counting()
    running = Branch("m", "running", "m")
    branches = [
        Branch("a", "running", "d", tail=(completed("c", 40), started("d", 41))),
        replace(running, family=FAMILY),
        replace(running, name="waiting", step="waiting", status="waiting", family=FAMILY),
        replace(running, name="flow", step="flow", family=replace(FAMILY, version="v1")),
        replace(running, name="over", step="next", family=None),
    ]
    commits = [
        (started("a", 10), completed("a", 11), started("b", 12), completed("b", 13), started("c", 14)),
        (skipped("e", 20), completed("m", 21)),
    ]
    put(client.table, run_of(), *branches, *(commit_item("run", each, expires_s=NEVER_S) for each in commits))
    return client


def test_each_step_that_has_completed_is_told_with_its_time_and_where_that_lies(client: Counting) -> None:
    """A map that was under way is told too, unless its end is: another workflow's run undoes itself."""
    client.asked.clear()
    assert sorted(completions(client.table, "run")) == [
        Completion(11, "a", 10),
        Completion(13, "b", 10),
        Completion(21, "m", 20),
        Completion(40, "c", None),
        Completion(LATEST_US, "waiting", None, in_part=True),
    ]
    assert len(client.asked) == 1
    assert completions(client.table, "another") == []


@pytest.mark.parametrize(
    ("done", "told_us"),
    [
        (Done("a", 10), 11),
        (Done("b", 10), 13),
        (Done("m", 20), 21),
        (Done("c", None), 40),
        (Done("c", 10), None),
        (Done("e", 20), None),
        (Done("d", None), None),
        (Done("a", 99), None),
    ],
    ids=str,
)
def test_what_a_step_has_given_is_read_where_that_lies(client: Counting, done: Done, told_us: int | None) -> None:
    found = completion(client.table, "run", "a", done)
    assert found == (None if told_us is None else completed(done.step, told_us))


def test_of_a_branch_that_is_gone_nothing_is_told(client: Counting) -> None:
    assert completion(client.table, "run", "gone", Done("a", None)) is None
