"""A world of its own for each test: workers go on along a branch only where the test says so, and few branches make
many.
"""

from collections.abc import Iterator

import pytest

from cascade_flow import clock
from cascade_flow.dynamodb.schema import create_table
from clauses.stage import AT_ONCE
from simulation import TickingClock, World
from testbed.servers import Server, fresh_table


@pytest.fixture
def world(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for place in (
        "engine.advance.BIRTHS_AT_ONCE",
        "operations.after_commit.BIRTHS_AT_ONCE",
        "engine.runs.ROOTS_AT_ONCE",
    ):
        monkeypatch.setattr(f"cascade_flow.{place}", AT_ONCE)
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        yield World(store, clock=time, chained=False)
