"""What a diagnosis says of a step that waits for runs of its own, whole: how many are over, and which is worst off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.engine.children_findings import waits_for_children
from cascade_flow.engine.findings import Finding
from cascade_flow.engine.state import Branch, Family, Run, Up
from unit.engine.facts import run_of

EACH = Family(items=1_200, children=1_200, chunk=9, attempt=1, at_once=5, made=7, out=((2, 4), (6, 6)))
BATCHES = replace(EACH, items=2_400)
ANOTHERS = replace(EACH, items=1, children=1, made=1, out=((0, 0),), version="v2")
WAITING = Branch("a", "waiting", "m", family=EACH, arrived=2)


def finding(**said: Any) -> Finding:
    return Finding(**{"code": "waits-for-children", "severity": "well", "step_id": "m", **said})


@pytest.mark.parametrize(
    ("family", "arrived", "said"),
    [
        (EACH, 2, "its items: 3 of 1,200 are over"),
        (EACH, 4, "its items: 4 of 1,200 are over"),
        (EACH, 1_300, "its items: 1,200 of 1,200 are over"),
        (BATCHES, 2, "its runs of 2,400 items in all: 3 of 1,200 are over"),
        (ANOTHERS, 0, "its workflow's run"),
    ],
)
def test_how_many_are_over(family: Family, arrived: int, said: str) -> None:
    """As many as were counted or found, whichever is more; a count may be higher than there are."""
    found = waits_for_children(replace(WAITING, family=family, arrived=arrived), [])
    assert found == finding(sentence=f"`m` waits for {said}")


@pytest.mark.parametrize(
    ("family", "is_item", "which"),
    [(EACH, True, "item 4 (run)"), (EACH, False, "run"), (BATCHES, True, "run"), (ANOTHERS, False, "run")],
    ids=["an item", "an item's own workflow", "a batch", "a workflow"],
)
def test_which_of_them_is_told(family: Family, is_item: bool, which: str) -> None:
    child = run_of(up=Up("parent", "a", "m", 4, is_item=is_item))
    said = waits_for_children(
        replace(WAITING, family=family), [(child, Finding("late", "late", "`s` sleeps"))]
    ).sentence
    assert said.endswith(f"; {which}: `s` sleeps")


def test_who_is_nobodys_child_is_told_by_its_id() -> None:
    said = waits_for_children(WAITING, [(run_of(), Finding("late", "late", "`s` sleeps"))]).sentence
    assert said.endswith("; run: `s` sleeps")


def test_the_step_stands_as_the_worst_of_its_children_does() -> None:
    """Of two that are as bad, as the first."""
    worst = Finding("attempt", "late", "`s` sleeps", "wake it", "s", 77)
    others = [Finding("fine", "well", "all is well", until_us=1), replace(worst, sentence="`t` sleeps", until_us=88)]
    known: list[tuple[Run, Finding]] = [(run_of(), each) for each in (others[0], worst, others[1])]
    sentence = "`m` waits for its items: 3 of 1,200 are over; run: `s` sleeps"
    assert waits_for_children(WAITING, known) == finding(
        severity="late", sentence=sentence, cure="wake it", until_us=77
    )
