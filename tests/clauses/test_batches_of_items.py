"""Batches of a map's items: what is done in them is not lost, and each item has its result."""

from __future__ import annotations

import json
import random
import secrets
from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import (
    ArgumentInvalidError,
    PayloadLostError,
    StaleAttemptError,
    StepError,
    StepFailed,
)
from cascade_flow.dynamodb import items, keys
from cascade_flow.engine import children
from cascade_flow.engine.commands import Complete, Fail, KeepCheckpoint, SkipStep
from cascade_flow.engine.state import Facts, Run
from cascade_flow.operations import item_inputs, items_aside
from cascade_flow.operations.children import _error
from cascade_flow.operations.collection import _items_that_completed, _outcome
from cascade_flow.operations.failed_items import error_of, failed_item
from cascade_flow.operations.items_aside import ItemsAside
from cascade_flow.operations.payloads import OFFLOAD_BYTES
from cascade_flow.operations.steps import Steps
from cascade_flow.operations.worker_outcomes import Attempt, Measures, WorkerOutcomes
from cascade_flow.testing.memory.bucket_client import BucketClient
from clauses.families import (
    AHEAD_US,
    ITEMS,
    ONCE,
    child,
    child_run,
    failed,
    handed_out,
    pack_of,
    packed,
    results,
    revived,
    stored,
    taken,
    there,
    whole,
)
from clauses.stage import FATAL, RUN, counting, reported, run_of, silent
from simulation import World, step


def test_a_batch_that_fails_for_good_loses_no_item_that_is_done(world: World) -> None:
    handed_out(world, batch=3, tolerate=0.2)
    assert there(world) == {0: "running", 1: "running"}
    held = stored(world, taken(world, 1), 0, 2)
    for place, name in ((1, "Warm"), (1, "Cold"), (2, "Wet")):
        why = StepError(name=name, message=f"too {name.lower()}")
        held = reported(world, held, KeepCheckpoint("item", place, error=why))
    reported(world, held, FATAL)
    assert (child_run(world, 1).status, child_run(world, 1).lost) == ("failed", 1)
    reported(world, stored(world, taken(world, 0), 0, 1, 2), Complete('["a", "b", "c"]', 1))
    world.settle(RUN)
    failure = {"$failed": {"index": 4, "run_id": child(1), "error": {"name": "Cold", "message": "too cold"}}}
    assert results(world) == ["a", "b", "c", f"{child(1)}/0", failure, f"{child(1)}/2"]
    whole(world)


def test_what_a_batch_that_fails_has_done_is_put_aside_where_it_is_long(world: World) -> None:
    handed_out(world, ITEMS[:2], batch=2, tolerate=0.9)
    long = json.dumps(random.Random(1).randbytes(4_000).hex())
    held = reported(world, taken(world, 0), KeepCheckpoint("item", 0, data=long))
    reported(world, held, FATAL)
    assert child_run(world, 0).result_place is not None
    world.settle(RUN)
    assert results(world)[0] == json.loads(long)


@pytest.mark.parametrize("length", [1, 9_000])
def test_a_batch_that_fails_has_a_result_for_each_of_its_items_however_long_they_are(world: World, length: int) -> None:
    handed_out(world, [secrets.token_hex(length) for _ in range(3)], batch=3, tolerate=0.9)
    reported(world, stored(world, taken(world, 0), 1), FATAL)
    lost, done, last = json.loads(child_run(world, 0).result or "")
    assert (lost["$failed"]["index"], done, last["$failed"]["index"]) == (0, f"{child(0)}/1", 2)
    assert child_run(world, 0).lost == 2


def test_what_an_item_gives_is_collected_however_long_it_is(world: World) -> None:
    handed_out(world, ITEMS[:2])
    long = json.dumps(random.Random(1).randbytes(4_000).hex())
    reported(world, taken(world, 0), Complete(long, 1))
    packed(world, 1)
    world.settle(RUN)
    assert results(world) == [json.loads(long), 1]


def test_an_item_of_a_parent_that_is_known_reads_no_parent(world: World) -> None:
    handed_out(world, concurrency=2)
    held = [taken(world, number) for number in range(2)]
    late, sizes = counting(world)
    for each in held:
        Steps(late.runtime).inputs(each)
    asked = len(sizes)
    Steps(late.runtime).inputs(held[1])
    assert len(sizes) == asked


