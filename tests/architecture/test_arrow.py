"""Imports point down, lazy and typed ones too, and never in a circle."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import pytest

from architecture.house import INSIDE, PACKAGE, Module, each, floor_of, modules_imported


@each(INSIDE)
def test_imports_point_down(module: Module) -> None:
    height = floor_of(module.room)
    upward = [str(other) for other in modules_imported(module) if other in INSIDE and floor_of(other.room) > height]
    assert not upward, f"{module} imports from above: {', '.join(upward)}"


@each(INSIDE)
def test_no_room_takes_names_from_the_roof(module: Module) -> None:
    """`from cascade_flow import X` is for users: it reaches through all floors at once."""
    roof = [other for other in modules_imported(module) if other.name == PACKAGE]
    assert not roof, f"{module} imports from {PACKAGE} itself: name the module that has it"


def test_nothing_imports_in_a_circle() -> None:
    graph = {module.name: {other.name for other in modules_imported(module)} for module in INSIDE}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these import each other: {' → '.join(error.args[1])}")
