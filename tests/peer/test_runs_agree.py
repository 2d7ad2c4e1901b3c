"""The published peer accepts the events of real runs of every shape, and folds them to the states that we do."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from cascade_flow import (
    Checkpoint,
    CheckpointRef,
    ChildrenDefinition,
    DynamoDBBackend,
    Event,
    LogEntry,
    ResourceSnapshot,
    RetryTier,
    clock,
    dump_event,
)
from checker import check_run
from contract.outside import ERROR, FLOW, USAGE, Outside, register, step, submit
from peer import assert_peer_accepts, assert_peer_projects_as_we_do
from shapes import EVENTS, LIMITS, MANY_ROOTS, POISON, SHAPES, WAITS, WIDE, Shape
from simulation import TIMING, TickingClock, World
from testbed.servers import Store


def assert_peer_agrees(events: Sequence[Event]) -> None:
    """With this history, as JSON text on the wire."""
    wire = [json.loads(json.dumps(dump_event(event))) for event in events]
    assert_peer_accepts(wire)
    assert_peer_projects_as_we_do(wire, events[0].workflow_slug)


@pytest.mark.parametrize("shape", [*SHAPES, *EVENTS, LIMITS, WAITS, WIDE, MANY_ROOTS, POISON], ids=str)
def test_of_a_run_of_every_shape(dynamodb: Store, shape: Shape) -> None:
    world = World(dynamodb, shape.script)
    world.outside, world.sends_early = shape.outside, shape.sends_early
    with clock.use(world.clock):
        world.register(shape.steps, input_schema_json={"type": "object"})
        options = {"input": {"order": 7}, "tags": ["a"], "metadata": {"from": "peer"}, **shape.submission}
        run_id = world.submit(**options, idempotency_key="k", priority=3, timeout=3_000_000_000)
        assert_peer_agrees(world.observer.load_events("flow", run_id))
        world.settle(run_id)
        checked = check_run(world.observer, run_id)
        assert checked.status == shape.status
        assert_peer_agrees(checked.events)


def test_of_a_run_and_those_that_do_its_work(dynamodb: Store) -> None:
    """One of them fails, and with the run's retry is tried again, while others are born."""
    world = World(dynamodb, {"pack~0": ["fatal", "ok"]})
    over = ChildrenDefinition(kind="map", over="lines", concurrency=1)
    with clock.use(world.clock):
        world.register([step("lines"), step("pack", "lines", children=over, retry=[RetryTier(max_attempts=1)])])
        run_id = world.submit(run_id="run")
        world.settle(run_id)
        world.backend.retry_run(run_id, "mended")
        world.settle(run_id)
        family = [run_id, *(f"run~pack~{number}" for number in range(5))]
        assert [world.observer.runtime.run(each).run_attempt for each in family] == [2] * 6
        for each in family:
            assert_peer_agrees(world.observer.load_events("flow", each))


def test_at_every_moment_of_a_run(backend: DynamoDBBackend, time: TickingClock) -> None:
    """Every event that a worker can cause is in it, and each beginning of the history is a history."""
    run = Outside.at(backend, step("group/a"), step("b", "group/a", export_output=True), step("c"), priority=2)
    run.claim("group/a", slot_index=1, worker_concurrency=2)
    run.beat("group/a", resource_snapshot=ResourceSnapshot(memory_bytes=1_000, cpu_time_us=5))
    checkpoint(run, "group/a")
    log(run, "group/a", "hello")
    run.fail("group/a")
    time.pause_us(2_000_000)
    run.take("group/a")
    time.pause_us(TIMING.lease_us * 2)
    backend.reclaim_stale_steps(TIMING.lease_us, "reaper")
    run.complete("group/a", run.take("group/a"), {"rows": 3}, resource_usage=USAGE)
    run.skip("b", run.take("b"), metadata={"why": "empty"})
    run.fail("c", run.take("c"), terminal=True)
    events = run.events()
    for end in range(1, len(events) + 1):
        assert_peer_agrees(events[:end])


def test_of_a_cancelled_run(backend: DynamoDBBackend) -> None:
    register(backend)
    waiting = Outside(backend, submit(backend, available_at=clock.now_us() + 10**9))
    running = Outside.at(backend, step("a"), step("b"))
    running.take("a")
    for run in (waiting, running):
        backend.cancel_run(run.run_id, "not wanted")
        assert_peer_agrees(run.events())


def test_of_runs_that_go_on_from_others(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), step("b", "a"))
    run.do("a")
    run.fail("b", run.take("b"), terminal=True)
    resumed = backend.resume_run(run.run_id)
    rerun = backend.rerun_from(parent_run_id=run.run_id, from_step_id="a")
    backend.retry_run(run.run_id, "mended")
    run.do("b")
    for run_id in (run.run_id, resumed.run_id, rerun.run_id):
        assert_peer_agrees(backend.load_events(FLOW, run_id))


def checkpoint(run: Outside, step_id: str) -> None:
    parent = CheckpointRef(name="file", sequence_number=0)
    kept = Checkpoint(name="page", sequence_number=0, attempt_number=1, data="[1]", label="1", parent_checkpoint=parent)
    run.backend.save_step_checkpoint(FLOW, run.run_id, step_id, kept)
    run.backend.save_step_checkpoint_failed(
        FLOW, run.run_id, step_id, name="page", sequence_number=1, attempt_number=1, error=ERROR
    )


def log(run: Outside, step_id: str, message: str) -> None:
    line = LogEntry(
        timestamp_us=clock.now_us(),
        workflow_slug=FLOW,
        run_id=run.run_id,
        step_id=step_id,
        stream="stdout",
        message=message,
        attempt_number=1,
    )
    run.backend.save_step_logs(FLOW, run.run_id, step_id, [line])
