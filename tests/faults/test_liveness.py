"""Without faults, or with a dead queue: a run waits for what its script calls for, and nobody looks without reason."""

import pytest

from cascade_flow import clock
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.testing.memory.queue_client import SEND
from faults.bounds import SWEEP_US
from faults.breaking import run_with
from shapes import IN_BUCKET, MANY_ROOTS, POISON, POOLS, QUEUED, SHAPES, WAITS, WIDE, Shape, chain
from simulation import TIMING, TickingClock, World
from testbed.faults import Kind, faults, nowhere, only
from testbed.servers import Server, fresh_table

DEAD_US = 600_000_000
"""How long the queue is dead: more than all pauses until the longest."""


@pytest.mark.parametrize("shape", [*SHAPES, POOLS, WAITS, POISON, QUEUED, IN_BUCKET, WIDE, MANY_ROOTS], ids=str)
def test_a_run_waits_for_nothing_but_what_its_script_calls_for(server: Server, shape: Shape) -> None:
    run_with(server, shape, nowhere).must_be_in_time()


@pytest.mark.parametrize("kind", [Kind.LOST, Kind.REFUSED, Kind.HALF])
def test_a_dead_queue_is_tried_ever_more_rarely(server: Server, kind: Kind) -> None:
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        world = World(store, clock=time, sweep_every_us=SWEEP_US)
        world.register(chain(1))
        with faults(only({SEND}, lambda *_: kind), *world.clients):
            run_id = world.submit()
            begun_us = clock.now_us()
            while clock.now_us() < begun_us + DEAD_US:
                time.pause_us(SWEEP_US)
                world.sweep()
        doubled = (TIMING.horizon_us // TIMING.grace_us).bit_length()
        rarely = DEAD_US // TIMING.horizon_us
        assert rarely <= world.swept["wake-ups repeated"] <= doubled + rarely
        assert world.swept["looked at"] == world.swept["wake-ups repeated"]
        revived_us = clock.now_us()
        world.settle(run_id)
        assert world.check(run_id).status == "completed"
        assert clock.now_us() - revived_us <= TIMING.horizon_us + SWEEP_US
