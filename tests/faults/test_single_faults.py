"""Every request of every shape, broken in every way that happens, one at a time: the run still reaches its end."""

import pytest

from cascade_flow import clock
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.errors import ConflictError
from checker import check_run
from shapes import MANY_ROOTS, POISON, SHAPES, WIDE, Shape
from simulation import TickingClock, World
from testbed.faults import Faults, Kind, Plan, at, cases, faults, nowhere
from testbed.requests import SINGLE_WRITES, TRANSACTIONS
from testbed.servers import Server, fresh_table

RUN = "run"
TRACES = (Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.DROP_AFTER, Kind.CONFLICT)


def run_with(server: Server, shape: Shape, plan: Plan) -> Faults:
    """Submit until a submission is answered, then let processes die and others come in their place, to the end."""
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        world = World(store, shape.script, clock=time)
        world.register(shape.steps)
        with faults(plan, store.client) as injected:
            world.reborn = injected.restart
            submit(world, shape)
            world.settle(RUN)
        checked = check_run(world.observer, RUN)
        assert checked.status == shape.status, injected.happened
    return injected


def submit(world: World, shape: Shape) -> None:
    """A client that tries again until it knows that the run is there."""
    for _ in range(3):
        error = world.outlive(lambda: world.submit(**shape.submission, run_id=RUN, input={"order": 7}))
        if error is None or isinstance(error, ConflictError):
            return


def telling(clean: Faults) -> list[tuple[int, Kind]]:
    """The faults that can leave a trace: deaths, lost answers and conflicts of writes, and a death before each read.

    The rest only makes botocore send a request again; every ninth of those must do, and the long test takes all.
    """
    writes = {passed.number for passed in clean.log if passed.operation in SINGLE_WRITES | TRANSACTIONS}
    found = cases(clean.log)
    deep = [(n, kind) for n, kind in found if kind is Kind.CRASH_BEFORE or (n in writes and kind in TRACES)]
    return deep + [case for case in found if case not in deep][::9]


@pytest.mark.parametrize("shape", [*SHAPES, POISON], ids=str)
def test_any_single_fault_is_survived(server: Server, shape: Shape) -> None:
    clean = run_with(server, shape, nowhere)
    for number, kind in telling(clean):
        run_with(server, shape, at({number: kind}))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [*SHAPES, POISON], ids=str)
def test_every_single_fault_is_survived(server: Server, shape: Shape) -> None:
    clean = run_with(server, shape, nowhere)
    for number, kind in cases(clean.log):
        run_with(server, shape, at({number: kind}))


@pytest.mark.parametrize("shape", [WIDE, MANY_ROOTS], ids=str)
def test_death_in_a_wide_run_is_survived(server: Server, shape: Shape) -> None:
    clean = run_with(server, shape, nowhere)
    for number, kind in cases(clean.log, TRACES)[::11]:
        run_with(server, shape, at({number: kind}))
