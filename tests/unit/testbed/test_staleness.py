"""A late index shows what was, item by item, and the table itself is never late."""

from typing import Any

import pytest

from testbed.servers import Store
from testbed.staleness import LaggingIndexes, lagging_indexes


def put(store: Store, number: int, due: int) -> None:
    item: Any = {"pk": {"S": "R#1"}, "sk": {"S": str(number)}, "q": {"S": "due#1"}, "due": {"N": str(due)}}
    store.client.put_item(TableName=store.table, Item=item)


def listed(store: Store) -> list[tuple[str, str]]:
    page = store.client.query(
        TableName=store.table,
        IndexName="due",
        KeyConditionExpression="q = :q",
        ExpressionAttributeValues={":q": {"S": "due#1"}},
    )
    return [(item["sk"]["S"], item["due"]["N"]) for item in page["Items"]]


@pytest.mark.servers("ministack", "moto", "ministack-http", "dynamodb-local")
def test_an_index_stands_still_until_it_catches_up(dynamodb: Store) -> None:
    put(dynamodb, 1, due=10)
    put(dynamodb, 2, due=20)
    with lagging_indexes(dynamodb.client, dynamodb.table, freshness=0) as late:
        put(dynamodb, 1, due=30)
        dynamodb.client.delete_item(TableName=dynamodb.table, Key={"pk": {"S": "R#1"}, "sk": {"S": "2"}})
        put(dynamodb, 3, due=5)
        assert listed(dynamodb) == [("1", "10"), ("2", "20")]
        late.catch_up()
        assert listed(dynamodb) == [("3", "5"), ("1", "30")]
    assert listed(dynamodb) == [("3", "5"), ("1", "30")]


def test_the_table_is_never_late(dynamodb: Store) -> None:
    with lagging_indexes(dynamodb.client, dynamodb.table, freshness=0):
        put(dynamodb, 1, due=10)
        page = dynamodb.client.query(
            TableName=dynamodb.table, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": "R#1"}}
        )
        assert page["Count"] == 1


def test_a_transaction_arrives_in_pieces(dynamodb: Store) -> None:
    seen = {tuple(pieces(dynamodb, seed)) for seed in range(20)}
    assert {len(piece) for piece in seen} == {0, 1, 2}


def pieces(store: Store, seed: int) -> list[tuple[str, str]]:
    actions: Any = [
        {
            "Update": {
                "TableName": store.table,
                "Key": {"pk": {"S": f"R#{seed}"}, "sk": {"S": str(number)}},
                "UpdateExpression": "SET q = :q, due = :due",
                "ExpressionAttributeValues": {":q": {"S": "due#1"}, ":due": {"N": str(seed)}},
            }
        }
        for number in range(2)
    ]
    with lagging_indexes(store.client, store.table, seed=seed, freshness=0.5):
        store.client.transact_write_items(TransactItems=actions)
        return [(sk, due) for sk, due in listed(store) if due == str(seed)]


def test_a_seed_repeats_a_lag(dynamodb: Store) -> None:
    def seen() -> list[list[tuple[str, str]]]:
        with lagging_indexes(dynamodb.client, dynamodb.table, seed=7, freshness=0.3) as late:
            pages = [watched(dynamodb, number) for number in range(10)]
            clear(dynamodb, late)
        return pages

    assert seen() == seen()


def watched(store: Store, number: int) -> list[tuple[str, str]]:
    put(store, number, due=number)
    return listed(store)


def clear(store: Store, late: LaggingIndexes) -> None:
    for number in range(10):
        store.client.delete_item(TableName=store.table, Key={"pk": {"S": "R#1"}, "sk": {"S": str(number)}})
    late.catch_up()
