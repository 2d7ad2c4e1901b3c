"""What a run has done that fails or is cancelled is undone: by one run, born with its end, the last first (§14.7)."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import pytest

from cascade_flow import (
    PayloadLostError,
    RetryTier,
    RunNotCancellableError,
    RunNotRetryableError,
    StepCompleted,
    StepDefinition,
    StepFailed,
    StepLimit,
    WorkflowStarted,
    clock,
)
from cascade_flow.dynamodb import keys, shards
from cascade_flow.dynamodb.codec import references_of
from cascade_flow.dynamodb.listing import START, Filter
from cascade_flow.dynamodb.pulse import get_signs
from cascade_flow.dynamodb.table import Delete
from cascade_flow.engine.state import Run
from cascade_flow.engine.undoing import Done
from cascade_flow.offload import Bucket
from cascade_flow.operations.batches import Batches, Bounds
from cascade_flow.operations.diagnoses import Diagnoses
from cascade_flow.operations.observer import Observer
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.steps import Steps
from cascade_flow.testing.memory.bucket_client import BucketClient
from checker import Checked
from clauses.stage import (
    FATAL,
    RUN,
    asking,
    begun,
    branch_of,
    claimed,
    dies,
    done,
    dying,
    ended,
    reported,
    run_of,
    silent,
)
from faults.moments import pausing, unanswered
from shapes import undo
from simulation import TIMING, World, step
from testbed.faults import Kind, refusal
from testbed.wire import Answer, Floor, Request, Send, wire_of

ONCE = [RetryTier(max_attempts=1)]
BOOKED = [step("a", undo=undo("un-a")), step("b", undo=undo("un-b")), step("c", "a", "b")]


def undone(id: str, *dependencies: str, **options: object) -> StepDefinition:
    """A step that is undone."""
    return step(id, *dependencies, undo=undo(f"un-{id}", **options))


def undo_run(world: World) -> Run:
    """The run that undoes the first one."""
    undone_by = run_of(world).undone_by
    assert undone_by is not None, "nothing undoes it"
    return world.observer.runtime.run(undone_by)


def failed(world: World, *steps: StepDefinition) -> None:
    """A run of these, all done but the last."""
    begun(world, *steps)
    done(world, *(each.id for each in steps[:-1]))
    reported(world, claimed(world, steps[-1].id), FATAL)


def all_undone(world: World, *, status: str = "completed") -> Checked:
    """What undid the run, when it has ended, as the run itself does."""
    run_id = undo_run(world).run_id
    world.settle(run_id)
    world.check(RUN)
    checked = world.check(run_id)
    assert checked.status == status
    return checked


def order_of(checked: Checked) -> list[str]:
    return [event.step_id for event in checked.events if isinstance(event, StepCompleted)]


def test_what_has_completed_is_undone_the_last_first(world: World) -> None:
    begun(world, *BOOKED)
    done(world, "b", "a")
    reported(world, claimed(world, "c"), FATAL)
    assert order_of(all_undone(world)) == ["un-a", "un-b"]
    assert not get_signs(world.observer.runtime.ledger.table).failed_undos, "it has not failed at it"


def test_along_a_branch_too_and_what_has_no_undo_is_passed_over(world: World) -> None:
    begun(world, undone("a"), step("b", "a"), undone("c", "b"), step("d", "c"))
    for name in ("a", "b", "c"):
        reported(world, claimed(world, name, branch="a"))
    reported(world, claimed(world, "d", branch="a"), FATAL)
    assert order_of(all_undone(world)) == ["un-c", "un-a"]


def test_a_run_that_is_cancelled_is_undone_at_once(world: World) -> None:
    begun(world, *BOOKED)
    done(world, "a")
    world.backend.cancel_run(RUN)
    assert (run_of(world).status, undo_run(world).status) == ("cancelled", "running")
    assert order_of(all_undone(world)) == ["un-a"]


def test_a_run_whose_time_is_over_is_undone(world: World) -> None:
    begun(world, *BOOKED, timeout=20_000_000)
    done(world, "a")
    world.clock.pause_us(21_000_000)
    world.sweep()
    assert run_of(world).status == "failed"
    all_undone(world)


@pytest.mark.parametrize("later_us", [0, 60_000_000])
def test_a_run_that_is_cancelled_before_it_has_done_anything_leaves_nothing_to_undo(
    world: World, later_us: int
) -> None:
    begun(world, *BOOKED, available_at=clock.now_us() + later_us)
    world.backend.cancel_run(RUN)
    assert (world.check(RUN).status, run_of(world).undone_by) == ("cancelled", None)
    world.backend.retry_run(RUN)
    ended(world)
    assert run_of(world).undone_by is None


def test_a_run_that_has_completed_is_not_undone(world: World) -> None:
    begun(world, *BOOKED)
    ended(world)
    assert run_of(world).undone_by is None


def test_who_finishes_while_the_run_fails_is_undone_too(world: World) -> None:
    begun(world, undone("a"), step("b"))
    late = claimed(world, "a")
    reported(world, claimed(world, "b"), FATAL)
    assert run_of(world).status == "running"
    reported(world, late)
    assert branch_of(world, "a").status == "parked"
    assert order_of(all_undone(world)) == ["un-a"]


def test_who_is_interrupted_is_not(world: World) -> None:
    begun(world, undone("a"), step("b"))
    claimed(world, "a")
    reported(world, claimed(world, "b"), FATAL)
    silent(world)
    world.sweep()
    assert (world.check(RUN).status, run_of(world).undone_by) == ("failed", None)


def test_a_stop_that_halts_one_by_one_is_followed_by_one_undo(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade_flow.operations.stops._HALTS_AT_ONCE", 0)
    begun(world, *BOOKED, *(step(f"s{number}") for number in range(5)))
    done(world, "b")
    world.backend.cancel_run(RUN)
    assert order_of(all_undone(world)) == ["un-b"]


# -- one transaction ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True])
def test_who_dies_at_a_runs_end_leaves_both_or_none(world: World, after: bool) -> None:
    begun(world, *BOOKED)
    done(world, "a")
    dies(lambda: dying(world, "TransactWriteItems", after=after).cancel_run(RUN))
    assert (run_of(world).status == "cancelled", run_of(world).undone_by is not None) == (after, after)
    world.settle(RUN)
    assert order_of(all_undone(world))[-1] == "un-a"


def test_of_two_who_end_a_run_one_has_it_undone(world: World) -> None:
    begun(world, *BOOKED)
    done(world, "a")
    late = pausing(world, "TransactWriteItems", lambda: world.backend.cancel_run(RUN))
    late.cancel_run(RUN)
    assert order_of(all_undone(world)) == ["un-a"]


def test_a_lost_answer_to_a_runs_end_makes_no_other_run(world: World) -> None:
    begun(world, *BOOKED)
    done(world, "a")
    unanswered(world, "TransactWriteItems", lambda: world.settle(undo_run(world).run_id)).cancel_run(RUN)
    assert order_of(all_undone(world)) == ["un-a"]


def test_another_runs_id_is_not_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(world, *BOOKED)
    done(world, "a")
    world.submit(run_id="taken")
    ids = iter(["taken", "free"])
    monkeypatch.setattr("cascade_flow.operations.undoing.secrets", SimpleNamespace(token_hex=lambda _: next(ids)))
    world.backend.cancel_run(RUN)
    assert (undo_run(world).run_id, world.observer.runtime.run("taken").undoing) == ("free", None)
    world.check("taken")
    all_undone(world)


def test_who_undoes_is_woken_at_once(world: World) -> None:
    failed(world, *BOOKED)
    undone_by = undo_run(world).run_id
    assert [(wake.branch, wake.step) for wake in world.mailbox.wakes if wake.run_id == undone_by] == [("un-b", "un-b")]


def test_a_run_has_ended_where_it_is_left_to_the_sweep_to_begin_what_undoes_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Its first step is limited, and the table is too busy to say whether there is a place."""
    begun(world, undone("a", limit=StepLimit(name="bank", at_most=1).to_wire()), step("b", "a"))
    done(world, "a")
    client = world.store.another_client()

    def busy(request: Request, send: Send) -> Answer:
        return refusal(Kind.THROTTLE, request) if "LIM#bank" in str(request.body) else send(request)

    wire_of(client).add(busy, floor=Floor.FAULT)
    world.another(client).cancel_run(RUN)
    assert (run_of(world).status, undo_run(world).status) == ("cancelled", "running")
    assert "to begin it is left to the sweep" in caplog.text
    assert order_of(all_undone(world)) == ["un-a"]


