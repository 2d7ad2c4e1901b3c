"""Undoing in a test: the run that undoes another, its steps, their fakes and mishaps; large outputs; async code."""

from __future__ import annotations

import random

import pytest

from cascade_flow import Skip, StepContext, Workflow
from cascade_flow.testing import Engine, in_turn

trips = Workflow("trips")


@trips.step
def book(input: dict[str, str], ctx: StepContext) -> dict[str, str]:
    return {"noise": random.Random(7).randbytes(40_000).hex(), "who": input["who"], "key": ctx.idempotency_key}


@trips.undo(book)
async def unbook(book: dict[str, str], input: dict[str, str]) -> int:
    assert book["who"] == input["who"]
    return len(book["noise"])


@trips.step
def rent(book: dict[str, str]) -> str:
    return "car"


@trips.undo("rent", executor="desk")
def unrent(rent: str) -> None:
    if rent == "car":
        raise Skip("it was returned")


@trips.step
def pay(rent: str) -> None:
    raise ValueError("no money")


MILA = {"who": "mila"}


def test_a_run_that_fails_is_undone_and_shown() -> None:
    """What is undone lies in the bucket."""
    with Engine() as engine:
        result = engine.run(trips, MILA, expect="failed")
        undone = result.undone
        assert undone is not None
        assert (undone.status, undone.undone) == ("completed", None)
        assert [*undone.steps] == ["unrent", "unbook"]
        assert undone.steps["unrent"].skipped == "it was returned"
        assert undone.steps["unbook"].output == 80_000


def test_a_run_that_completes_has_nothing_undone() -> None:
    with Engine() as engine:
        assert engine.run(trips, MILA, fake={pay: None}, expect="completed").undone is None


def test_a_run_that_is_cancelled_is_undone() -> None:
    with Engine() as engine:
        result = engine.submit(trips, MILA)
        engine.cancel(result)
        assert (result.status, result.undone) == ("cancelled", None)


def test_an_undo_is_faked_and_killed_as_a_step_is() -> None:
    with Engine() as engine:
        engine.kill("unbook")
        undone = engine.run(trips, MILA, fake={unrent: in_turn(OSError("busy"), None)}, expect="failed").undone
        assert undone is not None
        assert [attempt.status for attempt in undone.steps["unrent"].attempts] == ["failed", "completed"]
        assert [attempt.status for attempt in undone.steps["unbook"].attempts] == ["died", "completed"]


def test_what_fails_to_undo_is_retried() -> None:
    with Engine() as engine:
        undone = engine.run(trips, MILA, fake={unbook: ValueError("no such booking")}, expect="failed").undone
        assert undone is not None
        assert undone.status == "failed"
        assert undone.error is not None
        assert undone.error.message == "no such booking"


def test_what_was_undone_is_another_effect_when_it_is_done_again() -> None:
    with Engine() as engine:
        failed = engine.run(trips, MILA, expect="failed")
        again = engine.resume(failed, fake={pay: None}, expect="completed")
        keys = [result.steps["book"].output["key"] for result in (failed, again)]
        assert keys[0] != keys[1], "a service that is asked twice with one key would answer with what was undone"


def test_no_more_than_is_there() -> None:
    with Engine() as engine, pytest.raises(KeyError):
        engine.run(trips, MILA).undone.steps["book"]  # type: ignore[union-attr]
