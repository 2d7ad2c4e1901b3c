"""What every suite shares: the testbed's fixtures and options (see `testbed.plugin`), on tables as the product has it.

A test that takes `backend` ends with the checker: whatever run it stored is read again and held against the promises.
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from cascade_flow import DynamoDBBackend, clock
from cascade_flow.dynamodb import keys, schema
from checker import check_run
from simulation import TIMING, TickingClock
from testbed.servers import CreateTable, Store

pytest_plugins = ["testbed.plugin", "limits", "tally"]

# How long one example takes says nothing on a busy machine; how long a whole test may take: limits.py.
PATIENT = settings(settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("patient", PATIENT)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def table_creator() -> CreateTable:
    """The table as the product creates it."""
    return schema.create_table


@pytest.fixture
def time() -> Iterator[TickingClock]:
    """A clock that moves by itself a little, and otherwise when it is told to."""
    with clock.use(TickingClock()) as ticking:
        yield ticking


@pytest.fixture
def usual_shards() -> Iterator[None]:
    """A test chooses how many shards are written to; after it, they are as many as ever."""
    yield
    keys.choose_shards(None)


@pytest.fixture
def backend(dynamodb: Store, time: TickingClock) -> Iterator[DynamoDBBackend]:
    """A backend on a fresh table of the test's server; at the end every run that it stored is checked."""
    backend = DynamoDBBackend(dynamodb.table, client=dynamodb.product, timing=TIMING)
    yield backend
    for run_id in stored_runs(dynamodb):
        check_run(backend, run_id)


def stored_runs(store: Store) -> list[str]:
    """The ids of all runs in a table, read without the product."""
    pages = store.server.keeper.get_paginator("scan").paginate(TableName=store.table, ConsistentRead=True)
    found = [item for page in pages for item in page["Items"]]
    return [keys.run_of(item["pk"]["S"]) for item in found if item["sk"]["S"] == keys.RUN]