@pytest.mark.parametrize("in_bucket", [False, True], ids=["in the table", "in the bucket"])
def test_it_is_given_the_runs_long_input_wherever_that_lies(
    world: World, monkeypatch: pytest.MonkeyPatch, in_bucket: bool
) -> None:
    """What lies in the bucket is as long there as the run itself is stored: nobody need ask for it."""
    world.bucket = BucketClient()
    world.backend, world.observer = world.another(), world.another()
    monkeypatch.setattr(Bucket, "renew", lambda *_: pytest.fail("an object is put again"))
    given = {"long": random.Random(1).randbytes(40_000 if in_bucket else 2_000).hex()}
    begun(world, *BOOKED, input=given)
    assert bool(world.bucket.objects) is in_bucket
    done(world, "a")
    world.backend.cancel_run(RUN)
    run_id = undo_run(world).run_id
    state = world.observer.get_run(run_id)
    assert state is not None
    assert json.loads(state.input or "") == given
    [place] = references_of(undo_run(world).tail[0]).values()
    copied = world.observer.runtime.ledger.table.get(keys.payload_at(run_id, place))
    assert (copied and copied[keys.EXPIRY]) == (None if in_bucket else run_of(world).expires_s)
    all_undone(world)


def test_nobody_need_wake_who_undoes(world: World) -> None:
    failed(world, *BOOKED)
    world.mailbox.wakes.clear()
    all_undone(world)