def test_what_an_item_gave_is_no_failure_whatever_it_is() -> None:
    given = ["1", '"$failed"', '{"a": 1}', '["$failed"]', "null", '"tëa"']
    assert _items_that_completed(f"[{','.join(given)}, {failed_item(5, 'r', {})}]", 6) == given


def test_few_items_are_put_aside_together(world: World) -> None:
    handed_out(world)
    assert pack_of(world).family.chunk >= len(ITEMS)


def test_of_a_batch_that_fails_each_item_has_its_own_reason_place_and_run(world: World) -> None:
    handed_out(world, ITEMS, batch=3, tolerate=0.9)
    held = reported(world, taken(world, 1), KeepCheckpoint("item", 2, data="null"))
    for place, name in ((0, "Dry"), (0, "Warm"), (1, "Cold")):
        why = StepError(name=name, message="no", stack="Traceback …")
        held = reported(world, held, KeepCheckpoint("item", place, error=why))
    reported(world, held, FATAL)
    *reasons, last = json.loads(child_run(world, 1).result or "")
    assert [each["$failed"] for each in reasons] == [
        {"index": index, "run_id": child(1), "error": {"name": name, "message": "no"}}
        for index, name in ((3, "Warm"), (4, "Cold"))
    ]
    assert (last, child_run(world, 1).lost) == (None, 2)


def test_a_batch_of_long_items_gives_as_many_results(world: World) -> None:
    handed_out(world, [secrets.token_hex(9_000) for _ in range(4)], batch=2)
    child, runtime = child_run(world, 0), world.observer.runtime
    item_inputs.check_batch(runtime, child, "[1,2]")
    with pytest.raises(ArgumentInvalidError):
        item_inputs.check_batch(runtime, child, "[1]")


def test_what_a_failed_batch_has_stored_otherwise_is_no_items_result(world: World) -> None:
    handed_out(world, ITEMS[:3], batch=2, tolerate=0.9)
    held = reported(world, taken(world, 1), KeepCheckpoint("mine", 0, data='"other"'))
    reported(world, held, FATAL)
    assert child_run(world, 1).lost == 1
    assert len(json.loads(child_run(world, 1).result or "")) == 1


def test_a_failed_childs_reason_is_cut_and_a_batch_names_its_first_items(world: World) -> None:
    handed_out(world, concurrency=1)
    long = Fail(StepError(name="ValueError", message="x" * 1_000), "execution-error", 1, retryable=False)
    reported(world, taken(world, 0), long)
    told = child_run(world, 0)
    assert json.loads(told.result or "")["message"] == "x" * 300
    items = [json.loads(failed_item(n, "r", {"name": "E", "message": "no"})) for n in range(5)]
    batch = replace(told, lost=5, result=json.dumps(items))
    assert error_of(batch).message == "5 items failed: item 0: E: no; item 1: E: no; item 2: E: no"
    mostly = replace(batch, lost=1, result=json.dumps(["won", {"n": 1}, None, [2], *items[4:]]))
    assert error_of(mostly).message == "1 items failed: item 4: E: no"


def failed_run(result: str | None, lost: int | None) -> Run:
    return Run("r", "flow", "v", "failed", 0, 0, 0, 0, result=result, lost=lost)


@pytest.mark.parametrize(
    ("result", "lost", "name", "message"),
    [
        (None, None, "ChildFailed", "it has failed"),
        ("{}", None, "ChildFailed", "it has failed"),
        ('{"name":"E","message":"no"}', None, "E", "no"),
        (None, 3, "BatchFailed", "3 items failed"),
        ('["won"]', 1_000, "BatchFailed", "1,000 items failed"),
        ('["won"]', 0, "BatchFailed", "0 items failed"),
    ],
)
def test_a_child_that_says_less_of_why_it_has_failed_is_told_of_all_the_same(
    result: str | None, lost: int | None, name: str, message: str
) -> None:
    assert error_of(failed_run(result, lost)) == StepError(name=name, message=message)


def test_what_is_told_of_a_failed_item_is_as_it_was_said() -> None:
    told = '{"$failed": {"index": 4, "run_id": "r", "error": {"name": "E", "message": "zu spät"}}}'
    assert failed_item(4, "r", {"name": "E", "message": "zu spät"}) == told


