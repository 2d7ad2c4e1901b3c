"""Indexes that lag behind: a Query on an index is answered from what the table was some writes ago.

Every emulator answers from the table of this instant; AWS doesn't. Here a second table follows the observed one late,
item by item, and index queries are sent to it: rows are missing, rows that are gone are there, in every order that
AWS allows (each item's own changes stay in order). Reads of the table itself are untouched.
"""

import random
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from mypy_boto3_dynamodb import DynamoDBClient

from testbed.capacity import Item
from testbed.reader import Reader
from testbed.requests import WRITES, Key, key_text, tables, touches
from testbed.servers import CreateTable, create_table
from testbed.wire import Answer, Floor, Request, Send, wire_of


class LaggingIndexes:
    """The observed table's indexes, some writes behind.

    `freshness` is the chance that a change which is waiting has reached the index when the index is asked: 0 keeps the
    indexes as they are now until `catch_up`, 1 is an emulator's way.
    """

    def __init__(self, client: DynamoDBClient, table: str, shadow: str, *, seed: int, freshness: float) -> None:
        self.freshness = freshness
        self._table, self._shadow = table, shadow
        self._reader = Reader(client, table)
        self._dice = random.Random(seed)
        self._waiting: dict[str, deque[Change]] = {}
        self._lock = threading.Lock()
        for item in self._reader.everything():
            self._apply((item, item))

    def catch_up(self) -> None:
        """Let every change reach the indexes."""
        with self._lock:
            for changes in self._waiting.values():
                while changes:
                    self._apply(changes.popleft())

    def __call__(self, request: Request, send: Send) -> Answer:
        """The gate."""
        body = request.body
        if self._table not in tables(request.operation, body):
            return send(request)
        with self._lock:
            if request.operation in WRITES:
                return self._observed(request, send)
            if request.operation in ("Query", "Scan") and "IndexName" in body:
                self._let_some_through()
                return send(request.with_body({**body, "TableName": self._shadow}))
        return send(request)

    def _observed(self, request: Request, send: Send) -> Answer:
        named = touches(request.operation, request.body, self._reader.schema.key)
        keys = [touch.key for touch in named if touch.table == self._table and not touch.is_check]
        response = send(request)
        images = self._reader.images(keys)
        for key in keys:
            text = key_text(key)
            self._waiting.setdefault(text, deque()).append((key, images.get(text)))
        return response

    def _let_some_through(self) -> None:
        for key in sorted(self._waiting):
            changes = self._waiting[key]
            while changes and self._dice.random() < self.freshness:
                self._apply(changes.popleft())

    def _apply(self, change: "Change") -> None:
        key, image = change
        if image:
            self._reader.client.put_item(TableName=self._shadow, Item=image)
        else:
            self._reader.client.delete_item(TableName=self._shadow, Key=key)


Change = tuple[Key, Item | None]


@contextmanager
def lagging_indexes(
    client: DynamoDBClient,
    table: str,
    *others: DynamoDBClient,
    seed: int = 0,
    freshness: float = 0.5,
    create: CreateTable = create_table,
) -> Iterator[LaggingIndexes]:
    """While the block runs, these clients see the table's indexes late. One that writes unobserved is never seen."""
    shadow = f"{table}-late"
    wires = [wire_of(one) for one in (client, *others)]
    keeper = Reader(client, table).client
    create(keeper, shadow)
    keeper.get_waiter("table_exists").wait(TableName=shadow, WaiterConfig={"Delay": 1})
    late = LaggingIndexes(client, table, shadow, seed=seed, freshness=freshness)
    try:
        for wire in wires:
            wire.add(late, floor=Floor.REWRITE)
        yield late
    finally:
        for wire in wires:
            wire.remove(late)
        keeper.delete_table(TableName=shadow)
