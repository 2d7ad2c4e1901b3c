"""What a worker elsewhere is given of a step: the run's input, what the step depends on, and what was stored before."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from cascade_flow import ChildrenDefinition, ResourceSnapshot, RetryTier, ThrottledError
from cascade_flow.engine.commands import Command, Complete, KeepCheckpoint, Postpone
from cascade_flow.operations.payloads import Payloads
from cascade_flow.operations.steps import HeldAttempt
from cascade_flow.operations.worker_protocol import Given, WorkerProtocol
from clauses.families import handed_out, taken
from clauses.stage import AGAIN, FATAL, RUN, asking, begun, branch_of, claimed, reported
from clauses.test_undo import undo_run, undone
from simulation import World, step
from unit.worker.place import once

LONG = json.dumps(secrets.token_hex(1_000))
"""It is put aside: a record names where it lies."""
AT_ONCE = [RetryTier(max_attempts=3, delay_ms=0, jitter=0)]


def given(world: World, held: HeldAttempt, by: Any = None) -> Given:
    return WorkerProtocol((by or world.backend).runtime).given(held)


def texts(found: Given) -> dict[str, str | None]:
    return {"": found.input.text} | {name: handed.text for name, handed in found.outputs.items()}


def stored(found: Given) -> list[str | None]:
    return [handed.number.stored.data for handed in found.checkpoints if handed.number.stored]


def test_it_is_the_input_and_what_was_given_before_it_and_nothing_is_read_twice(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "a"), input=json.loads(LONG))
    reported(world, claimed(world, "a"), Complete('{"of":"a"}', 1))
    backend, asked = asking(world)
    held = claimed(world, "c", by=backend)
    del asked[:]
    assert texts(given(world, held, backend)) == {"": LONG, "a": '{"of":"a"}'}
    assert asked == ["BatchGetItem"], "the input's, which lies aside"


def test_a_run_that_goes_on_from_another_is_given_its_own(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "a"), input=json.loads(LONG))
    reported(world, claimed(world, "a"), Complete(LONG, 1))
    reported(world, claimed(world, "c"), FATAL)
    world.settle(RUN)
    new = world.backend.resume_run(RUN).run_id
    assert texts(given(world, claimed(world, "c", run_id=new))) == {"": LONG, "a": LONG}


def test_a_sub_workflows_step_is_given_its_runs_input_as_any(world: World) -> None:
    world.register([step("x")], slug="inner")
    begun(world, step("go", children=ChildrenDefinition(kind="workflow", workflow="inner")), input={"order": 7})
    held = claimed(world, "go")
    reported(world, held, world.act(held, "worker-1"))
    own = f"{RUN}~go~0"
    found = given(world, claimed(world, "x", run_id=own))
    assert (found.input.text, found.outputs) == ('{"order":7}', {})


def test_what_undoes_a_step_is_given_what_that_has_given(world: World) -> None:
    begun(world, undone("a"), undone("b"), step("c", "a", "b"), input={"order": 7})
    reported(world, claimed(world, "a"), Complete("1", 1))
    reported(world, claimed(world, "b"), Complete(LONG, 1))
    reported(world, claimed(world, "c"), FATAL)
    assert texts(given(world, claimed(world, "un-b", run_id=undo_run(world).run_id))) == {"": '{"order":7}', "b": LONG}


@pytest.mark.parametrize("end", [AGAIN, Postpone("not ready", 1, delay_us=1)], ids=lambda end: type(end).__name__)
def test_any_attempt_but_the_first_is_given_what_is_stored(world: World, end: Command) -> None:
    begun(world, step("a", retry=AT_ONCE))
    reported(world, reported(world, claimed(world, "a"), KeepCheckpoint("part", 0, "1")), end)
    world.clock.pause_us(1_000_000)
    assert stored(given(world, claimed(world, "a", 2))) == ["1"]


def test_an_items_second_attempt_is_given_what_is_stored(world: World) -> None:
    handed_out(world, retry=AT_ONCE)
    reported(world, reported(world, taken(world, 0), KeepCheckpoint("part", 0, "1")), AGAIN)
    world.clock.pause_us(1_000_000)
    assert stored(given(world, taken(world, 0, 2))) == ["1"]


def test_a_text_is_lent_though_the_bucket_is_away_for_a_moment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Payloads, "lend", once(ThrottledError(), lambda _, text: f"where {text} lies"))
    assert WorkerProtocol(world.backend.runtime).lend("it") == "where it lies"


def test_a_heartbeat_says_what_is_used(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a", worker="machine")
    used = ResourceSnapshot(memory_bytes=7, cpu_time_us=8)
    WorkerProtocol(world.backend.runtime).heartbeat(RUN, "a", "machine", 1, snapshot=used)
    assert branch_of(world, "a").snapshot == used
