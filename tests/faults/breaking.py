"""One run in a world of its own while requests break, up to its end and the check of all promises."""

from cascade_flow import clock
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.errors import ConflictError
from checker import check_run
from shapes import Shape
from simulation import TickingClock, World
from testbed.faults import Faults, Plan, faults
from testbed.servers import Server, fresh_table

RUN = "run"


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
