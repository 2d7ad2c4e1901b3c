"""The numbers of docs/ceilings.md: what a step and a run write to each place that can take only so much a second."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from budgets.measures import finished, metered
from cascade_flow import StepDefinition
from cascade_flow.dynamodb import keys
from shapes import chain, wide
from testbed.meter import Line
from testbed.servers import Store

PAGE = (Path(__file__).parents[2] / "docs" / "ceilings.md").read_text(encoding="utf-8")
PARTITION = 1_000
"""Write units a second that one partition of a table or of an index takes."""


def _written(lines: Sequence[Line]) -> Mapping[str, float]:
    """Units by the place that they go to."""
    found = {"table": sum(line.table_units for line in lines)}
    for index in ("due", "runs"):
        found[index] = sum(line.index_units.get(index, 0) for line in lines)
    return found


def of_steps(store: Store, steps: list[StepDefinition], first: str, last: str, *, chained: bool) -> Mapping[str, float]:
    """What each step between these two writes."""
    with metered(store, steps, chained=chained) as (world, _):
        finished(world)
        lines = world.lines[world.began[first, 1] : world.began[last, 1]]
        number = len(steps) - (1 if last != "j" else 2)
        return {place: units / number for place, units in _written(lines).items()}


def of_a_run(store: Store) -> Mapping[str, float]:
    """What a run of one step writes, from its submission to its end."""
    with metered(store, chain(1)) as (world, _):
        finished(world)
        return _written(world.lines)


def told(row: str) -> list[float]:
    """The numbers in a row of the page's table."""
    [line] = [line for line in PAGE.splitlines() if line.startswith(f"| {row} |")]
    return [float(cell.replace(",", "")) for cell in re.findall(r"\| ([0-9.,]+)(?= \|)", line)]


ROWS = {
    "a step chained in one worker": lambda store: of_steps(store, chain(50), "s0", "s49", chained=True),
    "a step through the queue": lambda store: of_steps(store, chain(50), "s0", "s49", chained=False),
    "a parallel step, to its join": lambda store: of_steps(store, wide(100), "a", "j", chained=True),
    "a run of one step": of_a_run,
}


@pytest.mark.parametrize("row", ROWS)
def test_the_page_says_what_is_written(dynamodb: Store, row: str) -> None:
    counted = ROWS[row](dynamodb)
    assert told(row) == [round(counted[place], 1) for place in ("table", "due", "runs")]


@pytest.mark.parametrize(
    ("row", "place", "column", "shards"),
    [
        ("chained steps of one run", "a step chained in one worker", 0, 1),
        ("queued steps of one run", "a step through the queue", 0, 1),
        ("parallel steps of one run", "a parallel step, to its join", 0, 1),
        ("parallel steps of all runs", "a parallel step, to its join", 1, keys.DUE_SHARDS),
        ("runs of all workflows that begin and end", "a run of one step", 1, keys.DUE_SHARDS),
        ("runs of one workflow that begin and end", "a run of one step", 2, keys.RUNS_SHARDS),
    ],
)
def test_the_ceilings_follow_from_that(row: str, place: str, column: int, shards: int) -> None:
    [ceiling, *_] = told(row)
    assert ceiling == float(f"{PARTITION * shards / told(place)[column]:.2g}")
