"""What is read: every page, no effect without its cause, outputs where their step left them (protocol.md §3, §5)."""

from __future__ import annotations

import json
import secrets
from hashlib import sha256
from itertools import count, islice, pairwise
from typing import Any
from unittest.mock import Mock

import pytest

from cascade_flow import (
    CheckpointRef,
    ConflictError,
    EventInvalidError,
    LogEntry,
    ResourceSnapshot,
    RetryTier,
    RunNotFoundError,
    RunSubmitted,
    StepCheckpoint,
    StepCompleted,
    StepError,
    StepNotFoundError,
    StepReclaimed,
    StepScheduled,
    clock,
)
from cascade_flow.dynamodb import due, items, keys, listing
from cascade_flow.dynamodb.codec import inflate, references_of
from cascade_flow.dynamodb.ledger import Ledger
from cascade_flow.engine.commands import Complete, Fail, KeepCheckpoint
from cascade_flow.engine.state import LATEST_US
from cascade_flow.offload import Bucket
from cascade_flow.operations import history
from cascade_flow.operations.history import Histories
from cascade_flow.operations.history_copier import over_in
from cascade_flow.operations.logs import Logs
from cascade_flow.operations.outputs import exported, output_path
from cascade_flow.operations.payloads import OFFLOAD_BYTES
from cascade_flow.operations.steps import HeldAttempt, Slot, Steps
from cascade_flow.operations.worker_protocol import WorkerProtocol
from cascade_flow.testing.memory.bucket_client import BucketClient
from cascade_flow.wake import Wake
from clauses.stage import (
    AGAIN,
    DONE,
    FATAL,
    RUN,
    begun,
    branch_of,
    claimed,
    counting,
    dies,
    done,
    dying,
    ended,
    in_pages,
    item_of,
    reported,
    run_of,
    silent,
)
from contract.called import Called
from simulation import TIMING, World, step
from testbed.wire import Answer, Floor, Request, Send, wire_of

AT_ONCE = [RetryTier(max_attempts=9, delay_ms=0, jitter=0)]


def test_a_query_is_read_to_its_last_page(world: World) -> None:
    begun(world, *(step(f"s{number}") for number in range(5)))
    assert len(in_pages(world).runtime.ledger.branches(RUN)) == 5


def test_an_index_is_read_to_its_last_page(world: World) -> None:
    begun(world, *(step(f"s{number}") for number in range(5)))
    silent(world)
    assert world.sweep(in_pages(world))["wake-ups repeated"] == 5
    assert in_pages(world).list_runs().total == 1
    assert len(list(due.live(in_pages(world).runtime.ledger.table))) == 6


def test_what_a_batch_leaves_unread_is_asked_for_again(world: World) -> None:
    begun(world, *(step(f"s{number}") for number in range(5)))
    client = world.store.another_client()

    def two_at_most(request: Request, send: Send) -> Answer:
        if request.operation != "BatchGetItem":
            return send(request)
        [(table, wanted)] = request.body["RequestItems"].items()
        few, left = wanted["Keys"][:2], wanted["Keys"][2:]
        got: Any = send(request.with_body({"RequestItems": {table: {**wanted, "Keys": few}}}))
        unread = {table: {**wanted, "Keys": left}} if left else {}
        return request.answered(200, {**got.body, "UnprocessedKeys": unread})

    wire_of(client).add(two_at_most, floor=Floor.REWRITE)
    names = [f"s{number}" for number in range(5)]
    assert sorted(world.another(client).runtime.ledger.some_branches(RUN, names)) == names


def test_more_than_a_batch_holds_is_read(world: World) -> None:
    names = [f"s{number:03d}" for number in range(110)]
    begun(world, *map(step, names))
    assert sorted(world.backend.runtime.ledger.some_branches(RUN, names)) == names


