"""A DynamoDB of this process without a wire: a client whose requests are calls, some twenty times as fast as MiniStack.

The simulations play thousands of runs, and what they wait for elsewhere is botocore and JSON. It knows what the engine
asks for, and refuses the rest (`expressions`). It is trusted because the contract suite runs on it as on every server,
and because random requests are answered by it as by DynamoDB Local and MiniStack (`unit/testbed/test_memory.py`).
Items are never changed in place, so that an image of a table is a copy of its shelves.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from cascade_flow.testing.memory.expressions import Bound, comparable, condition, update
from cascade_flow.testing.memory.sizes import item_size

Body = Mapping[str, Any]
Item = Mapping[str, Any]
Contents = dict[str, dict[str, Item]]
Place = tuple[str, str]

ITEM_BYTES = 400 * 1024
PAGE_BYTES = 1024 * 1024
ENTRIES = 100
LIGHT_BYTES = 100_000
"""What weighs less by its characters can't be too large."""


class Refusal(Exception):
    """What DynamoDB answers instead of doing it."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.body = {"__type": code, "message": message, **more}


@dataclass(frozen=True)
class Index:
    """A global secondary index: its key, and what it projects (None: everything)."""

    hash: str
    range: str
    projected: frozenset[str] | None

    def place(self, item: Item) -> str | None:
        """The hash value under which the index holds this item, if it does."""
        return str(item[self.hash]["S"]) if self.hash in item and self.range in item else None

    def entry(self, item: Item) -> Item:
        if self.projected is None:
            return item
        return {name: value for name, value in item.items() if name in self.projected}


@dataclass
class Table:
    """The items of one table, and the places that its indexes have for them."""

    description: Body
    hash: str
    range: str
    indexes: Mapping[str, Index]
    items: Contents = field(default_factory=lambda: defaultdict(dict))
    entries: dict[tuple[str, str], dict[Place, Item]] = field(default_factory=lambda: defaultdict(dict))
    late: list[tuple[Place, Item | None, Item | None]] = field(default_factory=list)
    """Changes that have not reached the indexes: `arrives` says of each, when an index is asked, whether it has now."""
    arrives: Callable[[], bool] | None = None

    @classmethod
    def described(cls, request: Body) -> Table:
        hash_key, range_key = (part["AttributeName"] for part in request["KeySchema"])
        indexes = {
            each["IndexName"]: _index(each, {hash_key, range_key}) for each in request.get("GlobalSecondaryIndexes", [])
        }
        return cls({**request, "TableStatus": "ACTIVE"}, hash_key, range_key, indexes)

    def place(self, key: Item) -> Place:
        return str(key[self.hash]["S"]), str(key[self.range]["S"])

    def get(self, place: Place) -> Item | None:
        return self.items.get(place[0], {}).get(place[1])

    def put(self, place: Place, new: Item | None) -> None:
        old = self.get(place)
        self.late.append((place, old, new))
        if self.arrives is None:
            self.catch_up()
        if new is not None:
            self.items[place[0]][place[1]] = new
        elif old is not None:
            del self.items[place[0]][place[1]]

    def catch_up(self, arrives: Callable[[], bool] = lambda: True) -> None:
        """Let changes reach the indexes, those of one item in their order; some stay behind if not all `arrives`."""
        waiting, self.late = self.late, []
        behind: set[Place] = set()
        for place, old, new in waiting:
            if place not in behind and arrives():
                self._index(place, old, new)
            else:
                behind.add(place)
                self.late.append((place, old, new))

    def _index(self, place: Place, old: Item | None, new: Item | None) -> None:
        for name, index in self.indexes.items():
            if old is not None and (hashed := index.place(old)) is not None:
                del self.entries[name, hashed][place]
            if new is not None and (hashed := index.place(new)) is not None:
                self.entries[name, hashed][place] = new

    def contents(self) -> Contents:
        return {partition: dict(items) for partition, items in self.items.items()}

    def everything(self) -> Iterator[Item]:
        for _, items in sorted(self.items.items()):
            yield from (items[sort] for sort in sorted(items))


def _index(described: Body, table_key: set[str]) -> Index:
    hash_key, range_key = (part["AttributeName"] for part in described["KeySchema"])
    projection = described["Projection"]
    kept = {hash_key, range_key, *table_key, *projection.get("NonKeyAttributes", [])}
    return Index(hash_key, range_key, None if projection["ProjectionType"] == "ALL" else frozenset(kept))


@dataclass(frozen=True)
class _Planned:
    """A write that may be done: where, and the image that it leaves."""

    table: Table
    place: Place
    new: Item | None


class Memory:
    """All tables; a request is done as a whole before the next one begins."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self._tokens: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._answers: Mapping[str, Callable[[Body], Any]] = {
            "GetItem": self._get,
            "BatchGetItem": self._batch_get,
            "Query": self._query,
            "Scan": self._scan,
            "PutItem": self._write_one,
            "UpdateItem": self._write_one,
            "DeleteItem": self._write_one,
            "BatchWriteItem": self._batch_write,
            "TransactWriteItems": self._transact,
            "CreateTable": self._create,
            "DescribeTable": self._describe,
            "DeleteTable": self._delete_table,
            "UpdateTimeToLive": lambda body: {"TimeToLiveSpecification": body["TimeToLiveSpecification"]},
        }

    @property
    def operations(self) -> Iterable[str]:
        return self._answers

    def answer(self, operation: str, body: Body) -> dict[str, Any]:
        """What the server answers; raises Refusal."""
        with self._lock:
            found: dict[str, Any] = self._answers[operation](body)
            return found

    def contents(self, table: str) -> Contents:
        """An image of a table: all items, by partition and sort key."""
        with self._lock:
            return self._table(table).contents()

    def item(self, table: str, partition: str, sort: str) -> Item | None:
        """One item, without a request."""
        return self._table(table).get((partition, sort))

    def put_contents(self, table: str, contents: Contents) -> None:
        """Let a table hold exactly these items."""
        with self._lock:
            fresh = Table.described(self._table(table).description)
            for partition, items in contents.items():
                for sort, item in items.items():
                    fresh.put((partition, sort), item)
            self._tables[table] = fresh

    def delay_indexes(self, table: str, arrives: Callable[[], bool] | None) -> None:
        """Let the indexes of a table lag behind, each change until `arrives` says so; None: no longer."""
        self._table(table).arrives = arrives
        if arrives is None:
            self._table(table).catch_up()

    def _table(self, name: str) -> Table:
        if name not in self._tables:
            raise Refusal("ResourceNotFoundException", "Requested resource not found")
        return self._tables[name]

    def _create(self, body: Body) -> dict[str, Any]:
        if body["TableName"] in self._tables:
            raise Refusal("ResourceInUseException", f"Table already exists: {body['TableName']}")
        self._tables[body["TableName"]] = Table.described(body)
        return self._describe(body)

    def _describe(self, body: Body) -> dict[str, Any]:
        return {"Table": copy(self._table(body["TableName"]).description)}

    def _delete_table(self, body: Body) -> dict[str, Any]:
        described = self._describe(body)
        del self._tables[body["TableName"]]
        return described

    def _get(self, body: Body) -> dict[str, Any]:
        table = self._table(body["TableName"])
        item = table.get(table.place(body["Key"]))
        return {} if item is None else {"Item": _projected(item, body)}

    def _batch_get(self, body: Body) -> dict[str, Any]:
        found: dict[str, list[Item]] = {}
        for name, wanted in body["RequestItems"].items():
            table = self._table(name)
            items = [table.get(table.place(key)) for key in wanted["Keys"]]
            found[name] = [_projected(item, wanted) for item in items if item is not None]
        return {"Responses": found, "UnprocessedKeys": {}}

    def _query(self, body: Body) -> dict[str, Any]:
        table = self._table(body["TableName"])
        index = table.indexes[body["IndexName"]] if "IndexName" in body else None
        bound = Bound.of(body)
        hash_value = _equal_to(index.hash if index else table.hash, body["KeyConditionExpression"], bound)
        meets = condition(body["KeyConditionExpression"])
        if index is not None and table.arrives is not None:
            table.catch_up(table.arrives)
        held = table.entries[body["IndexName"], hash_value] if index else table.items.get(hash_value, {})
        order = _order(table, index)
        found = sorted((item for item in held.values() if meets(item, bound)), key=order)
        return _page(table, index, found, body, order, backwards=not body.get("ScanIndexForward", True))

    def _scan(self, body: Body) -> dict[str, Any]:
        table = self._table(body["TableName"])
        return _page(table, None, list(table.everything()), body, table.place)

    def _write_one(self, body: Body) -> dict[str, Any]:
        planned = self._planned("Put" if "Item" in body else "Update" if "UpdateExpression" in body else "Delete", body)
        if not planned:
            raise Refusal("ConditionalCheckFailedException", "The conditional request failed", **self._seen(body))
        planned.table.put(planned.place, planned.new)
        return {"Attributes": dict(planned.new)} if body.get("ReturnValues") == "ALL_NEW" and planned.new else {}

    def _batch_write(self, body: Body) -> dict[str, Any]:
        for name, entries in body["RequestItems"].items():
            for entry in entries:
                ((_, action),) = entry.items()
                self._write_one({"TableName": name, **action})
        return {"UnprocessedItems": {}}

    def _transact(self, body: Body) -> dict[str, Any]:
        entries = [pair for entry in body["TransactItems"] for pair in entry.items()]
        actions = [action for _, action in entries]
        token = body.get("ClientRequestToken")
        if token in self._tokens:
            return self._replayed(token, body["TransactItems"])
        self._must_be_possible(actions)
        planned = [self._planned(kind, action) for kind, action in entries]
        if not all(planned):
            raise self._cancelled(actions, planned)
        for write in filter(None, planned):
            write.table.put(write.place, write.new)
        if token:
            self._tokens[token] = body["TransactItems"]
        return {}

    def _replayed(self, token: str, actions: Sequence[Body]) -> dict[str, Any]:
        if self._tokens[token] != actions:
            raise Refusal("IdempotentParameterMismatchException", "The token was used with other parameters")
        return {}

    def _must_be_possible(self, actions: Sequence[Body]) -> None:
        places = [(action["TableName"], *self._place(action)) for action in actions]
        if len(actions) > ENTRIES:
            raise Refusal("ValidationException", f"Member must have length less than or equal to {ENTRIES}")
        if len(set(places)) < len(places):
            raise Refusal("ValidationException", "Transaction request cannot include multiple operations on one item")

    def _cancelled(self, actions: Sequence[Body], planned: Sequence[_Planned | None]) -> Refusal:
        reasons = [
            {"Code": "None"} if write else {"Code": "ConditionalCheckFailed", "Message": "false", **self._seen(action)}
            for write, action in zip(planned, actions, strict=True)
        ]
        told = ", ".join(reason["Code"] for reason in reasons)
        message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{told}]"
        return Refusal("TransactionCanceledException", message, CancellationReasons=reasons)

    def _seen(self, action: Body) -> dict[str, Any]:
        """The item as it is, where a refused request asks for it."""
        item = self._table(action["TableName"]).get(self._place(action))
        asks = action.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        return {"Item": dict(item)} if asks and item is not None else {}

    def _place(self, action: Body) -> Place:
        return self._table(action["TableName"]).place(action.get("Key") or action["Item"])

    def _planned(self, kind: str, action: Body) -> _Planned | None:
        """What this write would do; None where its condition is false."""
        table, place, bound = self._table(action["TableName"]), self._place(action), Bound.of(action)
        old = table.get(place)
        if "ConditionExpression" in action and not condition(action["ConditionExpression"])(old or {}, bound):
            return None
        if kind in ("ConditionCheck", "Delete"):
            return _Planned(table, place, old if kind == "ConditionCheck" else None)
        if kind == "Put":
            return _Planned(table, place, _weighed(dict(action["Item"])))
        new = dict(old or action["Key"])
        for change in update(action["UpdateExpression"]):
            change(new, old or {}, bound)
        return _Planned(table, place, _weighed(new))


