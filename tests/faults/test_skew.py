"""Clocks that disagree by seconds: they may cost time, never order, exclusion or the end."""

import random

import pytest

from cascade_flow import clock
from cascade_flow.dynamodb.schema import create_table
from checker import check_run
from shapes import SHAPES, Shape
from simulation import TickingClock, World
from testbed.servers import Server, fresh_table

SKEW_US = 3_000_000


class SkewedClock(TickingClock):
    """Every reading is that of another machine: up to three seconds ahead or behind."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._dice = random.Random(seed)

    def now_us(self) -> int:
        return super().now_us() + self._dice.randint(-SKEW_US, SKEW_US)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_clocks_that_disagree_change_no_promise(server: Server, shape: Shape, seed: int) -> None:
    with fresh_table(server, create_table) as store, clock.use(SkewedClock(seed)) as time:
        world = World(store, shape.script, clock=time)
        world.register(shape.steps)
        run_id = world.submit(**shape.submission, input={"order": 7})
        world.settle(run_id)
        assert check_run(world.observer, run_id).status == shape.status