# -- for good -----------------------------------------------------------------------------------------------------


def test_what_is_undone_is_not_tried_again(world: World) -> None:
    failed(world, *BOOKED)
    with pytest.raises(RunNotRetryableError, match=undo_run(world).run_id):
        world.backend.retry_run(RUN)
    all_undone(world)
    with pytest.raises(RunNotRetryableError, match="for good") as refused:
        world.backend.retry_run(RUN)
    assert refused.value.facts == {"run_id": RUN, "status": "failed"}
    assert world.check(RUN).count(WorkflowStarted) == 1


def test_who_retries_while_the_run_ends_is_refused(world: World) -> None:
    """It has failed before with nothing to undo, and is being tried again."""
    begun(world, *BOOKED)
    world.backend.cancel_run(RUN)
    late = pausing(world, "TransactWriteItems", partial(_tried_again_in_vain, world))
    with pytest.raises(Exception, match="tried again by somebody else"):
        late.retry_run(RUN)
    all_undone(world)


def _tried_again_in_vain(world: World) -> None:
    world.backend.retry_run(RUN)
    done(world, "a")
    world.backend.cancel_run(RUN)


# -- a run of its own ---------------------------------------------------------------------------------------------


def test_it_is_cancelled_by_itself_and_bears_nothing(world: World) -> None:
    failed(world, *BOOKED)
    world.backend.cancel_run(undo_run(world).run_id)
    assert undo_run(world).undone_by is None
    all_undone(world, status="cancelled")
    assert not get_signs(world.observer.runtime.ledger.table).failed_undos, "who has cancelled it knows"


def test_a_list_says_of_each_run_what_undoes_it_and_what_it_undoes(world: World) -> None:
    failed(world, *BOOKED)
    undo_id = undo_run(world).run_id
    listed = Runs(world.backend.runtime).part(None, Filter(), limit=10).runs
    links = {run.run_id: (run.undoes, run.undone_by) for run in listed}
    assert links == {RUN: (None, undo_id), undo_id: (RUN, None)}


def test_its_failure_is_noted_and_it_is_tried_again_by_itself(world: World) -> None:
    world.script = {"un-b": ["fatal", "ok"]}
    failed(world, *BOOKED)
    table, run_id = world.observer.runtime.ledger.table, undo_run(world).run_id
    assert not get_signs(table).failed_undos
    all_undone(world, status="failed")
    assert (get_signs(table).failed_undos, undo_run(world).undone_by) == ([run_id], None)
    assert codes_of_late(world) == {run_id: ["undo-failed"]}
    assert told_of_the_run(world) == [("undo-failed", "stuck")]
    world.backend.retry_run(run_id)
    assert codes_of_late(world) == {}
    assert order_of(all_undone(world)) == ["un-b", "un-a"]


def codes_of_late(world: World) -> dict[str, list[str]]:
    """What a diagnosis finds that a person has to see to, by run."""
    late = Diagnoses(world.observer.runtime).part(limit=10).diagnoses
    return {diagnosis.run_id: [finding.code for finding in diagnosis.findings] for diagnosis in late}


def test_a_diagnosis_says_that_it_is_undone(world: World) -> None:
    failed(world, *BOOKED)
    all_undone(world)
    assert told_of_the_run(world) == [("undone", "well")]


def told_of_the_run(world: World) -> list[tuple[str, str]]:
    """What a diagnosis finds of the run that is undone."""
    diagnosis, _ = Diagnoses(world.observer.runtime).run(RUN)
    assert (diagnosis.run_id, diagnosis.run and diagnosis.run.run_id) == (RUN, RUN)
    return [(finding.code, finding.severity) for finding in diagnosis.findings]


