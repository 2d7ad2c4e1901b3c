"""What a wake-up tells besides where to look: it saves a read, and changes nothing where it can't be believed."""

from __future__ import annotations

import json
from dataclasses import fields, make_dataclass, replace
from typing import Any

import pytest

from cascade_flow import RetryTier
from cascade_flow.dynamodb.secret import secret_of
from cascade_flow.dynamodb.table import Table
from cascade_flow.engine.commands import Complete, SkipStep
from cascade_flow.engine.state import Up
from cascade_flow.errors import BackendUnavailableError
from cascade_flow.model.workflows import RunLimit
from cascade_flow.operations import told
from cascade_flow.operations.outputs import knows_enough
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.operations.told import Told
from cascade_flow.seal import Seal
from cascade_flow.wake import Wake
from clauses.stage import AGAIN, AT_ONCE, FATAL, RUN, begun, branch_of, claimed, done, reported, run_of
from faults.moments import pausing
from shapes import chain
from simulation import World, step
from testbed.meter import meter

INPUT = {"order": "A-1029"}
OTHERS: dict[str, Any] = {"name": "b", "step": "b", "attempt": 2}


def newest(world: World, name: str) -> Wake:
    """The last wake-up for a step."""
    return next(wake for wake in reversed(world.mailbox.wakes) if wake.step == name)


def by_wake(world: World, wake: Wake, *, reads: int) -> HeldAttempt:
    """An attempt, claimed as a wake-up says, with so many reads."""
    steps = Steps(world.backend.runtime)
    with meter(world.store.client, world.store.table) as counting:
        held = steps.claim(wake, "worker-1")
        assert held is not None
        inputs = steps.inputs(held)
    assert [line.operation for line in counting.lines if not line.is_write] == ["BatchGetItem"] * reads
    assert held.facts == world.backend.runtime.facts(world.observer.runtime.run(RUN)), "as if it had been read"
    assert reads or [record["type"] for record in held.run.tail] == ["RunSubmitted"], "no more is told"
    assert json.loads(inputs.input or "") == INPUT
    return held


def given(world: World, held: HeldAttempt) -> Any:
    return dict(Steps(world.backend.runtime).inputs(held).outputs)


def test_of_several_dependencies_nothing_need_be_known_since_the_history_is_read(world: World) -> None:
    begun(world, step("a"), step("b"), step("j", "a", "b"))
    done(world, "a", "b")
    held = claimed(world, "j")
    assert knows_enough(held.facts, held.branch, {})


def test_what_a_branch_carries_itself_need_not_be_told(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "a"))
    held = claimed(world, "a")
    assert knows_enough(held.facts, held.branch, {}), "it depends on nothing"
    held = reported(world, held)
    tail: Any = {"type": "StepCompleted", "stepId": "a", "output": "1"}
    for branch, known, enough in (
        (replace(held.branch, tail=(tail,)), {}, True),
        (replace(held.branch, tail=({**tail, "type": "StepSkipped"},)), {}, True),
        (replace(held.branch, tail=({**tail, "stepId": "z"},)), {}, False),
        (replace(held.branch, tail=({**tail, "type": "StepFailed"},)), {}, False),
        (replace(held.branch, tail=()), {}, False),
        (replace(held.branch, tail=()), {"a": None}, True),
        (replace(held.branch, tail=()), {"z": "1"}, False),
    ):
        assert knows_enough(held.facts, branch, known) is enough


def test_who_reads_what_its_only_dependency_gave_reads_no_history(world: World) -> None:
    begun(world, step("a"), step("b", "a"), input=INPUT)
    done(world, "a")
    held = Steps(world.backend.runtime).claim(replace(newest(world, "b"), told=""), "worker-1")
    assert held is not None
    with meter(world.store.client, world.store.table) as counting:
        assert given(world, held) == {"a": '"done"'}
    assert counting.lines == []


def test_whoever_is_woken_for_what_a_run_owed_at_its_start_reads_nothing(world: World) -> None:
    names = [f"s{number}" for number in range(2 * AT_ONCE)]
    begun(world, *map(step, names), input=INPUT)
    for name in names:
        by_wake(world, newest(world, name), reads=0)


def test_whoever_is_woken_for_what_a_branch_owed_reads_nothing(world: World) -> None:
    names = [f"s{number}" for number in range(2 * AT_ONCE)]
    begun(world, step("a"), step("b", "a"), *(step(name, "a") for name in names), input=INPUT)
    done(world, "a")
    for name in names:
        assert given(world, by_wake(world, newest(world, name), reads=0)) == {"a": '"done"'}