def _order(table: Table, index: Index | None) -> Callable[[Item], Any]:
    if index is None:
        return lambda item: item[table.range]["S"]
    return lambda item: (comparable(item[index.range]), table.place(item))


def _page(
    table: Table,
    index: Index | None,
    found: list[Item],
    body: Body,
    order: Callable[[Item], Any],
    *,
    backwards: bool = False,
) -> dict[str, Any]:
    """One page of what was found, in order, from where the last one ended."""
    found = found[::-1] if backwards else found
    if "ExclusiveStartKey" in body:
        start = order(body["ExclusiveStartKey"])
        found = [item for item in found if (order(item) < start if backwards else order(item) > start)]
    read = list(_first([index.entry(item) if index else item for item in found], body.get("Limit", len(found) + 1)))
    last = {"LastEvaluatedKey": _key_of(read[-1], table, index)} if _ends_early(read, found, body) else {}
    return {**_told(read, body), "ScannedCount": len(read), **last}


def _ends_early(read: Sequence[Item], found: Sequence[Item], body: Body) -> bool:
    """A page that is full says where it ends, also where nothing more comes."""
    return bool(read) and (len(read) < len(found) or len(read) == body.get("Limit"))


def _first(items: Iterable[Item], limit: int) -> Iterator[Item]:
    weight = 0
    for item in items:
        if limit == 0 or weight > PAGE_BYTES:
            return
        limit, weight = limit - 1, weight + _weight(item)
        yield item


