"""Clocks that disagree by seconds: they may cost time, never order, exclusion or the end."""

import pytest

from cascade_flow import clock
from cascade_flow.dynamodb.schema import create_table
from shapes import SHAPES, Shape
from simulation import SkewedClock, World
from testbed.servers import Server, fresh_table


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_clocks_that_disagree_change_no_promise(server: Server, shape: Shape, seed: int) -> None:
    with fresh_table(server, create_table) as store, clock.use(SkewedClock(seed)) as time:
        world = World(store, shape.script, clock=time)
        world.register(shape.steps)
        run_id = world.submit(**shape.submission, input={"order": 7})
        world.settle(run_id)
        assert world.check(run_id).status == shape.status