def test_who_knows_no_secret_believes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(world, step("a"), input=INPUT)
    wake = newest(world, "a")
    monkeypatch.setattr(world.mailbox, "seal", None)
    held = Steps(world.backend.runtime).claim(wake, "worker-1")
    assert held is not None
    assert json.loads(Steps(world.backend.runtime).inputs(held).input or "") == INPUT


def test_who_is_woken_reads_nothing(world: World) -> None:
    begun(world, *chain(3), step("beside", "s0"), input=INPUT, priority=5)
    reported(world, by_wake(world, newest(world, "s0"), reads=0), Complete('"first"', 1))
    for name in ("s1", "beside"):
        assert given(world, by_wake(world, newest(world, name), reads=0)) == {"s0": '"first"'}
    world.settle(RUN)
    world.check(RUN)


def test_what_was_tried_again_reads_nothing_where_it_began_the_branch(world: World) -> None:
    begun(world, step("a", retry=[RetryTier(max_attempts=2, delay_ms=1_000, jitter=0)]), input=INPUT)
    reported(world, by_wake(world, newest(world, "a"), reads=0), AGAIN)
    world.clock.pause_us(1_000_000)
    by_wake(world, newest(world, "a"), reads=0)


def test_in_a_further_attempt_of_the_run_others_facts_are_told(world: World) -> None:
    begun(world, step("a"), input=INPUT)
    reported(world, by_wake(world, newest(world, "a"), reads=0), FATAL)
    world.clock.pause_us(60_000_000)
    world.backend.retry_run(RUN)
    assert by_wake(world, newest(world, "a"), reads=0).facts.run_attempt == 2


def test_a_run_with_more_to_it_is_read(world: World) -> None:
    """Such as a place of its own; of which sort it is nobody need know who tells."""
    world.register([step("a")], run_limit=RunLimit(at_most=1))
    world.submit(run_id=RUN, input=INPUT)
    wake = newest(world, "a")
    assert not wake.told
    by_wake(world, wake, reads=1)


def test_a_step_that_was_skipped_has_given_nothing_which_is_told_too(world: World) -> None:
    begun(world, step("s0"), step("s1", "s0"), step("beside", "s0", skip_cascades=False), input=INPUT)
    reported(world, by_wake(world, newest(world, "s0"), reads=0), SkipStep("no need", 1))
    assert given(world, by_wake(world, newest(world, "beside"), reads=0)) == {"s0": None}


@pytest.mark.parametrize("lines", [600, 5_000], ids=["beside the branch", "put aside"])
def test_a_large_output_is_read(world: World, lines: int) -> None:
    begun(world, *chain(2), step("beside", "s0"), input=INPUT)
    text = json.dumps([f"line {number}" for number in range(lines)])
    reported(world, by_wake(world, newest(world, "s0"), reads=0), Complete(text, 1))
    wake = newest(world, "beside")
    assert not wake.told
    held = Steps(world.backend.runtime).claim(wake, "worker-1")
    assert held is not None
    assert given(world, held) == {"s0": text}


def _of_another_run(world: World, wake: Wake) -> str:
    world.submit(run_id="other", input={"order": "another"})
    return next(sent.told for sent in world.mailbox.wakes if sent.run_id == "other")


def _of_an_earlier_attempt_of_the_run(world: World, wake: Wake) -> str:
    seal = world.mailbox.seal
    form, place, lasting, *rest = json.loads(seal.opened(wake.told) or "")
    return seal.sealed(json.dumps([form, place, {**lasting, "run_attempt": 0}, *rest]))


def _by_somebody_else(world: World, wake: Wake) -> str:
    text = world.mailbox.seal.opened(wake.told) or ""
    return Seal(lambda: b"another secret").sealed(text.replace("A-1029", "mine"))


def _changed_on_the_way(world: World, wake: Wake) -> str:
    return wake.told[:-6] + "AAAA" + wake.told[-2:]


@pytest.mark.parametrize(
    "words",
    [
        _of_another_run,
        _of_an_earlier_attempt_of_the_run,
        _by_somebody_else,
        _changed_on_the_way,
        lambda world, wake: "no seal",
        lambda world, wake: "",
    ],
)
def test_what_can_not_be_believed_is_read(world: World, words: Any) -> None:
    begun(world, step("a"), input=INPUT)
    wake = newest(world, "a")
    reported(world, by_wake(world, replace(wake, told=words(world, wake)), reads=1))
    world.check(RUN)