def test_a_batch_that_has_told_nothing_has_failed_with_each_of_its_items(world: World) -> None:
    """Also the last, which has fewer."""
    handed_out(world, ITEMS[:3], batch=2)
    gone = [replace(child_run(world, number), status="failed", result=None, lost=None) for number in range(2)]
    given = [json.loads(_outcome(claimed_facts(world), pack_of(world), each, {})) for each in gone]
    assert [[each["$failed"]["index"] for each in batch] for batch in given] == [[0, 1], [2]]


def test_a_child_that_completed_with_nothing_gave_null(world: World) -> None:
    handed_out(world, ITEMS[:1])
    done = replace(child_run(world, 0), status="completed", result=None)
    assert _outcome(claimed_facts(world), pack_of(world), done, {}) == "null"


def test_a_step_names_its_first_failed_items_and_a_batch_by_its_run(world: World) -> None:
    handed_out(world, concurrency=6)
    family = replace(pack_of(world).family, lost=5)
    failed(world, 0)
    one = child_run(world, 0)
    assert one.up is not None
    five = {number: replace(one, up=replace(one.up, number=number)) for number in range(5)}
    named = "; ".join(f"item {number}: ValueError: no" for number in range(3))
    assert _error(family, five).message == f"5 of 6 items failed: {named}"
    assert _error(replace(family, items=12), {0: one}).message == f"5 of 12 items failed: {child(0)}: ValueError: no"


def test_a_step_that_fails_for_its_children_before_it_has_begun_took_no_time(world: World) -> None:
    """By a clock that was set back."""
    handed_out(world, concurrency=1)
    pack, error = pack_of(world), StepError(message="no")
    commit = children.failed(claimed_facts(world), pack, pack, error, now_us=pack.last_us - AHEAD_US)
    assert [event.duration_us for event in commit.events if isinstance(event, StepFailed)] == [0]


def claimed_facts(world: World) -> Facts:
    return world.observer.runtime.facts(run_of(world))


def test_few_parents_inputs_are_kept_and_no_vast_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    handed_out(world, concurrency=1)
    runtime = world.another().runtime
    with monkeypatch.context() as vast:
        vast.setattr(item_inputs, "_LONGEST_KEPT", 5)
        assert item_inputs.input_of_parent(runtime, RUN) == '{"order":7}'
        assert runtime.kept_inputs == {}
        vast.setattr(item_inputs, "_LONGEST_KEPT", len('{"order":7}'))
        item_inputs.input_of_parent(runtime, RUN)
        assert list(runtime.kept_inputs) == [RUN]
        runtime.kept_inputs.clear()
    runtime.kept_inputs.update({str(n): None for n in range(8)})
    item_inputs.input_of_parent(runtime, RUN)
    assert list(runtime.kept_inputs) == [*map(str, range(1, 8)), RUN]
    assert item_inputs.input_of_parent(runtime, "1") is None, "known to have none: it is not read again"


def test_an_item_whose_parent_is_gone_is_told_so(world: World) -> None:
    handed_out(world, concurrency=1)
    runtime = world.another().runtime
    runtime.ledger.table.delete(keys.run(RUN))
    with pytest.raises(PayloadLostError, match=f"run '{RUN}', whose work this is, is there no more"):
        item_inputs.input_of_parent(runtime, RUN)


def test_a_batch_whose_workers_die_loses_no_item_that_is_done(world: World) -> None:
    handed_out(world, batch=3, tolerate=0.5, retry=ONCE)
    stored(world, taken(world, 1), 0)
    silent(world)
    world.sweep()
    assert (child_run(world, 1).status, child_run(world, 1).lost) == ("failed", 2)
    assert run_of(world).status == "running"
    reported(world, taken(world, 0), Complete("[1, 2, 3]", 1))
    whole(world)
    assert [each["$failed"]["error"]["name"] for each in results(world)[4:]] == ["WorkerCrash"] * 2


def test_an_item_that_is_skipped_gave_nothing(world: World) -> None:
    handed_out(world, ITEMS[:2])
    reported(world, taken(world, 0), SkipStep("gone", 1))
    packed(world, 1)
    world.settle(RUN)
    assert results(world) == [None, 1]


def test_a_batch_that_is_skipped_gave_nothing_for_each_of_its_items(world: World) -> None:
    handed_out(world, ITEMS[:3], batch=2)
    reported(world, taken(world, 0), SkipStep("gone", 1))
    reported(world, stored(world, taken(world, 1), 0), Complete('["c"]', 1))
    world.settle(RUN)
    assert results(world) == [None, None, "c"]
    whole(world)


