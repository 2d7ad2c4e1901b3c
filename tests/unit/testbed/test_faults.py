"""Each fault does to the server and tells the caller exactly what it would outside, through whichever client."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.config import Config

from cascade_flow import clock
from testbed.faults import Crash, Kind, at, by_rate, cases, faults, nowhere, only
from testbed.meter import meter
from testbed.servers import Store
from testbed.wire import REFUSALS

pytestmark = pytest.mark.servers("ministack")

KEY = {"pk": {"S": "R#1"}, "sk": {"S": "B#"}}
ONCE = Config(retries={"total_max_attempts": 1})
THRICE = Config(retries={"total_max_attempts": 3, "mode": "standard"})
MAKERS: dict[str, Callable[[Store], Any]] = {
    "botocore's": lambda store: store.another_client(THRICE),
    "lean": lambda store: store.product,
}


@pytest.fixture(params=MAKERS)
def client(dynamodb: Store, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client that sends a request three times; the pauses between take no time."""
    with clock.use(clock.SteppingClock(1_795_370_280_000_000)):
        yield MAKERS[request.param](dynamodb)


def add(client: Any, store: Store) -> None:
    client.update_item(
        TableName=store.table,
        Key=KEY,
        UpdateExpression="ADD n :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


def added(store: Store) -> int:
    item = store.another_client().get_item(TableName=store.table, Key=KEY, ConsistentRead=True).get("Item", {})
    return int(item.get("n", {"N": "0"})["N"])


def code_of(refused: pytest.ExceptionInfo[Any]) -> str:
    return str(refused.value.response["Error"]["Code"])


@pytest.mark.servers("ministack", "ministack-http", "moto")
@pytest.mark.parametrize(("kind", "times"), [(Kind.CRASH_BEFORE, 0), (Kind.CRASH_AFTER, 1)])
def test_a_crash_ends_the_process_before_or_after_the_write(
    client: Any, dynamodb: Store, kind: Kind, times: int
) -> None:
    with faults(at({1: kind}), client), pytest.raises(Crash):
        add(client, dynamodb)
    assert added(dynamodb) == times


def test_the_dead_send_nothing_until_restarted(dynamodb: Store) -> None:
    heartbeat = dynamodb.another_client()
    with faults(at({1: Kind.CRASH_BEFORE}), dynamodb.client, heartbeat) as broken:
        with pytest.raises(Crash):
            add(dynamodb.client, dynamodb)
        with pytest.raises(Crash, match="dead"):
            add(heartbeat, dynamodb)
        broken.restart()
        add(heartbeat, dynamodb)
    assert added(dynamodb) == 1


@pytest.mark.servers("ministack", "ministack-http", "moto")
@pytest.mark.parametrize(
    ("kind", "times"), [(Kind.DROP_BEFORE, 1), (Kind.DROP_AFTER, 2), (Kind.THROTTLE, 1), (Kind.ERROR_500, 1)]
)
def test_a_client_tries_again_what_it_thinks_was_not_done(client: Any, dynamodb: Store, kind: Kind, times: int) -> None:
    with meter(client, dynamodb.table) as counted, faults(at({1: kind}), client) as broken:
        add(client, dynamodb)
    assert [passed.kind for passed in broken.log] == [kind, None]
    assert counted.write_requests == times
    assert added(dynamodb) == times


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (Kind.THROTTLE, "ProvisionedThroughputExceededException"),
        (Kind.ERROR_500, "InternalServerError"),
        (Kind.CONFLICT, "TransactionConflictException"),
    ],
)
def test_refusals_have_aws_names_and_change_nothing(client: Any, dynamodb: Store, kind: Kind, code: str) -> None:
    with faults(lambda number, operation: kind, client), pytest.raises(REFUSALS) as refused:
        add(client, dynamodb)
    assert code_of(refused) == code
    assert added(dynamodb) == 0


@pytest.mark.parametrize(("kind", "code"), [(Kind.CONFLICT, "TransactionConflict"), (Kind.THROTTLE, "ThrottlingError")])
def test_a_transaction_is_cancelled_and_no_sdk_tries_again(client: Any, dynamodb: Store, kind: Kind, code: str) -> None:
    puts: list[Any] = [
        {"Put": {"TableName": dynamodb.table, "Item": {"pk": {"S": "a"}, "sk": {"S": str(n)}}}} for n in range(2)
    ]
    with faults(at({1: kind}), client) as broken, pytest.raises(REFUSALS) as refused:
        client.transact_write_items(TransactItems=puts)
    assert code_of(refused) == "TransactionCanceledException"
    reasons: Any = refused.value.response
    assert [reason["Code"] for reason in reasons["CancellationReasons"]] == [code, "None"]
    assert len(broken.log) == 1


@pytest.mark.servers("ministack")
def test_queues_fail_too(dynamodb: Store) -> None:
    sqs = dynamodb.server.sqs(ONCE)
    with faults(at({1: Kind.THROTTLE}), sqs), pytest.raises(REFUSALS) as refused:
        sqs.create_queue(QueueName="hints")
    assert code_of(refused) == "ThrottlingException"


def test_a_clean_run_names_every_case(dynamodb: Store) -> None:
    with faults(nowhere, dynamodb.client) as clean:
        add(dynamodb.client, dynamodb)
        dynamodb.client.get_item(TableName=dynamodb.table, Key=KEY)
    kinds = [Kind.CRASH_AFTER, Kind.CONFLICT]
    assert cases(clean.log, kinds) == [(1, Kind.CRASH_AFTER), (1, Kind.CONFLICT), (2, Kind.CRASH_AFTER)]
    assert clean.happened == []


def test_rates_repeat_by_seed(dynamodb: Store) -> None:
    def history(seed: int) -> list[Kind | None]:
        plan = by_rate(seed, {Kind.THROTTLE: 0.2, Kind.DROP_AFTER: 0.2})
        return [plan(number, "UpdateItem") for number in range(1, 200)]

    assert history(1) == history(1) != history(2)
    assert 20 < sum(kind is Kind.THROTTLE for kind in history(1)) < 60


def test_a_plan_can_be_for_some_operations() -> None:
    plan = only({"GetItem"}, at({1: Kind.THROTTLE, 2: Kind.THROTTLE}))
    assert (plan(1, "PutItem"), plan(2, "GetItem")) == (None, Kind.THROTTLE)


def test_faults_end_with_the_block(dynamodb: Store) -> None:
    with faults(at({1: Kind.CRASH_BEFORE}), dynamodb.client), pytest.raises(Crash):
        add(dynamodb.client, dynamodb)
    add(dynamodb.client, dynamodb)
    assert added(dynamodb) == 1