def _told(read: Sequence[Item], body: Body) -> dict[str, Any]:
    if "FilterExpression" in body:
        bound, passes = Bound.of(body), condition(body["FilterExpression"])
        read = [item for item in read if passes(item, bound)]
    if body.get("Select") == "COUNT":
        return {"Count": len(read)}
    return {"Count": len(read), "Items": [_projected(item, body) for item in read]}


def _key_of(item: Item, table: Table, index: Index | None) -> Item:
    names = {table.hash, table.range} | ({index.hash, index.range} if index else set())
    return {name: item[name] for name in names}


def _equal_to(name: str, expression: str, bound: Bound) -> str:
    """The value that a key condition gives a hash key."""
    for part in expression.strip("()").split(" AND "):
        left, _, right = part.strip("() ").partition(" = ")
        if right and bound.names.get(left, left) == name:
            return str(bound.values[right.strip("() ")]["S"])
    raise Refusal("ValidationException", "Query condition missed key schema element")


def _projected(item: Item, body: Body) -> dict[str, Any]:
    if "ProjectionExpression" not in body:
        return dict(item)
    names = Bound.of(body).names
    wanted = [names.get(part.strip(), part.strip()) for part in body["ProjectionExpression"].split(",")]
    return {name: item[name] for name in wanted if name in item}


def _weight(item: Item) -> int:
    """About what an item weighs: its characters."""
    return sum(len(name) + sum(len(content) for content in value.values()) for name, value in item.items())


def _weighed(item: Item) -> Item:
    if _weight(item) > LIGHT_BYTES and item_size(item) > ITEM_BYTES:
        raise Refusal("ValidationException", "Item size has exceeded the maximum allowed size")
    return item
