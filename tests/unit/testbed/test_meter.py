"""The meter counts what arrives, and agrees with the emulators that agree with AWS.

MiniStack is right about writes; dynoxide about reads too, but takes minutes to build (`pytest -m slow`).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings, strategies as some

from testbed.meter import Line, Meter, meter
from testbed.servers import Store
from testbed.wire import REFUSALS

pytestmark = pytest.mark.servers("ministack")

KEY = {"pk": {"S": "R#1"}, "sk": {"S": "B#"}}
QUEUED = {"q": {"S": "due#1"}, "due": {"N": "1700000000000001"}}
ANY_VALUE = some.one_of(
    some.text(max_size=30).map(lambda text: {"S": text}),
    some.integers(-(10**37), 10**37).map(lambda number: {"N": str(number)}),
    some.binary(max_size=30).map(lambda raw: {"B": raw}),
    some.booleans().map(lambda flag: {"BOOL": flag}),
    some.integers(1, 4).map(lambda kilobytes: {"S": "x" * 1000 * kilobytes}),
)
ANY_ITEM = some.fixed_dictionaries(
    {},
    optional={
        "q": some.sampled_from(["due#1", "due#2"]).map(lambda shard: {"S": shard}),
        "due": some.sampled_from(["5", "6.5"]).map(lambda when: {"N": when}),
        "rk": some.just({"S": "run"}),
        "created": some.just({"N": "1"}),
        "state": some.sampled_from(["running", "ended"]).map(lambda state: {"S": state}),
        "tail": ANY_VALUE,
        "more": some.recursive(
            ANY_VALUE, lambda inner: some.lists(inner, max_size=3).map(lambda parts: {"L": parts}), max_leaves=5
        ),
    },
)


def key(number: int) -> dict[str, Any]:
    return {"pk": {"S": "R#1"}, "sk": {"S": f"B#{number}"}}


def put(store: Store, item: dict[str, Any]) -> float:
    answer = store.client.put_item(TableName=store.table, Item=item, ReturnConsumedCapacity="INDEXES")
    return answer["ConsumedCapacity"]["CapacityUnits"]


def transact(store: Store, *actions: dict[str, Any]) -> float:
    entries: Any = [{kind: {"TableName": store.table, **action} for kind, action in entry.items()} for entry in actions]
    answer = store.client.transact_write_items(TransactItems=entries, ReturnConsumedCapacity="INDEXES")
    return answer["ConsumedCapacity"][0]["CapacityUnits"]


def action(verb: str, number: int, item: dict[str, Any]) -> Any:
    match verb:
        case "Put":
            return {"Item": key(number) | item}
        case "Update":
            return {"Key": key(number)} | leaving_just(item)
        case "ConditionCheck":
            return {"Key": key(number), "ConditionExpression": "attribute_not_exists(never)"}
    return {"Key": key(number)}


def leaving_just(item: dict[str, Any]) -> dict[str, Any]:
    """An update that sets these attributes and removes all others that tests use."""
    others = [name for name in ("q", "due", "rk", "created", "state", "tail", "more") if name not in item]
    clauses = {"SET": [f"#{name} = :{name}" for name in item], "REMOVE": [f"#{name}" for name in others]}
    request: dict[str, Any] = {
        "UpdateExpression": " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts),
        "ExpressionAttributeNames": {f"#{name}": name for name in [*item, *others]},
    }
    return request | ({"ExpressionAttributeValues": {f":{name}": item[name] for name in item}} if item else {})


ANY_VERB = some.sampled_from(["Put", "Update", "Delete"])
ANY_ACTION = some.sampled_from(["Put", "Update", "Delete", "ConditionCheck"])


@pytest.mark.servers("ministack", "dynoxide")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.lists(some.tuples(ANY_VERB, some.integers(0, 2), ANY_ITEM), max_size=6))
def test_single_writes_cost_what_the_emulator_says(dynamodb: Store, changes: list[Any]) -> None:
    with meter(dynamodb.client, dynamodb.table) as counted:
        told = [change(dynamodb, verb, action(verb, number, item)) for verb, number, item in changes]
    assert [line.write_units for line in counted.lines] == told


def change(store: Store, verb: str, request: dict[str, Any]) -> float:
    calls: Any = {"Put": store.client.put_item, "Update": store.client.update_item, "Delete": store.client.delete_item}
    answer = calls[verb](TableName=store.table, ReturnConsumedCapacity="INDEXES", **request)
    units: float = answer["ConsumedCapacity"]["CapacityUnits"]
    return units


@pytest.mark.servers("ministack", "dynoxide")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.lists(some.lists(some.tuples(ANY_ACTION, ANY_ITEM), min_size=1, max_size=4), min_size=1, max_size=3))
def test_transactions_cost_what_the_emulator_says(dynamodb: Store, commits: list[list[Any]]) -> None:
    with meter(dynamodb.client, dynamodb.table) as counted:
        told = [
            transact(dynamodb, *({verb: action(verb, number, item)} for number, (verb, item) in enumerate(entries)))
            for entries in commits
        ]
    assert [line.write_units for line in counted.lines] == told


def test_an_update_is_charged_by_its_images(dynamodb: Store) -> None:
    dynamodb.client.put_item(TableName=dynamodb.table, Item=KEY | {"tail": {"S": "x" * 3000}})
    with meter(dynamodb.client, dynamodb.table) as counted:
        dynamodb.client.update_item(
            TableName=dynamodb.table,
            Key=KEY,
            UpdateExpression="REMOVE tail SET q = :q, due = :due",
            ExpressionAttributeValues={":q": QUEUED["q"], ":due": QUEUED["due"]},
        )
    assert (counted.write_requests, counted.read_requests) == (1, 0)
    assert counted.lines[0].table_units == 3
    assert counted.lines[0].index_units == {"due": 1}


def test_a_false_condition_is_billed_on_the_image_it_met(dynamodb: Store) -> None:
    dynamodb.client.put_item(TableName=dynamodb.table, Item=KEY | QUEUED | {"tail": {"S": "x" * 1500}})
    with meter(dynamodb.client, dynamodb.table) as counted, pytest.raises(ClientError):
        dynamodb.client.put_item(TableName=dynamodb.table, Item=KEY, ConditionExpression="attribute_not_exists(pk)")
    assert counted.write_units == 2
    assert counted.lines[0].failure == "ConditionalCheckFailedException"


def test_a_cancelled_transaction_is_billed_doubled_its_checks_too(dynamodb: Store) -> None:
    dynamodb.client.put_item(TableName=dynamodb.table, Item=KEY | {"tail": {"S": "x" * 1500}})
    check = {"ConditionCheck": {"Key": KEY, "ConditionExpression": "attribute_not_exists(pk)"}}
    with meter(dynamodb.client, dynamodb.table) as counted, pytest.raises(ClientError):
        transact(dynamodb, check, {"Put": {"Item": key(1)}})
    assert counted.write_units == 2 * 2 + 2 * 1


@pytest.mark.servers("ministack", "dynoxide")
def test_a_check_that_holds_costs_two_a_kilobyte(dynamodb: Store) -> None:
    dynamodb.client.put_item(TableName=dynamodb.table, Item=KEY | QUEUED | {"tail": {"S": "x" * 1500}})
    check = {"ConditionCheck": {"Key": KEY, "ConditionExpression": "attribute_exists(pk)"}}
    with meter(dynamodb.client, dynamodb.table) as counted:
        assert transact(dynamodb, check, {"Put": {"Item": key(1)}}) == counted.write_units == 2 * 2 + 2 * 1


@pytest.mark.servers("memory", "ministack")
def test_a_replayed_transaction_is_billed_as_a_read(dynamodb: Store) -> None:
    entries: Any = [{"Put": {"TableName": dynamodb.table, "Item": KEY}}]
    with meter(dynamodb.client, dynamodb.table) as counted:
        for _ in range(2):
            dynamodb.client.transact_write_items(TransactItems=entries, ClientRequestToken="once")
    assert (counted.write_requests, counted.write_units, counted.read_units) == (2, 2, 2)


@pytest.mark.servers("memory", "ministack")
def test_a_batch_is_the_sum_of_its_writes(dynamodb: Store) -> None:
    batch: Any = [{"PutRequest": {"Item": key(n) | QUEUED}} for n in range(3)] + [{"DeleteRequest": {"Key": KEY}}]
    with meter(dynamodb.client, dynamodb.table) as counted:
        dynamodb.client.batch_write_item(RequestItems={dynamodb.table: batch})
    assert (counted.write_requests, counted.write_units) == (1, 3 * (1 + 1) + 1)


@pytest.fixture
def filled(dynamodb: Store) -> Store:
    for number in range(10):
        dynamodb.client.put_item(TableName=dynamodb.table, Item=key(number) | QUEUED | {"tail": {"B": b"x" * 1000}})
    return dynamodb


READS: dict[str, tuple[Callable[[Store], Any], float]] = {
    "get, eventual": (lambda store: store.client.get_item(TableName=store.table, Key=key(1)), 0.5),
    "get, strong": (lambda store: store.client.get_item(TableName=store.table, Key=key(1), ConsistentRead=True), 1),
    "get, nothing there": (lambda store: store.client.get_item(TableName=store.table, Key=key(99)), 0.5),
    "query, strong": (lambda store: query(store, ConsistentRead=True), 3),
    "query, eventual": (lambda store: query(store), 1.5),
    "query, filtered and projected": (
        lambda store: query(
            store,
            ConsistentRead=True,
            FilterExpression="#t = :nothing",
            ProjectionExpression="sk",
            ExpressionAttributeNames={"#t": "tail"},
            ExpressionAttributeValues={":pk": {"S": "R#1"}, ":nothing": {"S": "?"}},
        ),
        3,
    ),
    "query, counted": (lambda store: query(store, ConsistentRead=True, Select="COUNT"), 3),
    "query, limited": (lambda store: query(store, ConsistentRead=True, Limit=1), 1),
    "query, nothing there": (lambda store: query(store, ExpressionAttributeValues={":pk": {"S": "R#2"}}), 0.5),
    "query, keys of an index": (
        lambda store: query(
            store,
            IndexName="due",
            KeyConditionExpression="q = :q",
            ExpressionAttributeValues={":q": {"S": "due#1"}},
        ),
        0.5,
    ),
    "scan": (lambda store: store.client.scan(TableName=store.table), 1.5),
    "batch": (
        lambda store: store.client.batch_get_item(
            RequestItems={store.table: {"Keys": [key(1), key(2), key(99)], "ConsistentRead": True}}
        ),
        3,
    ),
    "transaction": (
        lambda store: store.client.transact_get_items(
            TransactItems=[{"Get": {"TableName": store.table, "Key": key(n)}} for n in (1, 2)]
        ),
        4,
    ),
}


def query(store: Store, **more: Any) -> Any:
    wanted: dict[str, Any] = {
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": "R#1"}},
    }
    return store.client.query(TableName=store.table, **(wanted | more))


@pytest.mark.parametrize("name", READS)
def test_reads_are_priced_by_what_they_pass_over(filled: Store, name: str) -> None:
    read, units = READS[name]
    with meter(filled.client, filled.table) as counted:
        read(filled)
    assert (counted.read_requests, counted.write_requests, counted.read_units) == (1, 0, units)


@pytest.mark.servers("dynoxide")
@pytest.mark.parametrize("name", READS)
def test_reads_cost_what_the_emulator_says(filled: Store, name: str) -> None:
    read, _ = READS[name]
    filled.client.meta.events.register(
        "provide-client-params.dynamodb", lambda params, **_: params | {"ReturnConsumedCapacity": "TOTAL"}
    )
    with meter(filled.client, filled.table) as counted:
        told = read(filled)["ConsumedCapacity"]
    assert counted.read_units == sum(part["CapacityUnits"] for part in (told if isinstance(told, list) else [told]))


def test_the_breakdown_adds_up(filled: Store) -> None:
    with meter(filled.client, filled.table) as counted:
        put(filled, KEY | QUEUED)
        query(filled)
    table = [line.split() for line in str(counted).splitlines()]
    assert table[1:] == [
        ["PutItem", "1", "0", "2", "1", "1", "0"],
        ["Query", "1", "0", "0", "0", "0", "1.5"],
        ["all", "2", "0", "2", "1", "1", "1.5"],
    ]


def test_other_tables_and_times_are_not_counted(dynamodb: Store) -> None:
    put(dynamodb, KEY)
    with meter(dynamodb.client, dynamodb.table) as counted:
        dynamodb.client.list_tables()
        dynamodb.another_client().get_item(TableName=dynamodb.table, Key=KEY)
    put(dynamodb, KEY)
    assert counted.lines == []


def test_whichever_client_asks_pays_the_same(dynamodb: Store) -> None:
    """Also for what is refused, and for binary values, which the two hold differently."""
    botocores, lean = (
        [replace(line, keys=()) for line in everything(client, dynamodb.table, partition)]
        for client, partition in ((dynamodb.client, "R#1"), (dynamodb.product, "R#2"))
    )
    assert botocores == lean
    assert len(lean) == 7


def everything(client: Any, table: str, partition: str) -> list[Line]:
    """One request of each kind that the product sends, a refusal among them."""
    here = {"pk": {"S": partition}, "sk": {"S": "B#"}}
    item = here | QUEUED | {"tail": {"B": b"x" * 1500}}
    with meter(client, table) as counted:
        client.put_item(TableName=table, Item=item)
        with pytest.raises(REFUSALS):
            client.put_item(TableName=table, Item=here, ConditionExpression="attribute_not_exists(pk)")
        written: Any = {":tail": {"B": b"y" * 2500}}
        client.update_item(
            TableName=table, Key=here, UpdateExpression="SET tail = :tail", ExpressionAttributeValues=written
        )
        client.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": item}}])
        client.get_item(TableName=table, Key=here, ConsistentRead=True)
        client.batch_get_item(RequestItems={table: {"Keys": [here]}})
        values = {":p": here["pk"], ":t": {"B": b"z"}}
        client.query(
            TableName=table,
            KeyConditionExpression="pk = :p",
            FilterExpression="tail = :t",
            ExpressionAttributeValues=values,
        )
    return counted.lines


def test_meters_nest_and_take_several_clients(dynamodb: Store) -> None:
    other = dynamodb.another_client()
    with meter(dynamodb.client, dynamodb.table, other) as outer:
        put(dynamodb, KEY)
        with meter(other, dynamodb.table) as inner:
            other.get_item(TableName=dynamodb.table, Key=KEY)
    assert counts(outer) == (1, 1)
    assert counts(inner) == (0, 1)


def counts(counted: Meter) -> tuple[int, int]:
    return counted.write_requests, counted.read_requests
