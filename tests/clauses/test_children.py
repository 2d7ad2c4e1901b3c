"""Children: runs that do a step's work (protocol.md §14)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import (
    ChildrenDefinition,
    InputInvalidError,
    StaleAttemptError,
    StepStarted,
    WorkflowRegistration,
    WrongPoolError,
    clock,
)
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.dynamodb.family_ledger import FamilyLedger
from cascade_flow.dynamodb.table import Table
from cascade_flow.engine.children import items_lost, tolerated
from cascade_flow.engine.commands import Complete
from cascade_flow.engine.state import Branch, Facts, Family
from cascade_flow.operations import collection
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.collection import Collection
from cascade_flow.operations.expansion import Expansion, _check, items_in
from cascade_flow.operations.steps import Slot, Steps
from cascade_flow.operations.undone import _given_in_part
from cascade_flow.operations.worker_protocol import WorkerProtocol
from cascade_flow.retry import attempts_allowed
from clauses.families import (
    AHEAD_US,
    ITEMS,
    child,
    child_run,
    expanded,
    failed,
    handed_out,
    look,
    mapped,
    pack_of,
    packed,
    results,
    revived,
    taken,
    there,
    whole,
)
from clauses.stage import RUN, begun, branch_of, claimed, dies, done, dying, reported, run_of, silent
from faults.moments import pausing
from simulation import TIMING, TickingClock, World, step


def test_a_map_of_three(world: World) -> None:
    handed_out(world, ["a", "b", "c"])
    packed(world, 2, 0, 1)
    assert pack_of(world).status == "scheduled"
    world.settle(RUN)
    assert results(world) == [0, 1, 2]
    assert world.ran == [("pack", 1), ("pack", 2), ("total", 1)]
    whole(world)


def test_each_child_is_given_its_item_and_its_parents_input(world: World) -> None:
    handed_out(world, {"x": 1, "y": 2})
    given = [Steps(world.backend.runtime).inputs(taken(world, number)) for number in range(2)]
    assert [each.input for each in given] == ['{"order":7}'] * 2
    assert [each.outputs for each in given] == [{"lines": '["x",1]'}, {"lines": '["y",2]'}]


def test_a_map_of_nothing_completes_at_once(world: World) -> None:
    handed_out(world, [])
    assert (branch_of(world, "lines").step, branch_of(world, "lines").status) == ("total", "scheduled")
    assert there(world) == {}
    world.settle(RUN)
    assert results(world) == []
    whole(world)


def test_a_map_over_what_was_skipped_has_nothing_to_do(world: World) -> None:
    over = ChildrenDefinition(kind="map", over="lines")
    world.script = {"lines": ["skip"]}
    begun(world, step("lines"), step("pack", "lines", children=over, skip_cascades=False, export_output=True))
    world.settle(RUN)
    assert results(world) == []
    whole(world)


def test_a_run_of_another_workflow_that_is_given_nothing_is_given_null(world: World) -> None:
    nested(world)
    done(world, "a")
    held = claimed(world, "refund", branch="a")
    command = Expansion(world.backend.runtime).command(held, None)
    reported(world, held, command)
    [event] = [e for e in world.observer.load_events("refunds", f"{RUN}~refund~0") if e.type == "RunSubmitted"]
    assert event.input == "null"


def test_what_is_no_list_fails_the_step(world: World) -> None:
    handed_out(world, 7)
    told = next(e for e in world.observer.load_events("flow", RUN) if e.type == "StepFailed")
    assert (told.terminal, told.error.name) == (True, "InputInvalidError")
    assert "'pack' goes over what 'lines' gave, which is no list but int" in told.error.message
    whole(world, "failed")


def test_no_more_than_so_many_are_out(world: World) -> None:
    handed_out(world, concurrency=2)
    assert there(world) == {0: "running", 1: "running"}
    packed(world, 1)
    assert there(world) == {0: "running", 1: "completed", 2: "running"}
    packed(world, 2)
    packed(world, 0)
    assert [number for number, status in there(world).items() if status == "running"] == [3, 4]
    world.settle(RUN)
    whole(world)


def test_a_failed_child_fails_its_parent_and_stops_the_others(world: World) -> None:
    handed_out(world, concurrency=3)
    failed(world, 1)
    assert there(world) == {0: "failed", 1: "failed", 2: "failed"}
    assert run_of(world).status == "failed"
    told = next(e for e in world.observer.load_events("flow", RUN) if e.type == "StepFailed")
    assert (told.step_id, told.error.name) == ("pack", "ItemsFailed")
    assert "item 1: ValueError" in told.error.message
    whole(world, "failed")


def test_as_many_may_fail_as_are_tolerated(world: World) -> None:
    handed_out(world, tolerate=0.34)
    failed(world, 1)
    failed(world, 4)
    packed(world, 0, 2, 3, 5)
    world.settle(RUN)
    assert run_of(world).status == "completed"
    found = results(world)
    assert [found[n] for n in (0, 2, 3, 5)] == [0, 2, 3, 5]
    assert [found[n]["$failed"]["run_id"] for n in (1, 4)] == [child(1), child(4)]
    assert found[4]["$failed"]["error"]["name"] == "ValueError"
    whole(world)


def test_one_more_than_is_tolerated_fails_the_step(world: World) -> None:
    handed_out(world, tolerate=0.2)
    failed(world, 1)
    assert run_of(world).status == "running"
    failed(world, 4)
    assert run_of(world).status == "failed"
    assert set(there(world).values()) == {"failed"}
    whole(world, "failed")


def test_a_cancelled_parent_cancels_its_children(world: World) -> None:
    handed_out(world, concurrency=3)
    packed(world, 0)
    held = taken(world, 1)
    world.backend.cancel_run(RUN, reason="enough")
    assert run_of(world).status == "cancelled"
    assert there(world) == {0: "completed", 1: "cancelled", 2: "cancelled", 3: "cancelled"}
    with pytest.raises(StaleAttemptError):
        reported(world, held)
    whole(world, "cancelled")


def test_an_item_that_was_over_but_for_its_runs_end_is_not_done_again(world: World) -> None:
    """Its step completes between the intention to stop its run and the halt: a retry has only its end to write."""
    handed_out(world, ["a", "b"], concurrency=1)
    held = taken(world, 0)
    stopping = pausing(world, "Query", lambda: reported(world, held, Complete('"packed"', 1)), at=5)
    stopping.cancel_run(RUN, "enough")
    assert there(world) == {0: "cancelled"}
    stopped = world.observer.runtime.ledger.branch(child(0), "pack")
    assert stopped is not None
    assert stopped.status == "parked"
    world.ran.clear()
    world.backend.retry_run(RUN, "go on")
    whole(world)
    assert [name for name, _ in world.ran] == ["pack", "pack", "total"], "the other item, what all gave, what follows"
    assert results(world)[0] == "packed"


def test_a_retry_revives_the_children_that_did_not_complete(world: World) -> None:
    handed_out(world, concurrency=3)
    packed(world, 0)
    failed(world, 1)
    assert run_of(world).status == "failed"
    world.backend.retry_run(RUN)
    revived(world)
    assert there(world) == {0: "completed", 1: "running", 2: "running", 3: "running"}
    packed(world, 1, attempt=2)
    packed(world, 2, 3)
    world.settle(RUN)
    assert results(world)[:4] == [0, 1, 2, 3]
    assert child_run(world, 1).run_attempt == 2
    whole(world)


def test_what_the_items_have_given_is_read_page_by_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    handed_out(world, ["a", "b", "c"], concurrency=3)
    packed(world, 0, 2)
    monkeypatch.setattr(collection, "READ_AT_ONCE", 1)
    facts = world.observer.runtime.facts(run_of(world))
    assert Collection(world.observer.runtime).completed(facts, branch_of(world, "lines")) == "[0,2]"
    assert _given_in_part(world.observer.runtime, RUN, "pack") == "[0,2]", "which is what an undo is given"


def test_what_the_items_have_given_comes_in_their_order_whatever_order_the_table_answers_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_out(world, ["a", "b", "c"], concurrency=3)
    packed(world, 0, 1, 2)
    read = Table.batch_get
    monkeypatch.setattr(Table, "batch_get", lambda table, wanted: read(table, wanted)[::-1])
    facts, pack = world.observer.runtime.facts(run_of(world)), pack_of(world)
    given = Collection(world.observer.runtime)
    assert (given.collect(facts, pack), given.completed(facts, pack)) == ("[0,1,2]", "[0,1,2]")
    assert [run.run_id for run, _ in given.outcomes(facts, pack, range(3))] == [child(0), child(1), child(2)]


def test_a_cancel_costs_a_step_that_waits_for_its_children_no_attempt(world: World) -> None:
    handed_out(world, ["a", "b"], concurrency=1)
    world.observer.cancel_run(RUN)
    world.backend.retry_run(RUN)
    assert (branch_of(world, "lines").status, branch_of(world, "lines").attempt) == ("waiting", 1)
    revived(world)
    whole(world)
    told = world.observer.load_events("flow", RUN, step_id="pack", types=["StepStarted"])
    assert [event.attempt_number for event in told if isinstance(event, StepStarted)] == [1, 2], "and who collects"


def test_the_parents_time_is_its_childrens(world: World) -> None:
    handed_out(world, concurrency=2)
    parent, one = run_of(world), child_run(world, 0)
    assert one is not None
    assert (one.deadline_us, one.expires_s) == (parent.deadline_us, parent.expires_s)
    world.clock.pause_us(parent.deadline_us - clock.now_us() + 1)
    world.sweep()
    world.sweep()
    assert (run_of(world).status, there(world)) == ("failed", {0: "failed", 1: "failed"})
    whole(world, "failed")


def test_a_child_is_born_under_way_though_the_clock_is_set_back(world: World) -> None:
    begun(world, *mapped(), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete(json.dumps(ITEMS), 1))
    held = claimed(world, "pack", branch="lines")
    with clock.use(TickingClock(clock.now_us(), tick_us=-1)):
        reported(world, held, world.act(held, "worker-1"))
    assert set(there(world).values()) == {"running"}


def test_who_puts_a_look_off_has_moved_the_step_and_puts_off_no_other(world: World) -> None:
    handed_out(world)
    seen, runtime = pack_of(world), world.backend.runtime
    facts, later = runtime.facts(runtime.run(RUN)), replace(seen, due_us=clock.now_us() + 100 * TIMING.lease_us)
    ledger = FamilyLedger(runtime.ledger.table)
    ledger.put_off(facts, seen, later)
    assert (pack_of(world).seq, pack_of(world).due_us) == (seen.seq + 1, later.due_us)
    with pytest.raises(BranchRefused):
        ledger.put_off(facts, seen, replace(later, due_us=1))


def test_nobody_polls_who_only_waits(world: World) -> None:
    handed_out(world, concurrency=2)
    world.clock.pause_us(TIMING.grace_us)
    for number in range(2):
        taken(world, number)
    world.sweep()
    assert pack_of(world).due_us == run_of(world).deadline_us


def test_a_rerun_keeps_a_map_that_is_complete(world: World) -> None:
    handed_out(world, ["a", "b"])
    packed(world, 0, 1)
    world.settle(RUN)
    again = world.backend.rerun_from(parent_run_id=RUN, from_step_id="total").run_id
    world.settle(again)
    assert world.observer.runtime.run(again).status == "completed"
    assert not any(kind == "pack" for kind, _ in world.ran[3:])


def test_a_resumed_run_does_a_map_again_that_is_not_complete(world: World) -> None:
    handed_out(world, ["a", "b"])
    packed(world, 0)
    failed(world, 1)
    again = world.backend.resume_run(RUN).run_id
    world.settle(again)
    assert world.observer.runtime.run(again).status == "completed"
    assert world.observer.runtime.run(f"{again}~pack~0").status == "completed"


def nested(world: World, *, input: Any = None) -> None:
    """A workflow that runs another one."""
    refunds = [step("pay"), step("tell", "pay", export_output=True)]
    world.backend.register_workflow(WorkflowRegistration(slug="refunds", name="Refunds", steps=refunds))
    runs = ChildrenDefinition(kind="workflow", workflow="refunds")
    begun(world, step("a"), step("refund", "a", children=runs), step("b", "refund", export_output=True), input=input)


def test_a_workflow_runs_another_and_receives_its_output(world: World) -> None:
    nested(world, input={"n": 1})
    world.settle(RUN)
    whole_of_other = world.observer.runtime.run(f"{RUN}~refund~0")
    assert (whole_of_other.workflow_slug, whole_of_other.status) == ("refunds", "completed")
    given = next(mark for mark in world.oracle.given if mark.step == "b")
    assert "tell" in json.loads(world.oracle.given[given]["refund"] or "")
    whole(world)


def test_a_step_that_runs_another_workflow_counts_and_so_do_the_steps_of_that(world: World) -> None:
    nested(world)
    world.settle(RUN)
    throughput = world.observer.get_throughput(workflow_slug="flow")
    assert (throughput.runs_completed, throughput.steps_completed) == (1, 3)
    own = world.observer.get_throughput(workflow_slug="refunds")
    assert (own.runs_completed, own.steps_completed) == (0, 2)


def test_what_another_workflow_takes_is_told_of_its_run(world: World) -> None:
    schema: dict[str, Any] = {"type": "object"}
    world.backend.register_workflow(
        WorkflowRegistration(slug="refunds", name="Refunds", steps=[step("pay")], input_schema_json=schema)
    )
    begun(world, step("refund", children=ChildrenDefinition(kind="workflow", workflow="refunds")), input={"n": 1})
    world.settle(RUN)
    submitted = next(e for e in world.observer.load_events("refunds", f"{RUN}~refund~0") if e.type == "RunSubmitted")
    assert submitted.has_input_schema


def test_a_workflow_fails_with_the_one_that_it_runs(world: World) -> None:
    world.script = {"tell": ["fatal"]}
    nested(world)
    world.settle(RUN)
    told = next(e for e in world.observer.load_events("flow", RUN) if e.type == "StepFailed")
    assert (told.step_id, told.error.name, told.error.message) == ("refund", "ValueError", "tell can't")
    whole(world, "failed")


def test_a_workflow_that_runs_itself_is_refused_where_it_is_deepest(world: World) -> None:
    begun(world, step("again", children=ChildrenDefinition(kind="workflow", workflow="flow")))
    world.settle(RUN)
    deepest = RUN + "~again~0" * 8
    assert world.observer.runtime.run(deepest).status == "failed"
    told = next(e for e in world.observer.load_events("flow", RUN) if e.type == "StepFailed")
    assert "9 deep" in told.error.message
    whole(world, "failed")


def test_children_are_no_runs_in_lists_and_reports_and_their_steps_count(world: World) -> None:
    handed_out(world, concurrency=2, tolerate=0.2)
    failed(world, 0)
    packed(world, 1, 2)
    held = taken(world, 3)
    backend = world.observer
    assert [run.run_id for run in backend.list_runs(workflow_slug="flow").runs] == [RUN]
    depth = backend.get_queue_depth(workflow_slug="flow")
    assert (depth.running_runs, depth.running_steps, depth.scheduled_steps) == (1, 1, 1)
    [worker] = backend.get_active_workers().workers
    assert [(each.run_id, each.step_id) for each in worker.active_steps] == [(child(3), "pack")]
    reported(world, held, Complete("3", 1))
    world.settle(RUN)
    throughput = backend.get_throughput(workflow_slug="flow")
    assert (throughput.runs_completed, throughput.runs_failed) == (1, 0)
    assert (throughput.steps_completed, throughput.steps_failed) == (2 + len(ITEMS) - 1, 1)
    assert backend.get_error_analysis(workflow_slug="flow", step_id="pack").total_failures == 1
    assert world.observer.runtime.run(child(3)).status == "completed"
    assert [event.type for event in backend.load_events("flow", child(3))][-1] == "WorkflowCompleted"
    whole(world)


def test_due_steps_are_the_childrens_and_no_worker_elsewhere_gets_their_parents(world: World) -> None:
    begun(world, *mapped(), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete('["a"]', 1))
    protocol = WorkerProtocol(world.backend.runtime)
    assert protocol.claim_next("machine", slot=Slot()) is None
    for pool in (None, "gpu"):
        with pytest.raises(WrongPoolError, match="claim the steps of its children") as refused:
            protocol.claim(RUN, "pack", "machine", slot=Slot(), pool=pool)
        assert refused.value.facts == {"step_id": "pack", "pool": None}
    expanded(world)
    held = protocol.claim_next("machine", slot=Slot())
    assert held is not None
    assert held.facts.run_id == child(0)
    given = protocol.given(held)
    assert (given.input.text, given.outputs["lines"].text) == ('{"order":7}', '"a"')
    reported(world, held)
    whole(world)


@pytest.mark.parametrize(
    ("limit", "most", "told"),
    [
        (
            "MOST_CHILDREN",
            4,
            "and may have 4: let each do more items (batch=2 or above)",
        ),
        (
            "LONGEST_CHILD_ID",
            9,
            "have ids of 10 characters, and 9 is the most: submit the run under a shorter",
        ),
        ("DEEPEST", 0, "would begin a run 1 deep, in run 'run', and 0 is the most"),
    ],
    ids=["too many", "too long", "too deep"],
)
def test_what_could_not_be_made_is_refused_with_the_cure(
    world: World, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, told: str
) -> None:
    monkeypatch.setattr(f"cascade_flow.operations.expansion.{limit}", most)
    handed_out(world)
    failure = next(event for event in world.observer.load_events("flow", RUN) if event.type == "StepFailed")
    assert failure.terminal
    assert told in failure.error.message
    assert there(world) == {}
    assert world.observer.runtime.ledger.table.get(keys.chunk(RUN, "pack", 1, 0)) is None, "nothing lies aside"
    whole(world, "failed")


def test_a_workflow_that_is_not_there_fails_the_step_that_runs_it(world: World) -> None:
    begun(world, step("refund", children=ChildrenDefinition(kind="workflow", workflow="refunds")))
    world.settle(RUN)
    failure = next(event for event in world.observer.load_events("flow", RUN) if event.type == "StepFailed")
    assert (failure.terminal, failure.error.name) == (True, "WorkflowNotFoundError")
    whole(world, "failed")


def test_what_another_workflow_does_not_take_is_not_submitted_to_it(world: World) -> None:
    schema: dict[str, Any] = {"type": "object", "required": ["n"]}
    world.backend.register_workflow(
        WorkflowRegistration(slug="refunds", name="Refunds", steps=[step("pay")], input_schema_json=schema)
    )
    begun(world, step("refund", children=ChildrenDefinition(kind="workflow", workflow="refunds")), input={"m": 1})
    world.settle(RUN)
    failure = next(event for event in world.observer.load_events("flow", RUN) if event.type == "StepFailed")
    assert (failure.terminal, failure.error.name) == (True, "InputInvalidError")
    assert world.observer.runtime.ledger.run(f"{RUN}~refund~0") is None


def test_all_that_another_workflow_does_not_take_is_told(world: World) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}, "m": {"type": "string"}}}
    registration = WorkflowRegistration(slug="refunds", name="Refunds", steps=[step("pay")], input_schema_json=schema)
    world.backend.register_workflow(registration)
    wrong = {"m": 1, "n": "x"}
    begun(world, step("refund", children=ChildrenDefinition(kind="workflow", workflow="refunds")), input=wrong)
    world.settle(RUN)
    failure = next(event for event in world.observer.load_events("flow", RUN) if event.type == "StepFailed")
    assert ("m: " in failure.error.message, "n: " in failure.error.message) == (True, True)


def test_a_workflow_that_is_retired_fails_the_step_that_runs_it(world: World) -> None:
    refunds = WorkflowRegistration(slug="refunds", name="Refunds", steps=[step("pay")])
    for deployed in ([refunds], []):
        world.backend.runtime.registry.deploy(deployed)
    begun(world, step("refund", children=ChildrenDefinition(kind="workflow", workflow="refunds")))
    world.settle(RUN)
    failure = next(event for event in world.observer.load_events("flow", RUN) if event.type == "StepFailed")
    assert (failure.terminal, failure.error.name) == (True, "WorkflowRetiredError")
    assert world.observer.runtime.ledger.run(f"{RUN}~refund~0") is None


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ('["a",1,null]', ["a", 1, None]),
        ('{"b":1,"a":{"x":2}}', [["b", 1], ["a", {"x": 2}]]),
        ("[]", []),
        ("{}", []),
        ("null", []),
        (None, []),
    ],
)
def test_a_map_goes_over_what_a_list_or_an_object_holds_in_its_order(given: str | None, found: list[Any]) -> None:
    assert items_in(given, "pack", "lines") == found


@pytest.mark.parametrize(
    ("given", "kind"),
    [('"text"', "str"), ('""', "str"), ("0", "int"), ("false", "bool"), ("7", "int"), ("1.5", "float")],
)
def test_what_is_neither_a_list_nor_an_object_is_refused(given: str, kind: str) -> None:
    with pytest.raises(InputInvalidError, match=f"goes over what 'lines' gave, which is no list but {kind}:"):
        items_in(given, "pack", "lines")


def test_a_family_is_as_its_step_declares_it(world: World) -> None:
    handed_out(world, ["a", "b", "c", "d", "e"], batch=2, concurrency=2)
    family = branch_of(world, "lines").family
    assert family is not None
    assert (family.items, family.children, family.attempt, family.at_once, family.version) == (5, 3, 1, 2, None)
    assert (family.made, there(world)) == (2, {0: "running", 1: "running"})


def test_runs_are_counted_and_not_items_where_there_are_too_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade_flow.operations.expansion.MOST_CHILDREN", 3)
    facts, branch = _expanding(world)
    most = ChildrenDefinition(kind="map", over="lines", batch=2)
    _check(facts, branch, 3, most)
    with pytest.raises(InputInvalidError, match=r"4 runs do its work, and may have 3: .* \(batch=3 or above\)"):
        _check(facts, branch, 4, most)


def _expanding(world: World) -> tuple[Facts, Branch]:
    begun(world, step("a"))
    held = claimed(world, "a")
    return held.facts, held.branch


def test_who_collects_has_all_the_tries_that_a_step_has(world: World) -> None:
    """It is no try of the step's that its children are over."""
    handed_out(world, ["a"])
    packed(world, 0)
    tries = attempts_allowed(step("lines").retry)
    for attempt in range(2, tries + 1):
        claimed(world, "pack", attempt, branch="lines")
        silent(world)
        world.sweep()
    whole(world)
    assert world.ran[-2:] == [("pack", tries + 1), ("total", 1)]


