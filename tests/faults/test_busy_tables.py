"""A table that is busy: what nobody has decided is sent again, as it was, and in the end the caller is told."""

from __future__ import annotations

import pytest

from cascade_flow import BackendUnavailableError, ConflictError, DynamoDBBackend, ThrottledError
from contract.outside import Outside, register, step, submit
from testbed.faults import Kind, faults, nowhere, only
from testbed.requests import SINGLE_WRITES, TRANSACTIONS
from testbed.servers import Store


@pytest.mark.parametrize("kind", [Kind.CONFLICT, Kind.THROTTLE])
def test_a_cancelled_transaction_is_sent_again(backend: DynamoDBBackend, dynamodb: Store, kind: Kind) -> None:
    register(backend, step("a"))
    with faults(only(TRANSACTIONS, lambda number, _: kind if number < 7 else None), dynamodb.client) as broken:
        run_id = submit(backend)
    assert len(broken.happened) > 1, "nothing was broken, or nothing was sent again"
    assert Outside(backend, run_id).take("a") == 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [(Kind.CONFLICT, ConflictError), (Kind.THROTTLE, ThrottledError), (Kind.ERROR_500, BackendUnavailableError)],
)
@pytest.mark.parametrize("operations", [TRANSACTIONS, SINGLE_WRITES], ids=["transactions", "single writes"])
def test_in_the_end_the_caller_is_told(
    backend: DynamoDBBackend, dynamodb: Store, kind: Kind, error: type[Exception], operations: set[str]
) -> None:
    run = Outside.at(backend, step("a"), step("b", "a"), step("c", "a"))
    run.take("a")
    before = run.events()
    with faults(only(operations, lambda number, _: kind), dynamodb.client), pytest.raises(error):
        run.complete("a") if operations is TRANSACTIONS else run.beat("a")
    with faults(nowhere, dynamodb.client):
        assert run.events() == before
        run.complete("a")
