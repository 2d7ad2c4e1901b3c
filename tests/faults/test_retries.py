"""Runs that failed or were cancelled, and are tried again; also while the one who asked for it dies at any request."""

from collections.abc import Callable

import pytest

from cascade_flow import StepCompleted, WorkflowRetryStarted, clock
from cascade_flow.dynamodb.schema import create_table
from checker import Checked, check_run
from shapes import NESTED, SHAPES, WIDE, Shape, diamond
from simulation import TickingClock, World
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
        check_run(world.observer, RUN)

    return cancelled


CASES = [
    *((shape, failing) for shape in SHAPES if shape.status == "failed"),
    (Shape("fails with a parked sibling", diamond(), script={"b": ["fatal"]}), failing),
    (Shape("fails twice", diamond(), script={"b": ["fail"], "c": ["fatal"]}), failing),
    *((Shape("nested", NESTED), cancelled_after(n)) for n in range(4)),
    *((Shape("diamond", diamond()), cancelled_after(n)) for n in range(3)),
    (WIDE, cancelled_after(8)),
]
NAMES = [f"{shape.name}, {number}" for number, (shape, _) in enumerate(CASES)]


def tried_again(server: Server, shape: Shape, ending: Ending, plan: Plan) -> tuple[Checked, Faults]:
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        world = World(store, dict(shape.script), clock=time, chained=False)
        world.register(shape.steps)
        world.submit(run_id=RUN, input={"order": 7})
        ending(world)
        before = check_run(world.observer, RUN)
        assert before.status in ("failed", "cancelled")
        with faults(plan, store.client) as injected:
            world.reborn = injected.restart
            while before.status == check_run(world.observer, RUN).status:
                world.outlive(lambda: world.backend.retry_run(RUN, "mended"))
            world.settle(RUN)
        return check_run(world.observer, RUN), injected


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