@pytest.mark.parametrize("given", ['"one"', "[1]", "[1, 2, 3]", '{"0": 1, "1": 2}', "null"])
def test_a_batch_gives_a_result_for_each_of_its_items_or_is_not_taken(world: World, given: str) -> None:
    handed_out(world, batch=2)
    taken(world, 0, worker="mila")
    outcomes, mine = WorkerOutcomes(world.backend.runtime), Attempt(child(0), "pack", "mila", 1)
    refused = "output: a list of 2 results, in the order of the items"
    with pytest.raises(ArgumentInvalidError, match=refused):
        outcomes.complete(mine, given, Measures())
    with pytest.raises(ArgumentInvalidError, match=refused):
        world.backend.save_step_complete("flow", child(0), "pack", json.loads(given), duration_us=1, attempt_number=1)
    assert outcomes.complete(mine, "[1, 2]", Measures()).status == "completed"


def test_a_batch_that_is_stopped_with_its_parent_has_lost_nothing_for_good(world: World) -> None:
    handed_out(world, batch=3)
    held = stored(world, taken(world, 1), 0)
    world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN)
    with pytest.raises(StaleAttemptError):
        reported(world, held)
    revived(world)
    assert (child_run(world, 1).status, child_run(world, 1).lost) == ("running", None)
    for number, attempt in ((0, 1), (1, 2)):
        reported(world, taken(world, number, attempt), Complete("[1, 2, 3]", 1))
    whole(world)


def handed_on(world: World, *numbers: int, batch: int) -> list[Any]:
    """What these children of the map are given."""
    facts, step = claimed_facts(world), pack_of(world)
    texts = ItemsAside(world.observer.runtime).texts(facts, step, numbers, batch=batch)
    return [json.loads(texts[number]) for number in numbers]


def test_a_batch_is_given_a_list_also_of_a_single_item(world: World) -> None:
    handed_out(world, ITEMS[:5], batch=2)
    assert handed_on(world, 0, 1, 2, batch=2) == [["a", "b"], ["c", "d"], ["e"]]


@pytest.mark.parametrize("characters", [1, 8, 12, 10_000])
def test_each_item_lies_in_one_chunk_of_about_that_length(
    world: World, monkeypatch: pytest.MonkeyPatch, characters: int
) -> None:
    monkeypatch.setattr(items_aside, "_CHUNK_CHARACTERS", characters)
    handed_out(world)
    chunk = pack_of(world).family.chunk
    keys_of = [keys.chunk(RUN, "pack", 1, number) for number in range(len(ITEMS))]
    stored = [world.observer.runtime.ledger.table.get(key) for key in keys_of]
    found = [json.loads(items.to_payload(item)) for item in stored if item is not None]
    assert found == [ITEMS[at : at + chunk] for at in range(0, len(ITEMS), chunk)]
    assert all(len(json.dumps(each, separators=(",", ":"))) <= max(characters, 5) for each in found)
    assert handed_on(world, *range(len(ITEMS)), batch=1) == ITEMS


def test_of_items_that_lie_in_the_bucket_the_table_holds_the_place_alone(world: World) -> None:
    world.bucket = BucketClient()
    world.backend, world.observer = world.another(), world.another(world.store.another_client())
    vast = [secrets.token_hex(OFFLOAD_BYTES)]
    handed_out(world, vast)
    item = world.observer.runtime.ledger.table.get(keys.chunk(RUN, "pack", 1, 0))
    assert item is not None
    assert [*json.loads(items.to_payload(item))] == ["at"]
    assert handed_on(world, 0, batch=1) == vast


def test_what_a_single_item_gives_may_be_anything(world: World) -> None:
    handed_out(world, ITEMS[:2])
    for output in ('"done"', "[]", "[1,2,3]", "null"):
        item_inputs.check_batch(world.observer.runtime, child_run(world, 0), output)


def test_each_parents_input_is_kept_whole_and_by_its_run(world: World) -> None:
    long = secrets.token_hex(2_000)
    world.register([step("a")])
    for run_id, given in (("r1", long), ("r2", 2), ("r3", None)):
        world.submit(run_id=run_id, input=given)
    runtime = world.observer.runtime
    for _ in range(2):
        assert item_inputs.input_of_parent(runtime, "r1") == json.dumps(long)
        assert item_inputs.input_of_parent(runtime, "r2") == "2"
        assert item_inputs.input_of_parent(runtime, "r3") is None
    assert [*runtime.kept_inputs] == ["r1", "r2", "r3"]
