"""The functions' fixtures: what CloudFormation would have made for them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import events
from cascade_flow import DynamoDBBackend
from cascade_flow.api import resources
from cascade_flow.dynamodb import schema
from cascade_flow.dynamodb.secret import seal_of
from cascade_flow.dynamodb.table import Table
from cascade_flow.engine.state import Timing
from cascade_flow.wake import SqsQueue
from events.deployed import Functions, app
from testbed.plugin import Servers
from testbed.servers import CreateTable, Store, fresh_table

WORKFLOWS = Path(__file__).parent / "workflows"
TIMING = Timing(lease_us=60_000_000, grace_us=30_000_000)


@pytest.fixture(scope="session")
def table_creator() -> CreateTable:
    return schema.create_table


@contextmanager
def surroundings() -> Iterator[pytest.MonkeyPatch]:
    """The environment that CloudFormation gives the functions; a test may set more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(WORKFLOWS)
        patch.setenv("CASCADE_WORKFLOWS", "parcels")
        patch.setenv("CASCADE_WORKER_MEMORY_MB", "512")
        patch.setenv("POWERTOOLS_LOG_LEVEL", "INFO")
        _forget()
        yield patch
    _forget()
    app("worker").worker.cache_clear()


def _forget() -> None:
    resources.settings.cache_clear()
    resources.telemetry.cache_clear()


@contextmanager
def deployed(store: Store) -> Iterator[Functions]:
    """The functions around this table and a queue of their own."""
    sqs = store.server.sqs()
    queue_url = sqs.create_queue(QueueName=f"test-{uuid.uuid4().hex[:12]}")["QueueUrl"]
    queue = SqsQueue(queue_url, client=sqs, seal=seal_of(Table(store.product, store.table)))
    observer = resources.telemetry()
    resources.settings.cache_clear()  # a test may set more
    backend = DynamoDBBackend(store.table, client=store.product, queue=queue, timing=TIMING, observer=observer)
    with resources.use(backend.runtime):
        yield Functions(backend, sqs, queue_url)
    sqs.delete_queue(QueueUrl=queue_url)


@pytest.fixture
def environment() -> Iterator[pytest.MonkeyPatch]:
    with surroundings() as patch:
        yield patch


@pytest.fixture
def bare(dynamodb: Store, environment: pytest.MonkeyPatch) -> Iterator[Functions]:
    """The functions before anything is registered."""
    with deployed(dynamodb) as functions:
        yield functions


@pytest.fixture
def functions(bare: Functions) -> Functions:
    """The functions, with the workflows registered."""
    app("registration").handler({}, events.Context())
    return bare


@pytest.fixture(scope="module")
def untouched(servers: Servers, table_creator: CreateTable) -> Iterator[Functions]:
    """The functions, for tests that leave nothing behind: one table for all of them."""
    with (
        surroundings(),
        fresh_table(servers.running("ministack"), table_creator) as store,
        deployed(store) as functions,
    ):
        app("registration").handler({}, events.Context())
        yield functions
        assert functions.backend.list_runs().total == 0
