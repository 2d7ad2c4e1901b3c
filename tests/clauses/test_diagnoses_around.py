"""What a diagnosis reads around a run: who is at work, which limits and children hold it up, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cascade_flow import (
    ChildrenDefinition,
    RunLimit,
    RunSubmission,
    StepLimit,
    WorkflowRegistration,
    clock,
)
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.pulse import get_signs
from cascade_flow.dynamodb.table import Delete, Update
from cascade_flow.engine.commands import Complete
from cascade_flow.engine.findings import Finding
from cascade_flow.operations import diagnoses
from cascade_flow.operations.diagnoses import Diagnoses, DiagnosisPart
from cascade_flow.operations.live_pieces import START_US
from cascade_flow.operations.pulse import Pulse
from cascade_flow.operations.steps import Slot, Steps
from cascade_flow.operations.worker_protocol import WorkerProtocol
from clauses.families import ITEMS, child, handed_out, mapped, taken
from clauses.stage import FATAL, RUN, asking, begun, claimed, dies, dying, reported, run_of
from contract.called import Called
from faults.moments import pausing
from shapes import undo
from simulation import TIMING, World, step

LATE_US = 2 * TIMING.grace_us


def told(world: World, run_id: str = RUN, *, by: Any = None, **room: Any) -> dict[str, Finding]:
    """What is said of a run, by code."""
    found, _ = Diagnoses((by or world.observer).runtime, **room).run(run_id)
    return {finding.code: finding for finding in found.findings}


def engine(world: World, run_id: str = RUN, **room: Any) -> list[str]:
    """What is said of the engine where a run is asked about."""
    return [finding.code for finding in Diagnoses(world.observer.runtime, **room).run(run_id)[1]]


def gone(world: World, *places: keys.Key) -> None:
    """These items are there no more."""
    world.backend.runtime.ledger.table.write([Delete(key) for key in places])


def requests(world: World, run_id: str = RUN) -> list[str]:
    """What a diagnosis of a run asks the table for."""
    by, sent = asking(world)
    Diagnoses(by.runtime, concurrency=1).run(run_id)
    return sent


# -- who is at work ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("beside", "later_us", "is_told"),
    [
        ([], 0, False),
        ([step("b", delay_ms=60_000)], 0, False),
        ([step("b")], 0, True),
        ([step("b", delay_ms=5_000)], 5_000_000, True),
        ([step("b", delay_ms=5_000)], 4_999_999, False),
    ],
)
def test_that_no_place_is_left_is_told_where_somebody_waits_for_one(
    world: World, beside: Sequence[Any], later_us: int, is_told: bool
) -> None:
    begun(world, step("a"), *beside)
    claimed(world, "a")
    known = world.observer.runtime.ledger.branch(RUN, "b")
    begin_us = clock.now_us() if known is None else (known.available_at_us or 0) - 5_000_000 * (later_us > 0)
    with clock.use(clock.SteppingClock(begin_us + later_us)):
        assert ("concurrency-used-up" in engine(world, concurrency=1)) == is_told


def test_who_waits_for_a_pool_is_told_how_many_steps_its_workers_run(world: World) -> None:
    world.register([step("a", executor="gpu"), step("b", executor="cpu"), step("c")])
    for run_id in ("one", "two", RUN):
        world.submit(run_id=run_id)
    world.clock.pause_us(LATE_US)
    for _ in range(2):
        assert WorkerProtocol(world.backend.runtime).claim_next("machine-1", slot=Slot(), pool="gpu") is not None
    claimed(world, "c", run_id="one")
    found = told(world, concurrency=2)
    assert {each.step_id: each.code for each in found.values()} == {
        "a": "pool-busy",
        "b": "no-worker-of-pool",
        "c": "wake-up-lost",
    }
    assert "those there run 2 steps already" in found["pool-busy"].sentence


@pytest.mark.parametrize(("later_us", "code"), [(-1, "concurrency-used-up"), (0, "wake-up-lost")])
def test_a_worker_has_a_place_until_its_lease_is_over(world: World, later_us: int, code: str) -> None:
    begun(world, step("a"), step("b"))
    lease_us = claimed(world, "a").branch.lease_us or 0
    with clock.use(clock.SteppingClock(lease_us + later_us)):
        found = Diagnoses(world.observer.runtime, concurrency=1).run(RUN)[0].findings
    assert code in {each.code for each in found if each.step_id == "b"}


@pytest.mark.parametrize(
    ("lost", "code"),
    [
        ((), "concurrency-used-up"),
        ((keys.run("other"),), "wake-up-lost"),
        ((keys.branch("other", "a"),), "wake-up-lost"),
    ],
    ids=["nothing", "run", "branch"],
)
def test_who_is_gone_meanwhile_takes_nobodys_place(world: World, lost: Sequence[keys.Key], code: str) -> None:
    world.register([step("a")])
    for run_id in ("other", RUN):
        world.submit(run_id=run_id)
    world.clock.pause_us(LATE_US)
    claimed(world, "a", run_id="other")
    late = pausing(world, "BatchGetItem", lambda: gone(world, *lost))
    assert [*told(world, by=late, concurrency=1)] == [code]


def test_a_step_of_a_version_that_is_gone_takes_its_place(world: World) -> None:
    world.register([step("a")])
    world.submit(run_id="other")
    claimed(world, "a", run_id="other")
    version = keys.version("flow", world.observer.runtime.run("other").version_id)
    world.register([step("a"), step("b")])
    world.submit(run_id=RUN)
    world.clock.pause_us(LATE_US)
    gone(world, version)
    assert {each.step_id for each in told(world, concurrency=1).values()} <= {"a", "b"}
    assert [*told(world, concurrency=1)] == ["concurrency-used-up"]
    assert [*told(world, "other")] == ["version-gone"]


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_step_says_that_it_waits_for_a_place(world: World) -> None:
    world.register([step("a", limit=StepLimit(name="stripe", at_most=1)), step("b")])
    for run_id in ("other", RUN):
        world.submit(run_id=run_id)
    assert {(each.code, each.step_id) for each in Diagnoses(world.observer.runtime).run(RUN)[0].findings} == {
        ("waits-for-place", "a"),
        ("queued", "b"),
    }
    assert told(world)["waits-for-place"].sentence == "`a` waits for a place of stripe (1 of 1 taken, 0 before it)"
    assert [*told(world, "other")] == ["queued"]


def test_a_later_step_of_a_branch_says_that_it_waits_for_a_place(world: World) -> None:
    world.register([step("a"), step("b", "a", limit=StepLimit(name="stripe", at_most=1))])
    for run_id in ("other", RUN):
        world.submit(run_id=run_id)
        reported(world, claimed(world, "a", run_id=run_id))
    assert [(each.code, each.step_id) for each in told(world).values()] == [("waits-for-place", "b")]


def test_a_run_says_that_it_waits_for_others_and_once_it_goes_on_what_its_steps_wait_for(world: World) -> None:
    one = StepLimit(name="stripe", at_most=1)
    world.register([step("a", limit=one), step("b", limit=one)], run_limit=RunLimit(at_most=1))
    for run_id in ("other", RUN):
        world.submit(run_id=run_id)
    assert [*told(world)] == ["waits-for-runs"]
    assert [*told(world, "other")] == ["waits-for-place", "queued"]


# -- children ----------------------------------------------------------------------------------------------------------


def test_an_item_that_is_over_holds_nobody_up_also_before_anybody_has_looked(world: World) -> None:
    handed_out(world, concurrency=3)
    first = taken(world, 0)
    dies(lambda: reported(world, first, by=dying(world, "TransactWriteItems", after=True)))
    assert world.observer.runtime.run(child(0)).status == "completed"
    assert f"1 of 6 are over; item 1 ({child(1)}): `pack`" in told(world)["waits-for-children"].sentence


def test_an_item_that_is_gone_holds_nobody_up(world: World) -> None:
    handed_out(world, concurrency=3)
    gone(world, keys.run(child(0)))
    assert f"item 1 ({child(1)}): `pack`" in told(world)["waits-for-children"].sentence


def test_an_item_waits_for_a_worker_as_any_other_step(world: World) -> None:
    handed_out(world, ["a", "b"], concurrency=2)
    world.clock.pause_us(TIMING.grace_us * 3 // 2)
    taken(world, 0)
    finding = told(world, concurrency=1)["waits-for-children"]
    assert f"item 1 ({child(1)}): `pack` has waited for a worker" in finding.sentence
    assert (finding.sentence.endswith("all 1 steps that may run at once do"), finding.severity) == (True, "late")


def test_an_item_waits_for_a_place_as_any_other_step(world: World) -> None:
    handed_out(world, ["a", "b"], concurrency=2, limit=StepLimit(name="stripe", at_most=1))
    taken(world, 0)
    finding = told(world)["waits-for-children"]
    assert f"item 1 ({child(1)}): `pack` waits for a place of stripe (1 of 1 taken" in finding.sentence


def test_items_are_looked_at_together_however_many_there_are(world: World) -> None:
    handed_out(world, concurrency=len(ITEMS))
    for number in range(len(ITEMS)):
        taken(world, number)
    assert requests(world).count("Query") == 1, "that of the run itself"


# -- what there is to read ---------------------------------------------------------------------------------------------


def test_of_a_run_that_its_caller_drives_nothing_is_read_but_itself(world: World) -> None:
    run = Called.with_step(world.backend)
    assert [(each.code, each.severity) for each in told(world, run.run_id).values()] == [("driven-by-caller", "waits")]
    assert requests(world, run.run_id) == ["GetItem", "GetItem"], "the run, and what the reaper has noted"


def test_of_a_run_that_nobody_can_read_nothing_is_shown(world: World) -> None:
    begun(world, step("a"))
    found, _ = Diagnoses(world.observer.runtime).run(RUN)
    assert (found.run_id, found.run) == (RUN, run_of(world))
    broken = Update(keys.branch(RUN, "a"), None, set={"sk2": 1, "e": b"\x00"})
    world.backend.runtime.ledger.table.write([broken])
    found, _ = Diagnoses(world.observer.runtime).run(RUN)
    assert (found.run_id, found.run, [each.code for each in found.findings]) == (RUN, None, ["unreadable"])


def test_a_run_of_a_workflow_that_nobody_knows_any_more_is_told_so(world: World) -> None:
    begun(world, step("a"))
    gone(world, keys.workflow("flow"))
    assert [*told(world)] == ["workflow-gone", "queued"]


def test_of_a_run_that_is_over_neither_its_branches_nor_the_engine_are_told(world: World) -> None:
    begun(world, step("a"))
    assert engine(world) == ["reaper-unknown"]
    reported(world, claimed(world, "a"))
    assert (engine(world), [*told(world)], "Query" in requests(world)) == ([], ["over"], False)


def test_no_more_children_are_looked_at_than_may_hold_the_step_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnoses, "_MOST_CHILDREN", 2)
    handed_out(world, concurrency=3)
    world.clock.pause_us(TIMING.grace_us * 3 // 2)
    for number in range(2):
        taken(world, number)
    assert told(world)["waits-for-children"].severity == "well"
    monkeypatch.setattr(diagnoses, "_MOST_CHILDREN", 3)
    assert told(world)["waits-for-children"].severity == "late"


def test_who_takes_up_a_step_is_at_work_until_its_lease_is_over(world: World) -> None:
    world.register([step("a")])
    for run_id in ("other", RUN):
        world.submit(run_id=run_id)
    long = claimed(world, "a", run_id="other")
    for _ in range(2):
        world.clock.pause_us(TIMING.lease_us // 2)
        long = Steps(world.backend.runtime).heartbeat(long)
    assert [*told(world, concurrency=1)] == ["concurrency-used-up"]


# -- pieces ------------------------------------------------------------------------------------------------------------


def undos_failed(world: World, *run_ids: str) -> list[str]:
    """The runs that have failed to undo these."""
    world.script = {"un-a": ["fatal"]}
    world.register([step("a", undo=undo("un-a")), step("b")])
    for run_id in run_ids:
        world.submit(run_id=run_id)
        reported(world, claimed(world, "a", run_id=run_id))
        reported(world, claimed(world, "b", run_id=run_id), FATAL)
    undoing = [str(world.observer.runtime.run(run_id).undone_by) for run_id in run_ids]
    world.settle(*undoing)
    return undoing


def test_the_first_piece_tells_of_some_that_have_failed_to_undo_others(world: World) -> None:
    undoing = undos_failed(world, "r1", "r2", "r3")
    diagnosed = Diagnoses(world.observer.runtime)
    first = diagnosed.part(limit=9)
    assert sorted(each.run_id for each in first.diagnoses) == sorted(undoing)
    assert (len(diagnosed.part(limit=2).diagnoses), first.more_us) == (2, None)
    assert diagnosed.part(limit=9, after_us=0) == DiagnosisPart([], first.engine, 0, None)


@pytest.mark.parametrize("after_us", [START_US, 0])
def test_each_piece_tells_how_the_engine_is_and_when_a_sweep_comes(world: World, after_us: int) -> None:
    world.register([step("a")])
    for run_id in ("well", RUN):
        world.submit(run_id=run_id)
    diagnosed = Diagnoses(world.observer.runtime, concurrency=1)
    assert [each.code for each in diagnosed.part(limit=9, after_us=after_us).engine] == ["reaper-unknown"]
    world.clock.pause_us(LATE_US)
    claimed(world, "a", run_id="well")
    part = diagnosed.part(limit=9, after_us=after_us)
    assert [each.code for each in part.engine] == ["reaper-unknown", "concurrency-used-up"]
    assert ([each.run_id for each in part.diagnoses], part.looked_at, part.more_us) == ([RUN], 2, None)
    Pulse().beat(world.backend.runtime, clock.now_us())
    part = Diagnoses(world.observer.runtime, concurrency=2).part(limit=9, after_us=after_us)
    assert (part.engine, "the sweep in 60 s" in part.diagnoses[0].findings[0].sentence) == ((), True)


def test_late_runs_and_those_that_have_failed_to_undo_others_are_each_told_as_far_as_was_asked(world: World) -> None:
    undoing = undos_failed(world, "r1", "r2", "r3")
    world.clock.pause_us(LATE_US)
    world.sweep()
    late = [world.submit(run_id=run_id) for run_id in ("l1", "l2", "l3")]
    world.clock.pause_us(LATE_US)
    part = Diagnoses(world.observer.runtime).part(limit=3)
    assert ({each.run_id for each in part.diagnoses}, part.looked_at) == ({*undoing, *late}, 6)


def test_what_has_failed_to_undo_another_and_is_tried_again_takes_no_others_room(world: World) -> None:
    _, middle, _ = undoing = undos_failed(world, "r1", "r2", "r3")
    world.backend.retry_run(middle)
    part = Diagnoses(world.observer.runtime).part(limit=2)
    assert {each.run_id for each in part.diagnoses} == {*undoing} - {middle}


def test_no_more_are_looked_at_for_having_failed_to_undo_others_than_so_many(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    undos_failed(world, "r1", "r2", "r3")
    noted = get_signs(world.observer.runtime.ledger.table).failed_undos
    monkeypatch.setattr(diagnoses, "_MOST_NOTED", 2)
    assert [each.run_id for each in Diagnoses(world.observer.runtime).part(limit=9).diagnoses] == noted[:2]


def test_a_run_that_moves_while_a_piece_is_read_is_told_where_it_lies_then(world: World) -> None:
    begun(world, step("a"))
    world.clock.pause_us(LATE_US)
    moving = pausing(world, "GetItem", world.sweep)
    part = Diagnoses(moving.runtime).part(limit=9)
    assert (part.diagnoses, part.looked_at) == ([], 0)
    assert Diagnoses(world.observer.runtime).part(limit=9).looked_at == 1


@pytest.mark.parametrize("is_there", [True, False])
def test_of_a_run_that_is_gone_or_cancelled_its_entries_tell_nothing(world: World, is_there: bool) -> None:
    begun(world, step("a"), step("b"))
    world.clock.pause_us(LATE_US)
    if is_there:
        world.backend.cancel_run(RUN)
    else:
        gone(world, keys.run(RUN))
    part = Diagnoses(world.observer.runtime).part(limit=9)
    assert (part.diagnoses, part.looked_at) == ([], 0)


def test_of_a_run_that_has_failed_no_branches_are_read(world: World) -> None:
    begun(world, step("a"), step("b"))
    reported(world, claimed(world, "a"), FATAL)
    assert ([*told(world)], "Query" in requests(world)) == (["over"], False)


def test_of_a_workflow_whose_version_is_gone_no_step_is_known_to_be_there(world: World) -> None:
    begun(world, step("a"))
    world.register([step("a"), step("b")])
    world.submit(run_id="new")
    gone(world, keys.version("flow", world.observer.runtime.run("new").version_id))
    assert [*told(world)] == ["workflow-gone", "queued"]


def test_a_pool_whose_worker_runs_one_step_is_busy(world: World) -> None:
    world.register([step("a", executor="gpu")])
    for run_id in ("one", RUN):
        world.submit(run_id=run_id)
    world.clock.pause_us(LATE_US)
    assert WorkerProtocol(world.backend.runtime).claim_next("machine-1", slot=Slot(), pool="gpu") is not None
    assert [*told(world)] == ["pool-busy"]


@pytest.mark.parametrize(
    ("bound", "code"), [("_MOST_CHILDREN", "concurrency-used-up"), ("_MOST_AT_WORK", "wake-up-lost")]
)
def test_who_is_at_work_is_counted_up_to_a_bound_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch, bound: str, code: str
) -> None:
    monkeypatch.setattr(diagnoses, bound, 0)
    begun(world, step("a"), step("b"))
    world.clock.pause_us(LATE_US)
    claimed(world, "a")
    assert code in told(world, concurrency=1)


def test_who_is_gone_meanwhile_takes_nobody_elses_place_away(world: World) -> None:
    world.register([step("a")])
    for run_id in ("other", "third", RUN):
        world.submit(run_id=run_id)
    world.clock.pause_us(LATE_US)
    for run_id in ("other", "third"):
        claimed(world, "a", run_id=run_id)
    late = pausing(world, "BatchGetItem", lambda: gone(world, keys.run("other")))
    assert [*told(world, by=late, concurrency=1)] == ["concurrency-used-up"]


def test_of_two_maps_each_is_looked_into(world: World) -> None:
    """The first is well, and the second waits for workers."""
    lines, pack, _ = mapped()
    begun(world, lines, pack, pack.model_copy(update={"id": "wrap", "name": "wrap"}))
    reported(world, claimed(world, "lines"), Complete("[1]", 1))
    for name, branch in (("pack", "lines"), ("wrap", "wrap")):
        expanding = claimed(world, name, branch=branch)
        reported(world, expanding, world.act(expanding, "worker-1"))
    world.clock.pause_us(TIMING.grace_us * 3 // 2)
    taken(world, 0)
    found, _ = Diagnoses(world.observer.runtime).run(RUN)
    assert {each.step_id: each.severity for each in found.findings} == {"pack": "well", "wrap": "late"}


def in_workflow(world: World, *inner: Any, **declared: Any) -> None:
    """A run whose step another workflow's run does."""
    world.backend.register_workflow(WorkflowRegistration(slug="inner", name="inner", steps=[*inner], **declared))
    begun(world, step("back", children=ChildrenDefinition(kind="workflow", workflow="inner")))
    expanding = claimed(world, "back")
    reported(world, expanding, world.act(expanding, "worker-1"))


def test_who_waits_below_a_run_below_is_told_that_no_place_is_left(world: World) -> None:
    world.register([step("charge")], slug="deep")
    in_workflow(world, step("deeper", children=ChildrenDefinition(kind="workflow", workflow="deep")))
    below = f"{RUN}~back~0"
    expanding = claimed(world, "deeper", run_id=below)
    reported(world, expanding, world.act(expanding, "worker-1"))
    world.register([step("a")], slug="beside")
    world.backend.submit_run(RunSubmission(workflow_slug="beside", run_id="busy"))
    world.clock.pause_us(TIMING.grace_us * 3 // 2)
    claimed(world, "a", run_id="busy")
    assert told(world, concurrency=1)["waits-for-children"].sentence.endswith("all 1 steps that may run at once do")