@pytest.mark.parametrize("page", range(1, 12))
def test_an_effect_without_its_cause_is_read_again(world: World, page: int) -> None:
    """A commit lies where its first event was, and a reader may have passed that place."""
    begun(world, step("z"), step("y", "z"), step("a", "z", retry=AT_ONCE), step("r", retry=AT_ONCE))
    held = claimed(world, "z")
    reported(world, claimed(world, "r"), AGAIN)

    def others() -> None:
        reported(world, held)
        reported(world, claimed(world, "a"), AGAIN)

    story = Histories(in_pages(world, others, page=page).runtime).story(RUN)
    assert story is not None
    over_us = [event.timestamp_us for event in story.events if isinstance(event, StepCompleted)]
    effects = [e.timestamp_us for e in story.events if isinstance(e, StepScheduled) and e.step_id == "a"]
    assert not effects or min(effects) > over_us[0]


def output_of_a(world: World, held: HeldAttempt) -> object:
    text = Steps(world.backend.runtime).inputs(held).outputs["a"]
    return None if text is None else json.loads(text)


def test_a_retried_step_still_finds_what_it_depends_on(world: World) -> None:
    begun(world, step("a"), step("b", "a", retry=AT_ONCE))
    done(world, "a")
    for attempt in (1, 2, 3):
        held = claimed(world, "b", attempt, branch="a")
        assert output_of_a(world, held) == "done"
        reported(world, held, AGAIN)


def test_a_forked_step_that_is_retried_still_finds_what_it_depends_on(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "a", retry=AT_ONCE))
    done(world, "a")
    for attempt in (1, 2, 3):
        held = claimed(world, "c", attempt)
        assert output_of_a(world, held) == "done"
        reported(world, held, AGAIN)


def test_a_step_that_has_kept_a_part_of_its_work_still_finds_what_it_depends_on(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "a"))
    done(world, "a")
    reported(world, claimed(world, "b", branch="a"), KeepCheckpoint("part", 0, "1"))
    silent(world)
    world.sweep()
    assert output_of_a(world, claimed(world, "b", 2, branch="a")) == "done"


def test_a_step_finds_the_newest_of_its_chain(world: World) -> None:
    begun(world, step("a", retry=AT_ONCE), step("b", "a"), step("c", "b", retry=AT_ONCE))
    reported(world, claimed(world, "a"), AGAIN)
    reported(world, claimed(world, "a", 2))
    reported(world, claimed(world, "b", branch="a"), DONE)
    for attempt in (1, 2):
        held = claimed(world, "c", attempt, branch="a")
        assert Steps(world.backend.runtime).inputs(held).outputs == {"b": '"done"'}
        reported(world, held, AGAIN)


