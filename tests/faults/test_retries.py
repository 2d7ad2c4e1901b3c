"""Runs that failed or were cancelled, and are tried again; also while the one who asked for it dies at any request."""

import json
from collections.abc import Callable

import pytest

from cascade_flow import (
    DynamoDBBackend,
    RunNotRetryableError,
    StepCompleted,
    WorkflowCompleted,
    WorkflowRetryStarted,
    clock,
)
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.operations.steps import Steps
from cascade_flow.operations.sweep import Sweep
from checker import Checked
from faults.moments import pausing
from shapes import NESTED, SHAPES, WIDE, Shape, diamond
from simulation import TIMING, TickingClock, World, step
from testbed.faults import Faults, Kind, Plan, at, cases, faults, nowhere
from testbed.servers import Server, fresh_table

RUN = "run"
Ending = Callable[[World], None]


def failing(world: World) -> None:
    """The run fails by its script, which is mended then."""
    world.settle(RUN)
    world.script = {}


def cancelled_after(messages: int) -> Ending:
    """The run is cancelled when so many messages have been worked on."""

    def cancelled(world: World) -> None:
        for _ in range(messages):
            if world.mailbox.wakes:
                world.deliver(world.mailbox.wakes.pop(0))
        world.backend.cancel_run(RUN, "wait a moment")
        world.check(RUN)

    return cancelled


CASES = [
    *((shape, failing) for shape in SHAPES if shape.status == "failed"),
    (Shape("fails with a parked sibling", diamond(), script={"b": ["fatal"]}), failing),
    (Shape("fails twice", diamond(), script={"b": ["fail"], "c": ["fatal"]}), failing),
    *((Shape("nested", NESTED), cancelled_after(n)) for n in range(4)),
    (WIDE, cancelled_after(8)),
]
NAMES = [f"{shape.name}, {number}" for number, (shape, _) in enumerate(CASES)]


def tried_again(server: Server, shape: Shape, ending: Ending, plan: Plan) -> tuple[Checked, Faults]:
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        world = World(store, dict(shape.script), clock=time, chained=False)
        world.register(shape.steps)
        world.submit(run_id=RUN, input={"order": 7})
        ending(world)
        before = world.check(RUN)
        assert before.status in ("failed", "cancelled")
        with faults(plan, store.client) as injected:
            world.reborn = injected.restart
            while before.status == world.check(RUN).status:
                world.outlive(lambda: world.backend.retry_run(RUN, "mended"))
            world.settle(RUN)
        return world.check(RUN), injected


@pytest.mark.parametrize(("shape", "ending"), CASES, ids=NAMES)
def test_a_run_that_is_tried_again_keeps_what_was_done_and_does_the_rest(
    server: Server, shape: Shape, ending: Ending
) -> None:
    checked, _ = tried_again(server, shape, ending, nowhere)
    assert checked.status == "completed"
    assert checked.count(StepCompleted) == len(shape.steps)
    assert checked.count(WorkflowRetryStarted) == 1
    assert checked.story.run.run_attempt == 2


@pytest.mark.parametrize(("shape", "ending"), CASES[1:5:3], ids=NAMES[1:5:3])
def test_a_retry_whose_author_dies_is_finished_by_the_sweep(server: Server, shape: Shape, ending: Ending) -> None:
    _, clean = tried_again(server, shape, ending, nowhere)
    for number, kind in cases(clean.log, [Kind.CRASH_BEFORE, Kind.CRASH_AFTER]):
        checked, _ = tried_again(server, shape, ending, at({number: kind}))
        assert checked.status == "completed", f"{kind} at {number}"


def completing_while(world: World, stop: Callable[[DynamoDBBackend], object]) -> None:
    """The run's one step, which is exported, completes between the intention to stop the run and its end."""
    worker = Steps(world.another(world.store.another_client()).runtime)
    held = worker.claim(world.mailbox.wakes.pop(), "worker-1")
    assert held is not None
    stop(pausing(world, "Query", lambda: worker.report(held, world.act(held, "worker-1"))))
    branch = world.observer.runtime.ledger.branch(RUN, held.branch.name)
    assert branch is not None
    assert branch.status == "parked"


def cancel(backend: DynamoDBBackend) -> None:
    backend.cancel_run(RUN, "wait a moment")


def time_out(backend: DynamoDBBackend) -> None:
    clock.pause_us(TIMING.timeout_us)
    Sweep(backend.runtime, name="reaper").attend(RUN, "")


@pytest.mark.parametrize("stop", [cancel, time_out])
@pytest.mark.parametrize("act", ["ok", "large", "skip"])
def test_a_run_that_is_over_but_for_its_end_keeps_its_output(
    server: Server, stop: Callable[[DynamoDBBackend], object], act: str
) -> None:
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        world = World(store, {"a": [act]}, clock=time)
        world.register([step("a", export_output=True)])
        world.submit(run_id=RUN, input={"order": 7})
        completing_while(world, stop)
        with pytest.raises(RunNotRetryableError, match="retry it"):
            world.backend.resume_run(RUN)
        world.backend.retry_run(RUN)
        world.settle(RUN)
        end = world.check(RUN).events[-1]
        assert isinstance(end, WorkflowCompleted)
        assert set(json.loads(end.output)) == (set() if act == "skip" else {"a"})
