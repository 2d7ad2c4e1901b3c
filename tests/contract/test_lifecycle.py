"""The table comes, answers, and is let go of."""

from __future__ import annotations

import logging

import pytest

from cascade_flow import DynamoDBBackend
from contract.outside import register
from testbed.servers import Store

pytestmark = pytest.mark.servers("all")


def test_initializing_twice_changes_nothing(backend: DynamoDBBackend) -> None:
    register(backend)
    backend.initialize()
    backend.initialize()
    assert [workflow.slug for workflow in backend.list_workflow_metadata()] == ["orders"]


def test_a_missing_table_is_created(dynamodb: Store) -> None:
    other = DynamoDBBackend(f"{dynamodb.table}-other", client=dynamodb.client)
    other.initialize()
    try:
        assert other.backend_ready()
    finally:
        dynamodb.client.delete_table(TableName=f"{dynamodb.table}-other")


def test_a_backend_says_whether_it_is_ready(
    backend: DynamoDBBackend, dynamodb: Store, caplog: pytest.LogCaptureFixture
) -> None:
    assert backend.backend_ready()
    with caplog.at_level(logging.WARNING):
        assert not DynamoDBBackend("nowhere", client=dynamodb.client).backend_ready()
    assert "deploy the template" in caplog.text


def test_closing_twice_is_well(dynamodb: Store) -> None:
    closed = DynamoDBBackend(dynamodb.table, client=dynamodb.another_client())
    closed.close()
    closed.close()
