"""A world of its own for each test, whose workers go on along a branch only where the test says so."""

from collections.abc import Iterator

import pytest

from cascade_flow import clock
from cascade_flow.dynamodb.schema import create_table
from simulation import TickingClock, World
from testbed.servers import Server, fresh_table


@pytest.fixture
def world(server: Server) -> Iterator[World]:
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        yield World(store, clock=time, chained=False)