def test_what_a_step_tells_is_later_than_its_childrens_ends_whatever_the_clocks_say(world: World) -> None:
    handed_out(world, ["a"])
    held = taken(world, 0)
    world.clock.pause_us(AHEAD_US)
    dies(lambda: reported(world, held, Complete("0", 1), by=dying(world, "TransactWriteItems", after=True)))
    world.clock.pause_us(-AHEAD_US)
    assert look(world)
    assert pack_of(world).last_us > child_run(world, 0).last_us
    whole(world)


def test_a_parents_end_comes_after_its_childrens_whatever_the_clocks_say(world: World) -> None:
    handed_out(world, ["a"])
    world.clock.pause_us(AHEAD_US)
    dies(lambda: dying(world, "TransactWriteItems", after=True).cancel_run(RUN))
    world.clock.pause_us(-AHEAD_US)
    assert (there(world), run_of(world).status) == ({0: "cancelled"}, "running")
    AfterCommit(world.backend.runtime).stops.carry_on(RUN)
    whole(world, "cancelled")


def test_a_runs_end_comes_after_the_children_of_each_of_its_steps(world: World) -> None:
    more = [step("rows"), step("load", "rows", children=ChildrenDefinition(kind="map", over="rows"))]
    begun(world, *mapped(), *more)
    for id, over in (("pack", "lines"), ("load", "rows")):
        reported(world, claimed(world, over), Complete('["a"]', 1))
        held = claimed(world, id, branch=over)
        reported(world, held, world.act(held, "worker-1"))
    world.clock.pause_us(AHEAD_US)
    dies(lambda: dying(world, "TransactWriteItems", after=True).cancel_run(RUN))
    world.clock.pause_us(-AHEAD_US)
    AfterCommit(world.backend.runtime).stops.carry_on(RUN)
    whole(world, "cancelled")


