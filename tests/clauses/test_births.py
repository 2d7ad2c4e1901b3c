"""What a child is born with, and begins again with; what a release leaves behind (protocol.md §14)."""

from __future__ import annotations

import json
import secrets
from typing import Any
from unittest.mock import patch

import pytest

from cascade_flow import (
    ChildrenDefinition,
    PayloadLostError,
    RunLimit,
    RunSubmitted,
    StepLimit,
    WorkflowRegistration,
    WorkflowRetryStarted,
    clock,
)
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.dynamodb.family_ledger import FamilyLedger
from cascade_flow.engine.commands import Complete, KeepCheckpoint
from cascade_flow.engine.families import Expand
from cascade_flow.operations import collection
from cascade_flow.operations.collection import Collection
from cascade_flow.operations.expansion import Expansion
from cascade_flow.operations.items_aside import ItemsAside
from cascade_flow.operations.payloads import OFFLOAD_BYTES
from cascade_flow.operations.steps import Steps
from cascade_flow.testing.memory.bucket_client import BucketClient
from clauses.families import (
    ITEMS,
    ONCE,
    child,
    child_run,
    expanded,
    failed,
    handed_out,
    mapped,
    pack_of,
    packed,
    stored,
    taken,
    there,
)
from clauses.stage import DONE, FATAL, RUN, begun, claimed, reported, run_of
from simulation import TIMING, TickingClock, World, step


def urgent(world: World, **submission: Any) -> None:
    """A map has handed out, in a run that has what its children must have, or must not."""
    world.register(mapped(limit=StepLimit(name="erp", at_most=9, key="customer")), run_limit=RunLimit(at_most=3))
    world.submit(run_id=RUN, input={"customer": "C-1"}, **submission)
    reported(world, claimed(world, "lines"), Complete(json.dumps(ITEMS), 1))
    expanded(world)


def test_an_item_has_its_parents_priority_and_keys_and_none_of_its_places(world: World) -> None:
    urgent(world, priority=5)
    one = child_run(world, 0)
    assert run_of(world).place is not None
    assert (one.priority, one.limit, one.place, one.origin_run_id) == (5, None, None, None)
    assert world.observer.runtime.facts(one).limit_keys == {"customer": "C-1"}


def test_a_run_of_another_workflow_has_the_keys_that_its_own_input_gives(world: World) -> None:
    limited = step("pay", limit=StepLimit(name="erp", at_most=1, key="customer"))
    world.backend.register_workflow(WorkflowRegistration(slug="refunds", name="Refunds", steps=[limited]))
    runs = ChildrenDefinition(kind="workflow", workflow="refunds")
    begun(world, step("refund", children=runs), input={"customer": "C-2"})
    held = claimed(world, "refund")
    reported(world, held, world.act(held, "worker-1"))
    other = world.observer.runtime.run(f"{RUN}~refund~0")
    assert world.observer.runtime.facts(other).limit_keys == {"customer": "C-2"}


def test_all_roots_of_a_wide_run_of_another_workflow_are_made_at_once(world: World) -> None:
    many = [step(f"root-{number:02}") for number in range(40)]
    world.backend.register_workflow(WorkflowRegistration(slug="wide", name="Wide", steps=many))
    begun(world, step("run", children=ChildrenDefinition(kind="workflow", workflow="wide")))
    held = claimed(world, "run")
    reported(world, held, world.act(held, "worker-1"))
    assert len(world.observer.runtime.ledger.branches(f"{RUN}~run~0")) == 40


def test_a_child_is_born_after_all_that_its_step_has_told(world: World) -> None:
    begun(world, *mapped(), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete(json.dumps(ITEMS), 1))
    held = claimed(world, "pack", branch="lines")
    with clock.use(TickingClock(clock.now_us() - 60_000_000, tick_us=1)):
        reported(world, held, world.act(held, "worker-1"))
        assert child_run(world, 0).available_at_us == pack_of(world).last_us + 1
    born_us = min(event.timestamp_us for event in world.observer.load_events("flow", child(0)))
    told_us = max(event.timestamp_us for event in world.observer.load_events("flow", RUN))
    assert born_us > told_us