def test_it_lasts_as_long_as_any_run_and_no_longer_than_what_it_undoes_is_stored(world: World) -> None:
    begun(world, *BOOKED, timeout=1_000_000)
    done(world, "a")
    world.backend.cancel_run(RUN)
    born = undo_run(world)
    assert born.deadline_us - born.created_us >= TIMING.timeout_us
    assert born.deadline_us - born.created_us < TIMING.timeout_us + 1_000_000
    assert born.expires_s == run_of(world).expires_s
    all_undone(world)


def test_at_the_end_of_what_is_stored_there_is_little_time(world: World) -> None:
    begun(world, *BOOKED)
    done(world, "a")
    expires_us = run_of(world).expires_s * 1_000_000
    world.clock.pause_us(expires_us - TIMING.retention_us // 180 - TIMING.timeout_us // 2 - clock.now_us())
    world.backend.cancel_run(RUN)
    assert expires_us - undo_run(world).deadline_us == TIMING.retention_us // 180
    all_undone(world)


def test_its_steps_are_tried_limited_and_carried_out_as_they_say(world: World) -> None:
    world.script = {"un-a": ["fail", "ok"]}
    by_who = StepLimit(name="bank", at_most=1, key="who")
    tier = [RetryTier(max_attempts=2, delay_ms=0, jitter=0)]
    steps = [undone("a", retry=tier, limit=by_who.to_wire()), undone("b", executor="gpu"), step("c", "a", "b")]
    begun(world, *steps, input={"who": "mila"})
    assert shards.pools(world.observer.runtime.ledger.table) == ("gpu",)
    world.pools.add("gpu")
    done(world, "a", "b")
    reported(world, claimed(world, "c"), FATAL)
    checked = all_undone(world)
    assert order_of(checked) == ["un-b", "un-a"]
    assert checked.count(StepFailed, "un-a") == 1
    assert checked.story.run.limit_keys == {"who": "mila"}


def test_it_undoes_what_the_step_has_given_wherever_that_lies(world: World) -> None:
    """In a commit, in the tail of a branch that was halted, put aside; its input is the run's, put aside too."""
    world.script = {"b": ["large"], "c": ["ok"]}
    begun(world, undone("b"), undone("c"), step("d", "c"), input={"long": "x" * 50_000, "who": "mila"})
    for name in ("b", "c"):
        held = claimed(world, name)
        reported(world, held, world.act(held, "worker-1"))
    world.backend.cancel_run(RUN)
    [in_tail, in_commit] = undo_run(world).undoing.done  # type: ignore[union-attr]
    assert (in_tail, in_commit.step) == (Done("c", None), "b")
    assert in_commit.commit_us is not None
    all_undone(world)  # the oracle compares what was given with what the steps had returned
    state = world.observer.get_run(undo_run(world).run_id)
    assert state is not None
    assert state.input == world.observer.get_run(RUN).input  # type: ignore[union-attr]


def test_it_undoes_what_rides_on_the_branch_of_an_earlier_step(world: World) -> None:
    begun(world, step("a"), undone("b", "a"), step("c", "b"))
    for name in ("a", "b"):
        held = claimed(world, name, branch="a")
        reported(world, held, world.act(held, "worker-1"))
    world.backend.cancel_run(RUN)
    assert undo_run(world).undoing.done == (Done("b", None),)  # type: ignore[union-attr]
    all_undone(world)


def test_an_undo_that_has_nothing_to_do_is_passed_over(world: World) -> None:
    world.script = {"un-b": ["skip"]}
    failed(world, *BOOKED)
    assert order_of(all_undone(world)) == ["un-a"]


def test_what_was_deployed_since_changes_nothing_of_what_is_undone(world: World) -> None:
    failed(world, *BOOKED)
    world.register([step("b")])
    held = claimed(world, "un-b", run_id=undo_run(world).run_id)
    assert Steps(world.backend.runtime).inputs(held).outputs == {"b": '"done"'}


def test_what_is_lost_is_told(world: World) -> None:
    failed(world, *BOOKED)
    [last, _] = undo_run(world).undoing.done  # type: ignore[union-attr]
    assert last.commit_us is not None
    world.observer.runtime.ledger.table.write([Delete(keys.commit(RUN, last.commit_us))])
    steps = Steps(world.backend.runtime)
    held = claimed(world, "un-b", run_id=undo_run(world).run_id)
    lost = f"run '{RUN}' no longer tells what its step 'b' has given, so 'un-b' can't undo it: undo it by hand, and "
    with pytest.raises(PayloadLostError, match=f"{lost}cancel run '{undo_run(world).run_id}'"):
        steps.inputs(held)


def test_many_are_cancelled_without_those_that_undo(world: World) -> None:
    failed(world, *BOOKED)
    bounds = Bounds(10, START, clock.now_us() + 10**9)
    batches = Batches(world.backend.runtime)
    spared = batches.cancel("flow", Filter(), None, bounds)
    assert [type(each.error) for each in spared.refused] == [RunNotCancellableError]
    assert batches.cancel("flow", Filter(tags=("undo",)), None, bounds).done == 1
    all_undone(world, status="cancelled")


def test_it_counts_as_no_run_of_the_workflow(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(Observer, "committed", lambda _, events: heard.extend(event.type for event in events))
    failed(world, *BOOKED)
    all_undone(world)
    assert (heard.count("RunSubmitted"), heard.count("WorkflowFailed"), "WorkflowCompleted" in heard) == (1, 1, False)
    assert heard.count("StepCompleted") == 4


def asked_to_cancel(world: World, run_id: str, *steps: StepDefinition) -> Counter[str]:
    """What cancelling a run of these steps asks of the table, when the first step is done."""
    world.register(steps)
    world.submit(run_id=run_id)
    held = claimed(world, "a", run_id=run_id)
    reported(world, held)
    by, asked = asking(world)
    by.cancel_run(run_id)
    world.check(run_id)
    return Counter(asked)


def test_it_costs_one_query_and_runs_without_undos_nothing(world: World) -> None:
    without = asked_to_cancel(world, "usual", *(each.model_copy(update={"undo": None}) for each in BOOKED))
    undone = asked_to_cancel(world, "undone", *BOOKED)
    assert undone - without == Counter(Query=1)
    assert without - undone == Counter()


# -- new runs out of old ones -------------------------------------------------------------------------------------


@pytest.mark.parametrize("go_on", ["resume", "rerun"])
def test_what_was_undone_is_done_anew_as_another_effect(world: World, go_on: str) -> None:
    failed(world, step("k"), *BOOKED)
    all_undone(world)
    new = _gone_on(world, go_on)
    run = world.observer.runtime.run(new)
    assert [run.first_run_of(name) for name in ("a", "b", "c", "k")] == [new, new, RUN, RUN]
    world.settle(new)
    checked = world.check(new)
    assert {mark[0] for mark in world.ran[-3:]} == {"a", "b", "c"}, "k is kept, what was undone is not"
    assert (checked.status, run.undone_by) == ("completed", None)


def _gone_on(world: World, how: str) -> str:
    if how == "resume":
        return world.backend.resume_run(RUN).run_id
    return world.backend.rerun_from(parent_run_id=RUN, from_step_id="c").run_id


def test_what_was_done_anew_stays_that_effect_in_a_run_that_goes_on_from_it(world: World) -> None:
    failed(world, step("k"), *BOOKED)
    all_undone(world)
    new = _gone_on(world, "resume")
    world.settle(new)
    last = world.backend.rerun_from(parent_run_id=new, from_step_id="a").run_id
    run = world.observer.runtime.run(last)
    assert [run.first_run_of(name) for name in ("a", "b", "c", "k")] == [new, new, RUN, RUN]


def test_what_is_kept_is_undone_by_the_new_run(world: World) -> None:
    begun(world, *BOOKED)
    ended(world)
    new = world.backend.rerun_from(parent_run_id=RUN, from_step_id="c").run_id
    world.script = {"c": ["fatal"]}
    world.settle(new)
    undone_by = world.observer.runtime.run(new).undone_by
    assert undone_by is not None
    world.settle(undone_by)
    assert set(order_of(world.check(undone_by))) == {"un-a", "un-b"}
    assert (world.check(new).status, run_of(world).undone_by) == ("failed", None)


@pytest.mark.parametrize(
    "go_on",
    [
        lambda world, id: world.backend.resume_run(id),
        lambda world, id: world.backend.rerun_from(parent_run_id=id, from_step_id="un-a"),
    ],
)
def test_nothing_goes_on_from_what_undoes(world: World, go_on: Callable[[World, str], object]) -> None:
    world.script = {"un-a": ["fatal"]}
    failed(world, *BOOKED)
    all_undone(world, status="failed")
    with pytest.raises(RunNotRetryableError, match="retry it where it has failed"):
        go_on(world, undo_run(world).run_id)


def test_a_run_that_undoes_another_is_counted_as_no_run_and_its_steps_are(world: World) -> None:
    failed(world, *BOOKED)
    all_undone(world)
    for _ in ("from the histories", "from what was kept of these"):
        found = world.backend.get_success_rate()
        assert (found.total_runs, found.failed_runs, found.successful_runs) == (1, 1, 0)
        assert found.successful_steps == 4