def test_two_chunks_of_one_microsecond_are_two(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    logs, now_us = Logs(world.backend.runtime), clock.now_us()
    for first, second in (("a", "b"), ("c", "d"), ("c", "e")):
        logs.store(run_of(world), "a", 1, [(now_us, "stdout", first), (now_us + 1, "stdout", second)])
    found = logs.lines(RUN, "a")
    assert sorted(line.message for line in found) == ["a", "b", "c", "c", "d", "e"]
    assert len({line.timestamp_us for line in found}) == 6


def test_a_chunk_that_is_stored_again_is_one(world: World) -> None:
    begun(world, step("a"))
    logs, now_us = Logs(world.backend.runtime), clock.now_us()
    for _ in range(2):
        logs.store(run_of(world), "a", 1, [(now_us, "stdout", "hello")])
    assert [line.message for line in logs.lines(RUN, "a")] == ["hello"]


@pytest.mark.parametrize("tries", [1, 2], ids=["its last one", "another follows"])
def test_what_a_zombie_writes_after_its_attempts_end_is_dropped(world: World, tries: int) -> None:
    begun(world, step("a", retry=[RetryTier(max_attempts=tries)]), step("b"))
    claimed(world, "a")
    logs = Logs(world.backend.runtime)
    logs.store(run_of(world), "a", 1, [(clock.now_us(), "stdout", "alive")])
    silent(world)
    world.sweep()
    logs.store(run_of(world), "a", 1, [(clock.now_us(), "stdout", "undead")])
    assert [line.message for line in logs.lines(RUN, "a")] == ["alive"]


def test_what_a_zombie_writes_after_its_last_attempt_has_failed_is_dropped(world: World) -> None:
    begun(world, step("a", retry=[RetryTier(max_attempts=1)]), step("b"))
    claimed(world, "a")
    silent(world)
    world.sweep()
    Logs(world.backend.runtime).store(run_of(world), "a", 1, [(clock.now_us(), "stdout", "undead")])
    assert [event for event in world.backend.load_events("flow", RUN) if isinstance(event, LogEntry)] == []


def test_an_attempts_end_drops_no_line_of_another_attempt_and_of_no_other_step(world: World) -> None:
    begun(world, step("a", retry=AT_ONCE), step("b"))
    logs = Logs(world.backend.runtime)
    for attempt in (1, 2):
        claimed(world, "a", attempt)
        silent(world)
        world.sweep()
    claimed(world, "a", 3)
    claimed(world, "b")
    for place in (("a", 1), ("a", 2), ("a", 3), ("b", 1)):
        logs.store(run_of(world), *place, [(clock.now_us(), "stdout", f"of {place}")])
    assert [line.message for line in logs.lines(RUN)] == ["of ('a', 3)", "of ('b', 1)"]


def test_lines_of_an_attempt_that_a_caller_has_given_up_are_kept_whenever_they_come(world: World) -> None:
    run = Called.with_step(world.backend)
    run.take("a")
    silent(world)
    assert len(world.backend.reclaim_stale_steps(TIMING.lease_us, "reaper")) == 1
    late: dict[str, Any] = {"step_id": "a", "attempt_number": 1, "stream": "stdout", "message": "late"}
    line = LogEntry(workflow_slug=run.slug, run_id=run.run_id, timestamp_us=clock.now_us(), **late)
    world.backend.save_step_logs(run.slug, run.run_id, "a", [line])
    assert [entry.message for entry in world.backend.load_step_logs(run.slug, run.run_id, "a") or ()] == ["late"]


@pytest.mark.parametrize("wanted", [{"category": "workflow"}, {"types": ["StepStarted"]}], ids=str)
def test_who_asks_for_no_lines_reads_none(world: World, wanted: dict[str, Any]) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    asked = []
    for each in (wanted, {}):
        late, sizes = counting(world)
        late.load_events("flow", RUN, **each)
        asked.append(len(sizes))
    assert asked[0] < asked[1]


def test_a_large_checkpoint_that_somebody_adds_is_put_aside(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    data = json.dumps(secrets.token_hex(1_000))
    told: dict[str, Any] = {"step_id": "a", "attempt_number": 1, "name": "part", "sequence_number": 0, "data": data}
    added = StepCheckpoint(workflow_slug="flow", run_id=RUN, timestamp_us=clock.now_us(), **told)
    world.backend.append_event("flow", RUN, added)
    history = world.observer.runtime.ledger.history(RUN)
    assert history is not None
    assert [references_of(record).keys() for record in history.records if record["type"] == added.type] == [{"data"}]
    assert [e.data for e in world.check(RUN).events if isinstance(e, StepCheckpoint)] == [data]


def test_there_is_no_story_of_what_is_not_there(world: World) -> None:
    assert Histories(world.backend.runtime).story("nowhere") is None


def test_an_output_in_the_bucket_comes_whole_and_its_path_is_its_attempts(world: World) -> None:
    world.bucket = BucketClient()
    world.backend = world.another()
    made = json.dumps(secrets.token_hex(OFFLOAD_BYTES))
    begun(world, step("a"), step("b"), step("c"))
    reported(world, claimed(world, "b"), Complete(json.dumps(secrets.token_hex(1_000)), 1))
    reported(world, claimed(world, "c"), Complete(json.dumps(secrets.token_hex(OFFLOAD_BYTES)), 1))
    reported(world, claimed(world, "a"), AGAIN)
    world.clock.pause_us(60_000_000)
    reported(world, claimed(world, "a", 2), Complete(made, 1))
    [completed] = world.backend.load_events("flow", RUN, step_id="a", types=["StepCompleted"])
    assert isinstance(completed, StepCompleted)
    assert completed.output == made
    path = world.backend.get_step_output_path("flow", RUN, "a", 2)
    assert made == inflate(world.bucket.objects["bucket", path.removeprefix("s3://bucket/")])
    for step_id, attempt in (("a", 1), ("b", 1)):
        with pytest.raises(StepNotFoundError):
            world.backend.get_step_output_path("flow", RUN, step_id, attempt)


def test_who_joins_what_is_gone_is_told_so(world: World) -> None:
    begun(world, step("a"), step("b"), step("j", "a", "b"))
    done(world, "a", "b")
    held = claimed(world, "j")
    world.observer.runtime.ledger.table.delete(keys.run(RUN))
    with pytest.raises(RunNotFoundError, match=RUN):
        Steps(world.backend.runtime).inputs(held)


def test_what_one_step_alone_has_given_is_read_from_no_history(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(world, step("a"), step("b", "a"))
    done(world, "a")
    held = claimed(world, "b", branch="a")
    monkeypatch.setattr(Ledger, "history", lambda *_: pytest.fail("it is read"))
    assert Steps(world.backend.runtime).inputs(held).outputs == {"a": '"done"'}


def test_lines_come_in_order_however_they_were_told(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    now_us = clock.now_us()
    place: dict[str, Any] = {
        "workflow_slug": "flow",
        "run_id": RUN,
        "step_id": "a",
        "attempt_number": 1,
        "stream": "stdout",
    }
    world.backend.append_event("flow", RUN, LogEntry(**place, timestamp_us=now_us, message="later"))
    logs = Logs(world.backend.runtime)
    logs.store(run_of(world), "a", 1, [(now_us - 1_000, "stdout", "sooner")])
    assert [line.message for line in logs.lines(RUN, "a")] == ["sooner", "later"]


def test_a_chunk_has_no_more_bytes_than_it_may(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade_flow.operations.logs._CHUNK_BYTES", 1_000)
    begun(world, step("a"))
    Logs(world.backend.runtime).store(run_of(world), "a", 1, [(us, "stdout", "é" * 400) for us in (1, 2)])
    assert len(list(world.observer.runtime.ledger.table.query(keys.logs(RUN)))) == 2


def test_what_has_expired_is_not_read(world: World) -> None:
    begun(world, step("a"))
    done(world, "a")
    world.clock.pause_us(TIMING.timeout_us + TIMING.retention_us + 86_400_000_000)
    assert world.backend.get_run(RUN) is None
    assert world.backend.list_runs().total == 0
    assert world.backend.runtime.ledger.branches(RUN) == {}
    assert world.backend.runtime.ledger.runs([RUN]) == []


def test_what_is_exported_comes_in_declared_order_and_is_never_left_out(world: World) -> None:
    begun(world, step("z", export_output=True), step("a", export_output=True), step("b", export_output=True))
    reported(world, claimed(world, "z"), Complete("1", 1))
    facts, runtime = claimed(world, "b").facts, world.observer.runtime
    assert [*exported(runtime, facts, {"a": '"x"', "b": None}).items()] == [("z", 1), ("a", "x")]
    with pytest.raises(KeyError, match="a"):
        exported(runtime, facts, {"b": None})


def test_a_run_gives_what_its_exported_steps_gave(world: World) -> None:
    begun(world, step("a", export_output=True), step("b"), step("c", export_output=True))
    done(world, "a", "b", "c")
    end = ended(world).events[-1]
    assert json.loads(getattr(end, "output", "")) == {"a": "done", "c": "done"}


@pytest.mark.parametrize("page", range(1, 5))
def test_what_moves_while_it_is_read_is_not_missed(world: World, page: int) -> None:
    """An event goes from its branch into the log: it may be seen twice, never missed."""
    begun(world, step("a", retry=AT_ONCE), step("b"))
    held = claimed(world, "a")
    story = Histories(in_pages(world, lambda: reported(world, held, AGAIN), page=page).runtime).story(RUN)
    assert story is not None
    scheduled = [e.attempt_number for e in story.events if isinstance(e, StepScheduled) and e.step_id == "a"]
    assert scheduled[0] == 1


def test_what_has_expired_is_not_counted(world: World) -> None:
    begun(world, step("a"))
    world.clock.pause_us(TIMING.timeout_us + TIMING.retention_us + 86_400_000_000)
    found = world.backend.list_runs(limit=1)
    assert (found.runs, found.total) == ([], 0)


def test_a_step_finds_what_rides_in_its_tail(world: World) -> None:
    begun(world, step("x"), step("a", "x", retry=AT_ONCE), step("b", "a", retry=AT_ONCE), step("y", "x"))
    done(world, "x")
    reported(world, claimed(world, "a", branch="x"))
    assert branch_of(world, "x").origin_us is None, "what b depends on is in the tail"
    held = claimed(world, "b", branch="x")
    assert Steps(world.backend.runtime).inputs(held).outputs == {"a": '"done"'}
    reported(world, held, AGAIN)
    assert Steps(world.backend.runtime).inputs(claimed(world, "b", 2, branch="x")).outputs == {"a": '"done"'}


def test_a_worker_elsewhere_is_given_a_large_checkpoint_that_lies_in_the_table(world: World) -> None:
    begun(world, step("a"))
    data = json.dumps(secrets.token_hex(2_000))
    reported(world, claimed(world, "a"), KeepCheckpoint("part", 0, data))
    silent(world)
    world.sweep()
    [handed] = WorkerProtocol(world.backend.runtime).given(claimed(world, "a", 2)).checkpoints
    assert handed.number.stored is not None
    assert handed.number.stored.data == data


def test_a_worker_elsewhere_is_given_its_own_checkpoints_alone(world: World) -> None:
    begun(world, step("a"), step("b"))
    reported(world, claimed(world, "a"), KeepCheckpoint("part", 0, "1"))
    outer = CheckpointRef(name="outer", sequence_number=3)
    reported(world, claimed(world, "b"), KeepCheckpoint("part", 0, error=StepError(message="no"), parent=outer))
    silent(world)
    world.sweep()
    [handed] = WorkerProtocol(world.backend.runtime).given(claimed(world, "b", 2)).checkpoints
    assert (handed.number.stored, handed.number.parent) == (None, outer)


def test_a_story_is_told_with_its_texts_also_those_in_the_bucket(world: World) -> None:
    world.bucket = BucketClient()
    world.backend = world.another()
    long, vast = (json.dumps(secrets.token_hex(size)) for size in (1_000, OFFLOAD_BYTES))
    begun(world, step("a"), step("b"), input=json.loads(vast), metadata={"note": json.loads(long)})
    reported(world, claimed(world, "a"), Complete(long, 1))
    story = Histories(world.backend.runtime).story(RUN)
    assert story is not None
    [submitted] = [event for event in story.events if isinstance(event, RunSubmitted)]
    assert (submitted.input, submitted.metadata) == (vast, {"note": json.loads(long)})
    assert [event.output for event in story.events if isinstance(event, StepCompleted)] == [long]


def test_a_run_that_moves_faster_than_it_is_read_is_told_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(world, step("a"))
    looks = Mock(return_value=False)
    monkeypatch.setattr(history, "has_causes", looks)
    with pytest.raises(ConflictError, match="run 'run' moves faster than it can be read") as conflict:
        Histories(world.observer.runtime).outline(RUN)
    assert (conflict.value.facts, looks.call_count) == ({"run_id": RUN}, 10)


def test_a_worker_elsewhere_is_given_the_address_of_a_checkpoint_in_the_bucket(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bucket = BucketClient()
    world.backend = world.another()
    begun(world, step("a"))
    reported(world, claimed(world, "a"), KeepCheckpoint("part", 0, json.dumps(secrets.token_hex(OFFLOAD_BYTES))))
    silent(world)
    world.sweep()
    monkeypatch.setattr(Bucket, "get", lambda *_: pytest.fail("it is read"))
    [handed] = WorkerProtocol(world.backend.runtime).given(claimed(world, "a", 2)).checkpoints
    assert str(handed.address).startswith("memory://")


def test_a_large_output_is_at_its_own_steps_and_attempts_address(world: World) -> None:
    world.bucket = BucketClient()
    world.backend = world.another()
    begun(world, step("a", retry=AT_ONCE), step("b"))
    reported(world, claimed(world, "a"), AGAIN)
    for name, attempt in (("a", 2), ("b", 1)):
        large = Complete(json.dumps(secrets.token_hex(OFFLOAD_BYTES)), 1)
        reported(world, claimed(world, name, attempt), large)
    places = [output_path(world.backend.runtime, "flow", RUN, name, attempt) for name, attempt in (("a", 2), ("b", 1))]
    assert {place.removeprefix("s3://bucket/") for place in places} == {key for _, key in world.bucket.objects}
    for name, attempt in (("a", 1), ("b", 2)):
        with pytest.raises(StepNotFoundError):
            output_path(world.backend.runtime, "flow", RUN, name, attempt)


def test_a_step_finds_what_its_branch_has_logged_last(world: World) -> None:
    begun(world, step("x"), step("y", "x"), step("c", "x"), step("d", "c"), step("e", "c"))
    done(world, "x", "c")
    held = claimed(world, "d", branch="c")
    assert Steps(world.backend.runtime).inputs(held).outputs == {"c": '"done"'}


def test_a_step_that_was_owed_finds_what_it_depends_on(world: World) -> None:
    heads = [f"b{number}" for number in range(6)]  # clauses.stage.AT_ONCE are put at once
    begun(world, step("a"), *(step(head, "a") for head in heads))
    done(world, "a")
    outputs = [output_of_a(world, claimed(world, head)) for head in heads[1:]]
    assert outputs == ["done"] * 5


def test_what_rides_leaves_room_for_a_claim_and_its_heartbeats_in_a_write_unit(world: World) -> None:
    steps = [f"s{number:02d}" for number in range(60)]
    begun(world, step(steps[0]), *(step(after, before) for before, after in pairwise(steps)))
    worker = Steps(world.backend.runtime)
    for number, name in enumerate(steps):
        held = worker.claim(Wake(RUN, steps[0], name, 1), "worker-1", slot=Slot(15, 16))
        assert held is not None
        held = worker.heartbeat(held, snapshot=ResourceSnapshot(memory_bytes=123_456_789, cpu_time_us=987_654_321))
        assert items.size_of(item_of(world, keys.branch(RUN, steps[0]))) <= items.ITEM_UNIT
        worker.report(held, Complete(f'"{sha256(name.encode()).hexdigest()[: number % 32]}"', 1))


@pytest.mark.parametrize("before", [[], ["r"]], ids=["its branch's first", "after a fork"])
def test_what_a_parked_step_gave_is_found_by_all_that_follow_when_its_run_is_tried_again(
    world: World, before: list[str]
) -> None:
    begun(world, step("x"), *map(step, before), step("a", *before), step("z", *before), step("b", "a"), step("c", "a"))
    done(world, *before)
    branch = (*before, "a")[0]
    held = claimed(world, "a", branch=branch)
    reported(world, claimed(world, "x"), FATAL)
    reported(world, held)
    assert branch_of(world, branch).status == "parked"
    world.backend.retry_run(RUN)
    assert output_of_a(world, claimed(world, "b", branch=branch)) == "done"
    assert output_of_a(world, claimed(world, "c")) == "done"


def test_what_a_parked_step_gave_is_found_by_the_next_of_its_branch_without_a_search(world: World) -> None:
    begun(world, step("x"), step("a"), step("b", "a"))
    held = claimed(world, "a")
    reported(world, claimed(world, "x"), FATAL)
    reported(world, held)
    assert (parked := branch_of(world, "a")).status == "parked"
    world.backend.retry_run(RUN)
    assert (branch_of(world, "a").step, branch_of(world, "a").origin_us) == ("b", parked.origin_us)
    assert output_of_a(world, claimed(world, "b", branch="a")) == "done"


def test_a_run_that_goes_on_from_another_finds_what_was_kept(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "a"), step("d", "a", "b"))
    done(world, "a")
    reported(world, claimed(world, "b", branch="a"), Complete('"of b"', 1))
    world.backend.cancel_run(RUN)
    other = world.backend.resume_run(RUN).run_id
    for branch, outputs in {"c": {"a": '"done"'}, "d": {"a": '"done"', "b": '"of b"'}}.items():
        held = claimed(world, branch, run_id=other)
        assert Steps(world.backend.runtime).inputs(held).outputs == outputs


def test_a_run_that_goes_on_finds_an_output_though_others_have_added_to_its_step(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit of the copy holds three events: what was added lies in another than the output."""
    monkeypatch.setattr("cascade_flow.operations.history_copier._EVENTS_A_COMMIT", 3)
    begun(world, step("a"), step("b", "a"))
    done(world, "a")
    for number in range(5):
        message: dict[str, Any] = {"step_id": "a", "attempt_number": 1, "stream": "stdout", "message": f"line {number}"}
        line = LogEntry(workflow_slug="flow", run_id=RUN, timestamp_us=clock.now_us(), **message)
        world.backend.append_event("flow", RUN, line)
    world.backend.cancel_run(RUN)
    other = world.backend.resume_run(RUN).run_id
    held = claimed(world, "b", run_id=other, branch="a")
    assert Steps(world.backend.runtime).inputs(held).outputs == {"a": '"done"'}


def test_who_makes_the_rest_of_a_run_that_goes_on_is_not_misled_by_what_was_done_in_it(world: World) -> None:
    begun(
        world,
        step("a"),
        *(step(name, "a") for name in "bc"),
        step("f", "c"),
        step("g", "c"),
        step("d", "a"),
        step("e", "a"),
    )
    done(world, "a")
    world.backend.cancel_run(RUN)
    dies(lambda: dying(world, "TransactWriteItems", at=2).resume_run(RUN))
    [other] = [run.run_id for run in world.backend.list_runs().runs if run.run_id != RUN]
    assert list(world.observer.runtime.ledger.branches(other)) == ["a", "c"]
    held = claimed(world, "c", run_id=other)
    reported(world, held)
    world.settle(other)
    assert world.check(other).status == "completed"


def lines_at(world: World, *times_us: int) -> list[int]:
    """The times at which lines of these times of a's first attempt are read; each says when it was written."""
    Logs(world.backend.runtime).store(run_of(world), "a", 1, [(us, "stdout", str(us)) for us in times_us])
    found = Logs(world.backend.runtime).lines(RUN, "a", 1)
    assert [line.message for line in found] == sorted((line.message for line in found), key=int)
    return [int(line.timestamp_us) for line in found]


def test_lines_of_one_microsecond_come_in_the_order_in_which_they_were_written(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    at_us = clock.now_us()
    written = [(at_us, "stderr", "z"), (at_us, "stdout", "y"), (at_us, "stderr", "x"), (at_us, "stdout", "a")]
    Logs(world.backend.runtime).store(run_of(world), "a", 1, written)
    found = Logs(world.backend.runtime).lines(RUN, "a", 1)
    assert [(line.stream, line.message) for line in found] == [(stream, message) for _, stream, message in written]


def test_lines_are_those_of_the_step_and_the_attempt_that_are_asked_for_wherever_they_lie(world: World) -> None:
    run = Called.new(world.backend)
    logs, places = Logs(world.backend.runtime), [("a", 1), ("a", 2), ("b", 1)]
    for step_id, attempt in places:
        said: dict[str, Any] = {"step_id": step_id, "attempt_number": attempt, "stream": "stdout", "message": "added"}
        line = LogEntry(workflow_slug=run.slug, run_id=run.run_id, timestamp_us=clock.now_us(), **said)
        world.backend.append_event(run.slug, run.run_id, line)
        stored = [(clock.now_us(), "stdout", "stored")]
        logs.store(world.observer.runtime.submitted(run.run_id), step_id, attempt, stored)
    for wanted in ((None, None), ("a", None), ("a", 2), ("b", 1), ("b", 2)):
        found = [(line.step_id, line.attempt_number, line.message) for line in logs.lines(run.run_id, *wanted)]
        there = [place for place in places if wanted[0] in (None, place[0]) and wanted[1] in (None, place[1])]
        assert found == [(*place, message) for place in there for message in ("added", "stored")]


def test_what_was_skipped_in_cascade_is_kept_with_what_began_the_skip() -> None:
    def record(kind: str, step_id: str, **more: Any) -> dict[str, Any]:
        return {"type": kind, "stepId": step_id, **more}

    records = [
        record("StepScheduled", "z"),
        record("StepCompleted", "a"),
        record("StepSkipped", "b"),
        record("StepSkipped", "c", cascadedFrom="b"),
        record("StepFailed", "y"),
    ]
    assert over_in(records) == {"a": None, "b": "b", "c": "b"}


def test_a_line_of_the_moment_at_which_an_attempt_is_taken_away_is_a_zombies(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    silent(world)
    world.sweep()
    [end_us] = [int(event.timestamp_us) for event in world.check(RUN).events if isinstance(event, StepReclaimed)]
    assert lines_at(world, end_us - 1, end_us, end_us + 1) == [end_us - 1]


TIMED_OUT = Fail(StepError(message="too long"), "timeout", 1)


@pytest.mark.parametrize(
    "said", [DONE, AGAIN, FATAL, TIMED_OUT], ids=["done", "failed", "failed for good", "timed out"]
)
def test_what_a_holder_has_written_is_its_own_whatever_its_clock_did(world: World, said: Any) -> None:
    begun(world, step("a", retry=AT_ONCE))
    reported(world, claimed(world, "a"), said)
    later_us = clock.now_us() + 60_000_000
    assert lines_at(world, later_us) == [later_us]


def test_lines_of_two_chunks_that_overlap_keep_their_times(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    assert lines_at(world, 10, 30) == [10, 30]
    assert lines_at(world, 20, 40) == [10, 20, 30, 40]


def test_a_line_at_the_time_of_an_event_is_moved_on(world: World) -> None:
    begun(world, step("a"))
    reported(world, claimed(world, "a"))
    [end_us] = [int(event.timestamp_us) for event in world.check(RUN).events if isinstance(event, StepCompleted)]
    taken = {event.timestamp_us for event in world.check(RUN).events}
    assert end_us + 1 not in taken or end_us + 2 not in taken
    free = [us for us in range(end_us, end_us + 9) if us not in taken]
    assert lines_at(world, end_us, end_us) == free[:2]


def test_a_line_may_have_any_time_that_a_key_can_hold(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    assert lines_at(world, 0, LATEST_US) == [0, LATEST_US]
    between: Any = (10.25, "stdout", "11")
    Logs(world.backend.runtime).store(run_of(world), "a", 1, [between])
    assert lines_at(world) == [0, 11, LATEST_US]
    for us in (-1, LATEST_US + 1):
        with pytest.raises(EventInvalidError):
            lines_at(world, us)


@pytest.mark.parametrize(("runs", "counted"), [(3, listing.Count(3, True)), (4, listing.Count(3, False))])
def test_as_many_are_counted_as_are_said_and_one_more_to_know_whether_that_is_all(
    world: World, monkeypatch: pytest.MonkeyPatch, runs: int, counted: listing.Count
) -> None:
    monkeypatch.setattr(listing, "MOST_COUNTED", 3)
    world.register([step("a")])
    place = keys.runs("flow", "run-0")
    beside = (run_id for run_id in (f"run-{number}" for number in count()) if keys.runs("flow", run_id) == place)
    for run_id in islice(beside, runs):
        world.submit(run_id=run_id)
    table = in_pages(world).runtime.ledger.table
    assert listing.count(table, [place], listing.Filter()) == counted
    of_status = listing.Filter(status=("running",))
    assert listing.count(table, [place], of_status) == counted
    assert listing.tally(table, [place], of_status) == listing.Tally({"running": counted.number}, counted[1])
