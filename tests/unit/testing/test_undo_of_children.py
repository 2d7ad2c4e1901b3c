"""Undoing maps and sub-workflows: a map at once, also one that was under way; a run of a sub-workflow undoes itself."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import Retry, RunNotRetryableError, StepContext, Workflow
from cascade_flow.testing import Engine

ONCE = Retry(max_attempts=1)


def tour(*, batch: int = 1, concurrency: int = 50) -> Workflow:
    """A tour of some legs, each booked by itself, and undone together."""
    flow = Workflow("tour")

    @flow.step
    def legs(input: list[str]) -> list[str]:
        return input

    @flow.map(over="legs", retry=ONCE, batch=batch, concurrency=concurrency)
    def book(leg: str) -> str:
        if leg == "full":
            raise ValueError(leg)
        return leg.upper()

    @flow.undo("book")
    def unbook(book: list[str]) -> list[str]:
        return book

    @flow.step(retry=ONCE)
    def pay(book: list[str]) -> None:
        raise ValueError("no money")

    return flow


def undone_by(engine: Engine, flow: Workflow, legs: list[str]) -> Any:
    """What undoing a tour was given."""
    undone = engine.run(flow, legs, expect="failed").undone
    assert undone is not None
    assert undone.status == "completed"
    return undone.steps["unbook"].output


@pytest.mark.parametrize("batch", [1, 2])
def test_a_map_is_undone_once_with_all_that_it_gave(batch: int) -> None:
    with Engine() as engine:
        assert undone_by(engine, tour(batch=batch), ["a", "b", "c"]) == ["A", "B", "C"]


@pytest.mark.parametrize(("batch", "done"), [(1, ["A", "B"]), (2, ["A", "B", "D"])])
def test_a_map_that_fails_is_undone_with_what_had_completed(batch: int, done: list[str]) -> None:
    """Its fourth item is stopped; in a batch it is done beside the one that fails."""
    with Engine() as engine:
        assert undone_by(engine, tour(batch=batch), ["a", "b", "full", "d"]) == done


def test_a_map_that_is_stopped_is_undone_too() -> None:
    with Engine() as engine:
        assert undone_by(engine, tour(concurrency=1), ["full", "b"]) == []


rooms, trips = Workflow("rooms"), Workflow("trips")


@rooms.step
def reserve(input: str, ctx: StepContext) -> dict[str, str]:
    return {"room": input, "key": ctx.idempotency_key}


@rooms.undo(reserve)
def release(reserve: dict[str, str]) -> str:
    return reserve["room"]


@rooms.step(retry=ONCE, export=True)
def confirm(reserve: dict[str, str], ctx: StepContext) -> dict[str, str]:
    if reserve["room"] == "full":
        raise ValueError("no room")
    return reserve


room = trips.run(rooms, input="input", export=True)


@trips.undo(room)
def unroom(rooms: dict[str, Any]) -> str:
    return f"not {rooms['confirm']['room']}"


@trips.step(retry=ONCE)
def charge(rooms: dict[str, Any], input: str) -> None:
    if input == "poor":
        raise ValueError("no money")


def test_a_run_of_a_sub_workflow_that_fails_undoes_itself_and_is_final() -> None:
    with Engine() as engine:
        failed = engine.run(trips, "full", expect="failed")
        assert failed.undone is None, "what undoes the run's own steps has nothing to do"
        undone = failed.steps["rooms"].run.undone
        assert undone is not None
        assert (undone.status, undone.steps["release"].output) == ("completed", "full")
        with pytest.raises(RunNotRetryableError, match="sub-workflow"):
            engine.retry(failed)


def test_what_a_sub_workflow_had_done_and_undone_is_done_anew_as_another_effect() -> None:
    with Engine() as engine:
        failed = engine.run(trips, "full", expect="failed")
        again = engine.resume(failed, fake={"rooms/confirm": lambda reserve: reserve}, expect="completed")
        inner, first = again.steps["rooms"].run, failed.steps["rooms"].run
        assert inner.steps["reserve"].output["key"] != first.steps["reserve"].output["key"]


def test_one_that_has_completed_is_undone_as_its_parent_says() -> None:
    with Engine() as engine:
        failed = engine.run(trips, "poor", expect="failed")
        undone = failed.undone
        assert undone is not None
        assert (undone.status, undone.steps["unroom"].output) == ("completed", "not poor")
        assert failed.steps["rooms"].run.undone is None


def test_a_map_that_was_still_under_way_is_undone_before_what_had_completed() -> None:
    flow, undone = Workflow("flow"), list[str]()

    @flow.step
    def legs() -> list[str]:
        return ["a", "full"]

    @flow.map(over="legs", retry=ONCE, concurrency=1)
    def book(leg: str) -> str:
        return {"a": "A"}[leg]

    @flow.undo("legs")
    def forget() -> None:
        undone.append("legs")

    @flow.undo("book")
    def unbook() -> None:
        undone.append("book")

    with Engine() as engine:
        engine.run(flow, expect="failed")
    assert undone == ["book", "legs"]