def test_who_can_open_no_seal_reads_what_it_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(world, step("a"), input=INPUT)
    wake = newest(world, "a")
    assert wake.told
    monkeypatch.setattr(world.mailbox, "seal", None)
    by_wake(world, wake, reads=1)


def test_of_what_tells_nothing_no_seal_is_opened(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret would be read for it."""
    begun(world, step("a"), input=INPUT)
    monkeypatch.setattr(world.mailbox.seal, "opened", lambda _: pytest.fail("it is opened"))
    by_wake(world, replace(newest(world, "a"), told=""), reads=1)


def test_nothing_was_never_sealed() -> None:
    assert Seal(lambda: b"secret").opened("") is None


def test_what_another_release_tells_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as other:
        other.setattr(told, "_LASTING", tuple(name for name in told._LASTING if name != "parent"))
        begun(world, step("a"), input=INPUT)
    by_wake(world, newest(world, "a"), reads=1)


def test_whoever_tells_other_facts_of_a_family_is_not_understood(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as other:
        other.setattr(told, "Up", make_dataclass("Up", [*(field.name for field in fields(Up)), "more"]))
        begun(world, step("a"), input=INPUT)
    by_wake(world, newest(world, "a"), reads=1)


@pytest.mark.parametrize(("run_id", "now"), [("other", {}), *((RUN, {k: v}) for k, v in OTHERS.items())], ids=str)
def test_what_is_told_is_for_one_attempt_of_one_step(world: World, run_id: str, now: Any) -> None:
    begun(world, step("a"), step("b"), input=INPUT)
    runtime, run = world.backend.runtime, run_of(world)
    of_another = Told(replace(run, run_id=run_id), {}), replace(branch_of(world, "a"), **now)
    words = told.tell(runtime, runtime.facts(run), *of_another)
    assert words
    by_wake(world, replace(newest(world, "a"), told=words), reads=1)


def sealed(world: World, **known: str) -> str:
    """What is told of a branch that goes on with `b`, by who knows these outputs."""
    runtime, run = world.backend.runtime, run_of(world)
    branch = replace(branch_of(world, "a"), step="b")
    return told.tell(runtime, runtime.facts(run), Told(run, known), branch)


def test_no_output_is_told_but_what_the_step_depends_on(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("z"), input=INPUT)
    words = sealed(world, a="1", z="2")
    assert json.loads(world.mailbox.seal.opened(words) or "")[-1] == {"a": "1"}


@pytest.mark.parametrize("status", ["running", "skipping", "parked", "failed", "waiting"])
def test_of_what_is_not_there_to_be_taken_nothing_is_told(world: World, status: Any) -> None:
    begun(world, step("a"))
    runtime, run = world.backend.runtime, run_of(world)
    branch = replace(branch_of(world, "a"), status=status)
    assert told.tell(runtime, runtime.facts(run), Told(run, {}), branch) == ""


@pytest.mark.parametrize(("more", "is_told"), [(0, True), (1, False)])
def test_as_much_is_told_as_fits(world: World, more: int, is_told: bool) -> None:
    begun(world, step("a"), step("b", "a"))
    room = told._MOST_CHARACTERS - len(world.mailbox.seal.opened(sealed(world, a="")) or "")
    assert bool(sealed(world, a="x" * (room + more))) is is_told


def test_what_came_too_early_is_told_again(world: World) -> None:
    begun(world, step("a", delay_ms=5_000), input=INPUT)
    early = newest(world, "a")
    assert Steps(world.backend.runtime).claim(early, "worker-1") is None
    world.clock.pause_us(5_000_000)
    again = newest(world, "a")
    assert again is not early
    by_wake(world, again, reads=0)


def test_who_can_not_seal_says_where_to_look(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: str) -> str:
        raise BackendUnavailableError

    monkeypatch.setattr(world.mailbox.seal, "sealed", away)
    begun(world, step("a"), input=INPUT)
    assert not newest(world, "a").told
    by_wake(world, newest(world, "a"), reads=1)


def test_all_who_use_a_table_know_its_secret(world: World) -> None:
    tables = [Table(world.store.another_client(), world.store.table) for _ in range(3)]
    assert len({secret_of(table) for table in tables}) == 1
    with meter(tables[0].client, world.store.table) as counting:
        secret_of(tables[0])
    assert counting.lines == []


def test_of_two_who_make_the_secret_both_know_the_first(world: World) -> None:
    first: list[bytes] = []
    other = Table(world.store.another_client(), world.store.table)
    late = pausing(world, "PutItem", lambda: first.append(secret_of(other)))
    assert [secret_of(late.runtime.ledger.table)] == first