def test_whoever_is_woken_for_a_new_child_is_told_of_its_run(world: World) -> None:
    handed_out(world)
    woken = [wake for wake in world.mailbox.wakes if wake.run_id == child(0)]
    assert [(wake.branch, bool(wake.told)) for wake in woken] == [("pack", True)]


def test_what_a_child_is_given_that_is_long_lies_aside_for_its_run_and_its_messages(world: World) -> None:
    item = secrets.token_hex(OFFLOAD_BYTES // 2)
    handed_out(world, [item])
    told = [wake.told for wake in world.mailbox.wakes if wake.run_id == child(0)]
    assert [0 < len(words) < len(item) // 2 for words in told] == [True]
    assert len(str(child_run(world, 0).tail)) < len(item) // 2
    assert Steps(world.another().runtime).inputs(taken(world, 0)).outputs["lines"] == json.dumps(item)


def test_an_item_of_a_run_like_any_other_is_as_urgent_and_takes_what_is_no_runs_input(world: World) -> None:
    """The workflow's schema says what its runs are given, not what their items are."""
    told = {"slug": "flow", "name": "Flow", "steps": mapped(), "input_schema_json": {"type": "object"}}
    world.backend.register_workflow(WorkflowRegistration.model_validate(told))
    world.submit(run_id=RUN, input={})
    reported(world, claimed(world, "lines"), Complete(json.dumps(ITEMS), 1))
    expanded(world)
    [submitted] = world.observer.load_events("flow", child(0), types=["RunSubmitted"])
    assert isinstance(submitted, RunSubmitted)
    assert (submitted.has_input_schema, submitted.priority, child_run(world, 0).priority) == (False, 0, 0)


@pytest.mark.parametrize("given", ["null", "[]", "{}"])
def test_a_map_over_nothing_gives_nothing_and_makes_nothing(world: World, given: str) -> None:
    begun(world, *mapped())
    reported(world, claimed(world, "lines"), Complete(given, 1))
    held = claimed(world, "pack", branch="lines")
    assert world.act(held, "worker-1") == Complete("[]", 0)


def test_a_workflow_that_nothing_is_given_to_takes_nothing(world: World) -> None:
    world.register([step("a")], slug="inner")
    begun(world, step("go", children=ChildrenDefinition(kind="workflow", workflow="inner")))
    command = Expansion(world.backend.runtime).command(claimed(world, "go"), None)
    assert isinstance(command, Expand)
    assert command.family.children == 1


def test_a_child_that_begins_again_has_its_parents_time_and_nothing_of_what_it_was(world: World) -> None:
    handed_out(world, batch=3)
    reported(world, stored(world, taken(world, 0), 0), FATAL)
    before = child_run(world, 0)
    assert (before.lost, before.result is None and before.result_place is None) == (2, False)
    world.clock.pause_us(1_000_000)
    world.backend.retry_run(RUN)
    again = child_run(world, 0)
    assert (again.lost, again.result, again.result_place) == (None, None, None)
    assert (again.run_attempt, again.deadline_us) == (2, run_of(world).deadline_us)
    assert (again.deadline_us > before.deadline_us, again.seq > before.seq) == (True, True)


def test_what_a_child_gave_that_begins_again_is_gone_wherever_it_lay(world: World) -> None:
    handed_out(world, batch=3)
    held = reported(world, taken(world, 0), KeepCheckpoint("item", 0, data=json.dumps(secrets.token_hex(1_000))))
    reported(world, held, FATAL)
    assert child_run(world, 0).result_place is not None
    world.backend.retry_run(RUN)
    assert (child_run(world, 0).run_attempt, child_run(world, 0).result_place) == (2, None)


def test_a_child_begins_again_after_all_that_its_step_has_told_though_the_clock_is_set_back(world: World) -> None:
    handed_out(world, concurrency=1)
    failed(world, 0)
    with clock.use(TickingClock(clock.now_us() - 60_000_000, tick_us=1)):
        world.backend.retry_run(RUN)
    assert child_run(world, 0).due_us == pack_of(world).last_us + 1 + TIMING.grace_us


@pytest.mark.parametrize("schema", [None, {"type": "object"}], ids=["none", "one"])
def test_a_run_of_another_workflow_says_whether_that_has_a_schema(world: World, schema: Any) -> None:
    world.register([step("pay")], slug="refunds", input_schema_json=schema)
    begun(world, step("run", children=ChildrenDefinition(kind="workflow", workflow="refunds")), input={})
    reported(world, held := claimed(world, "run"), world.act(held, "worker-1"))
    [submitted] = world.observer.load_events("refunds", f"{RUN}~run~0", types=["RunSubmitted"])
    assert isinstance(submitted, RunSubmitted)
    assert submitted.has_input_schema is (schema is not None)


def test_what_has_failed_or_goes_on_has_not_completed(world: World) -> None:
    handed_out(world, ITEMS[:3], tolerate=0.9)
    packed(world, 0)
    failed(world, 1)
    facts = world.observer.runtime.facts(run_of(world))
    assert Collection(world.observer.runtime).completed(facts, pack_of(world)) == "[0]"


def test_what_has_completed_is_told_whole_however_long_it_is(world: World) -> None:
    handed_out(world, ITEMS[:3])
    given = [*(secrets.token_hex(OFFLOAD_BYTES // 2) for _ in range(2)), {"$failed": "as an item may say too"}]
    for number, text in enumerate(given):
        reported(world, taken(world, number), Complete(json.dumps(text), 1))
    runtime = world.another().runtime
    completed = Collection(runtime).completed(runtime.facts(run_of(world)), pack_of(world))
    assert json.loads(completed) == given


def test_an_item_that_is_done_anew_is_known_by_the_first_runs(world: World) -> None:
    handed_out(world, ITEMS[:2])
    packed(world, 0, 1)
    world.settle(RUN)
    again = world.backend.rerun_from(parent_run_id=RUN, from_step_id="pack").run_id
    world.settle(again)
    origins = [world.observer.runtime.run(f"{again}~pack~{number}").origin_run_id for number in range(2)]
    assert origins == [child(0), child(1)]


def test_children_of_an_urgent_run_that_begin_again_are_urgent(world: World) -> None:
    urgent(world, priority=5)
    failed(world, 0)
    world.mailbox.wakes.clear()
    world.backend.retry_run(RUN)
    expanded_again = [wake for wake in world.mailbox.wakes if wake.run_id.startswith(f"{RUN}~") and not wake.step]
    assert expanded_again
    assert all(wake.urgent for wake in expanded_again)


def test_a_child_that_was_halted_says_which_step_it_does_again(world: World) -> None:
    handed_out(world, concurrency=1)
    world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN)
    told = world.observer.load_events("flow", child(0))
    assert [event.retried_steps for event in told if isinstance(event, WorkflowRetryStarted)] == [["pack"]]


def test_a_child_that_has_failed_says_which_step_it_does_again(world: World) -> None:
    two = [step("pay", export_output=True), step("tell")]
    world.backend.register_workflow(WorkflowRegistration(slug="refunds", name="Refunds", steps=two))
    begun(world, step("run", children=ChildrenDefinition(kind="workflow", workflow="refunds")))
    reported(world, held := claimed(world, "run"), world.act(held, "worker-1"))
    own = f"{RUN}~run~0"
    for name, command in (("pay", DONE), ("tell", FATAL)):
        one = claimed(world, name, run_id=own)
        reported(world, one, command)
    world.backend.retry_run(RUN)
    told = world.observer.load_events("refunds", own)
    assert [event.retried_steps for event in told if isinstance(event, WorkflowRetryStarted)] == [["tell"]]


def test_short_items_are_put_aside_together(world: World) -> None:
    handed_out(world)
    family = pack_of(world).family
    assert family.chunk >= len(ITEMS)
    table = world.observer.runtime.ledger.table
    assert [table.get(keys.chunk(RUN, "pack", 1, number)) is not None for number in range(2)] == [True, False]


def test_an_item_has_no_schema_though_its_workflows_input_has_one(world: World) -> None:
    world.register(mapped(), input_schema_json={"type": "object"})
    world.submit(run_id=RUN, input={"order": 7})
    reported(world, claimed(world, "lines"), Complete(json.dumps(ITEMS), 1))
    expanded(world)
    [event] = [event for event in world.observer.load_events("flow", child(0)) if isinstance(event, RunSubmitted)]
    assert (event.has_input_schema, child_run(world, 0).priority) == (False, 0)


def test_the_messages_of_new_children_tell_what_their_workers_need(world: World) -> None:
    world.mailbox.wakes.clear()
    handed_out(world)
    assert [bool(wake.told) for wake in world.mailbox.wakes if wake.run_id == child(0)] == [True]


def test_a_child_is_stopped_for_no_step_of_its_own(world: World) -> None:
    handed_out(world, concurrency=2)
    taken(world, 0)
    failed(world, 1)
    stop = child_run(world, 0).stop
    assert stop is not None
    assert (stop.step, stop.error and stop.error.name) == (None, "ParentStopped")


def test_of_two_who_release_one_does(world: World) -> None:
    handed_out(world, concurrency=2)
    ledger, facts, before = FamilyLedger(world.backend.runtime.ledger.table), taken(world, 0).facts, pack_of(world)
    parent = world.backend.runtime.facts(run_of(world))
    assert facts.up is not None
    after = ledger.release(parent, before, before, [], passed=2)
    assert (after.arrived, after.seq) == (before.arrived + 2, before.seq + 1)
    assert pack_of(world).arrived == after.arrived
    with pytest.raises(BranchRefused):
        ledger.release(parent, before, before, [], passed=0)


def test_who_finds_all_done_by_an_earlier_attempt_collects_at_once(world: World) -> None:
    handed_out(world, ITEMS[:2])
    packed(world, 0, 1)
    reported(world, claimed(world, "pack", 2, branch="lines"), FATAL)
    assert run_of(world).status == "failed"
    world.backend.retry_run(RUN)
    assert (pack_of(world).status, pack_of(world).step) == ("scheduled", "pack")


def test_who_finds_its_only_child_done_by_an_earlier_attempt_collects_at_once(world: World) -> None:
    handed_out(world, ITEMS[:1])
    packed(world, 0)
    reported(world, claimed(world, "pack", 2, branch="lines"), FATAL)
    world.backend.retry_run(RUN)
    assert pack_of(world).status == "scheduled"


def test_a_failure_is_looked_at_at_once_however_many_are_out(world: World) -> None:
    handed_out(world, list(range(40)), concurrency=20, retry=ONCE)
    failed(world, 0)
    assert pack_of(world).status == "failed"


@pytest.mark.parametrize(("limit", "most"), [("MOST_CHILDREN", 6), ("LONGEST_CHILD_ID", 10)])
def test_as_many_and_as_long_as_may_be_are_made(
    world: World, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(f"cascade_flow.operations.expansion.{limit}", most)
    handed_out(world)
    assert len(there(world)) == len(ITEMS)


def test_the_longest_name_is_the_last_childs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade_flow.operations.expansion.LONGEST_CHILD_ID", 10)
    handed_out(world, list(range(11)))
    assert (run_of(world).status, there(world)) == ("failed", {})


def test_no_name_is_measured_that_no_child_has(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade_flow.operations.expansion.LONGEST_CHILD_ID", 10)
    handed_out(world, list(range(10)))
    assert len(there(world)) == 10


# -- what is collected -------------------------------------------------------------------------------------------------


def test_what_more_have_given_than_are_read_at_once_is_collected(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "READ_AT_ONCE", 2)
    handed_out(world, ITEMS[:5])
    packed(world, *range(5))
    assert json.loads(collected(world)) == [0, 1, 2, 3, 4]


def test_what_a_child_has_given_that_is_gone_is_told_as_lost(world: World) -> None:
    handed_out(world, ITEMS[:4])
    packed(world, 0, 1, 2, 3)
    for number in (1, 2):
        world.observer.runtime.ledger.table.delete(keys.run(child(number)))
    with pytest.raises(PayloadLostError, match=f"run '{child(1)}' is there no more"):
        collected(world)


def test_what_has_completed_is_in_order_however_it_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    handed_out(world, ITEMS[:3])
    packed(world, 0, 1, 2)
    facts, read = world.backend.runtime.facts(run_of(world)), FamilyLedger.children
    monkeypatch.setattr(FamilyLedger, "children", lambda *given: dict(reversed(read(*given).items())))
    assert json.loads(Collection(world.backend.runtime).completed(facts, pack_of(world))) == [0, 1, 2]


def test_of_a_batch_what_has_failed_has_given_nothing(world: World) -> None:
    handed_out(world, ITEMS[:4], batch=2, tolerate=0.5)
    reported(world, stored(world, taken(world, 0), 0), FATAL)
    reported(world, taken(world, 1), Complete('[{"n": 3}, "$failed"]', 1))
    facts = world.backend.runtime.facts(run_of(world))
    assert json.loads(Collection(world.backend.runtime).completed(facts, pack_of(world))) == [
        f"{child(0)}/0",
        {"n": 3},
        "$failed",
    ]


def test_what_the_items_of_a_batch_give_is_of_any_sort(world: World) -> None:
    handed_out(world, ITEMS[:4], batch=2)
    reported(world, taken(world, 0), Complete('[{"n": 1}, 5]', 1))
    reported(world, taken(world, 1), Complete('["$failed", null]', 1))
    facts = world.backend.runtime.facts(run_of(world))
    completed = Collection(world.backend.runtime).completed(facts, pack_of(world))
    assert json.loads(completed) == [{"n": 1}, 5, "$failed", None]


@pytest.mark.parametrize(("item", "chunk"), [("x" * 100_000, 1), ("x" * 28_000, 2)])
def test_large_items_lie_a_few_to_a_chunk_that_is_read_once(world: World, item: str, chunk: int) -> None:
    handed_out(world, [item] * 3)
    assert pack_of(world).family.chunk == chunk
    aside, facts = ItemsAside(world.backend.runtime), world.backend.runtime.facts(run_of(world))
    with patch.object(ItemsAside, "_read", autospec=True, side_effect=ItemsAside._read) as read:
        texts = aside.texts(facts, pack_of(world), range(3), batch=1)
    assert texts == {number: json.dumps(item) for number in range(3)}
    assert read.call_count == -(-3 // chunk)


def test_items_that_are_too_large_for_the_table_lie_in_the_bucket(world: World) -> None:
    world.bucket = BucketClient()
    world.backend = world.another()
    item = secrets.token_hex(OFFLOAD_BYTES)
    handed_out(world, [item] * 2)
    assert world.bucket.objects
    aside, facts = ItemsAside(world.another().runtime), world.backend.runtime.facts(run_of(world))
    assert aside.texts(facts, pack_of(world), range(2), batch=1) == dict.fromkeys(range(2), json.dumps(item))


def test_items_that_are_too_large_for_a_branch_lie_in_the_table_as_they_are(world: World) -> None:
    items = [secrets.token_hex(1_000) for _ in range(3)]
    handed_out(world, items)
    aside, facts = ItemsAside(world.another().runtime), world.backend.runtime.facts(run_of(world))
    assert aside.texts(facts, pack_of(world), range(3), batch=1) == {n: json.dumps(items[n]) for n in range(3)}


def test_items_are_stored_and_handed_on_letter_by_letter(world: World) -> None:
    handed_out(world, ["tëa", {"cüp": 1}])
    given = [Steps(world.backend.runtime).inputs(taken(world, number)).outputs["lines"] for number in range(2)]
    assert given == ['"tëa"', '{"cüp":1}']


def test_items_that_are_there_no_more_are_told_as_lost(world: World) -> None:
    handed_out(world)
    world.observer.runtime.ledger.table.delete(keys.chunk(RUN, "pack", 1, 0))
    aside, facts = ItemsAside(world.another().runtime), world.backend.runtime.facts(run_of(world))
    with pytest.raises(PayloadLostError, match="has lost the items that its step goes over"):
        aside.texts(facts, pack_of(world), range(1), batch=1)


def collected(world: World) -> str:
    runtime = world.backend.runtime
    return Collection(runtime).collect(runtime.facts(run_of(world)), pack_of(world))
