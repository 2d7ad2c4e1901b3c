"""Children: runs that do a step's work (protocol.md §14)."""

from __future__ import annotations

import json
from typing import Any

from cascade_flow import ChildrenDefinition, StepDefinition
from cascade_flow.engine.commands import Complete
from clauses.stage import RUN, begun, claimed, ended, reported, run_of
from simulation import World, step


def mapped(**declared: Any) -> list[StepDefinition]:
    """A step, a map over what it gives, and what follows."""
    options = {name: declared.pop(name) for name in ("retry", "timeout_ms", "executor", "limit") if name in declared}
    over = ChildrenDefinition(kind="map", over="lines", **declared)
    return [
        step("lines"),
        step("pack", "lines", children=over, **options),
        step("total", "pack", export_output=True),
    ]


def handed_out(world: World, items: Any, *, steps: list[StepDefinition] | None = None, **declared: Any) -> None:
    """A run whose map is to be expanded."""
    begun(world, *(steps or mapped(**declared)), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete(json.dumps(items), 1))


def test_a_map_of_three(world: World) -> None:
    handed_out(world, ["a", "b", "c"])
    world.settle(RUN)
    assert run_of(world).status == "completed"
    assert [name for name, _ in world.ran] == ["pack"] * 5 + ["total"]
    ended(world)