def test_a_child_that_is_born_later_is_later_than_its_step_whatever_the_clocks_say(world: World) -> None:
    handed_out(world, concurrency=1)
    packed(world, 0)
    told_us = pack_of(world).last_us
    held = taken(world, 1)
    world.clock.pause_us(-AHEAD_US)
    reported(world, held)
    assert child_run(world, 2).created_us > told_us
    world.clock.pause_us(AHEAD_US)
    whole(world)


def test_a_maps_items_are_as_urgent_as_their_run_and_their_workflows_schema_is_not_theirs(world: World) -> None:
    world.register(mapped(), input_schema_json={"type": "object"})
    world.submit(run_id=RUN, input={})
    reported(world, claimed(world, "lines"), Complete('["a"]', 1))
    expanded(world)
    submitted = next(e for e in world.observer.load_events("flow", child(0)) if e.type == "RunSubmitted")
    assert (submitted.priority, submitted.has_input_schema) == (0, False)


def test_who_does_an_item_is_told_all_that_it_needs(world: World) -> None:
    handed_out(world, ["a"])
    [wake] = [wake for wake in world.mailbox.wakes if wake.run_id == child(0)]
    assert wake.told


def test_a_workflow_that_begins_again_tells_which_of_its_steps_do(world: World) -> None:
    world.script = {"tell": ["fatal", "ok"]}
    nested(world)
    world.settle(RUN)
    world.backend.retry_run(RUN)
    world.settle(RUN)
    events = world.observer.load_events("refunds", f"{RUN}~refund~0")
    assert [event.retried_steps for event in events if event.type == "WorkflowRetryStarted"] == [["tell"]]


def test_who_is_over_among_others_that_go_on_is_counted_once(world: World) -> None:
    handed_out(world, tolerate=0.34, concurrency=3)
    failed(world, 1)
    assert (pack_of(world).family.out, pack_of(world).family.lost) == (((0, 0), (2, 3)), 1)
    packed(world, 3)
    assert (pack_of(world).family.out, pack_of(world).family.lost) == (((0, 0), (2, 2), (4, 4)), 1)


def test_a_share_that_is_a_whole_number_of_items_is_that_number() -> None:
    family = Family(100, 100, 100, 1, 1, None)
    over = ChildrenDefinition(kind="map", over="lines", tolerate=0.29)
    assert (0.29 * 100 < 29, tolerated(family, over)) == (True, 29)


def test_a_batch_of_which_nothing_is_told_has_lost_all_of_its_items(world: World) -> None:
    handed_out(world, batch=4, concurrency=2)
    world.backend.cancel_run(RUN)
    family = Family(6, 2, 6, 1, 2, None)
    assert [items_lost(family, child_run(world, number), 4) for number in range(2)] == [4, 2]
