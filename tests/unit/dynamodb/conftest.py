"""A table of its own for each test: the server's whole, or one whose client notes what it is asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cascade_flow.dynamodb.schema import create_table
from cascade_flow.dynamodb.table import Table
from testbed.servers import MemoryServer, fresh_table
from unit.dynamodb.stored import Counting


@pytest.fixture
def table() -> Iterator[Table]:
    with fresh_table(MemoryServer(), create_table) as store:
        yield Table(store.client, store.table)


@pytest.fixture
def client() -> Counting:
    return Counting()
