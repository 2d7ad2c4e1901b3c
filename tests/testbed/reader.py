"""A second client beside an observed one: it reads items and index pages without passing the observed client's gates.

Whoever looks over a client's shoulder (the meter, the stale index) needs the images before and after a request; asking
through the observed client would be observed. It only reads.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from mypy_boto3_dynamodb import DynamoDBClient

from cascade_flow.testing.memory.sizes import Item
from cascade_flow.testing.memory.table_client import MemoryClient
from testbed.capacity import Schema
from testbed.requests import Body, Key, key_text
from testbed.servers import connect
from testbed.wire import HttpWire, install, wire_of

KEYS_A_BATCH = 100


class Reader:
    """Strong reads of one table, past everybody's gates."""

    def __init__(self, observed: DynamoDBClient, table: str) -> None:
        self.client = twin(observed)
        self._table = table
        self.schema = Schema.described(self.client.describe_table(TableName=table)["Table"])

    def images(self, keys: Sequence[Key]) -> dict[str, Item]:
        """The items that are there, by `key_text` of their keys."""
        return {key_text(self._key_of(item)): item for item in self._items([from_wire(key) for key in keys])}

    def page(self, operation: str, body: Body) -> list[Item]:
        """The items of one page of a Query or Scan, given as it goes over the wire."""
        ask: Any = self.client.query if operation == "Query" else self.client.scan
        items: list[Item] = ask(**from_wire(body))["Items"]
        return items

    def _key_of(self, item: Item) -> Key:
        return {name: item[name] for name in self.schema.key}

    def _items(self, keys: Sequence[Key]) -> Iterator[Item]:
        distinct = list({key_text(key): key for key in keys}.values())
        for start in range(0, len(distinct), KEYS_A_BATCH):
            yield from self._batch(distinct[start : start + KEYS_A_BATCH])

    def _batch(self, keys: list[Key]) -> Iterator[Item]:
        wanted: Any = {self._table: {"Keys": keys, "ConsistentRead": True}}
        while wanted:
            answer: Any = self.client.batch_get_item(RequestItems=wanted)
            yield from answer["Responses"].get(self._table, [])
            wanted = answer.get("UnprocessedKeys")


def twin(observed: DynamoDBClient) -> DynamoDBClient:
    """A client like the observed one, to the same server, without its gates."""
    if isinstance(observed, MemoryClient):
        return cast(DynamoDBClient, observed.twin())
    client: DynamoDBClient = connect("dynamodb", observed.meta.endpoint_url)
    wire = wire_of(observed)
    assert isinstance(wire, HttpWire)
    install(client, wire.transport)
    return client


def from_wire(value: Any) -> Any:
    """DynamoDB's JSON as boto3 takes it: binary values are bytes, not base64 text."""
    if isinstance(value, Mapping):
        return {name: _from_wire(name, part) for name, part in value.items()}
    return [from_wire(part) for part in value] if isinstance(value, list) else value


def _from_wire(name: str, value: Any) -> Any:
    if name == "B" and isinstance(value, str):
        return base64.b64decode(value)
    if name == "BS" and isinstance(value, list):
        return [base64.b64decode(part) for part in value]
    return from_wire(value)
