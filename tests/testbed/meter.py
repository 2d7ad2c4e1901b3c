"""The meter: counts a client's real requests to one table, and the units that AWS would bill for them.

It stands on the client's wire (`wire`), next to the server, so it sees what really arrives, retries by botocore
included; a request that a fault swallowed never arrived and is not counted. Old and new images come from a reader whose
own requests nobody counts. The arithmetic is `capacity`'s; no budget is asserted here.
"""

import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from mypy_boto3_dynamodb import DynamoDBClient

from cascade_flow.testing.memory.sizes import Item, item_size
from testbed.capacity import read_units, write_cost, write_units
from testbed.reader import Reader
from testbed.requests import READS, WRITES, Body, Touch, key_text, tables, touches
from testbed.wire import Answer, Floor, Request, Send, said_by, wire_of

BILLED_FAILURES = {"ConditionalCheckFailed", "TransactionConflict"}
FILTERS = {"FilterExpression", "ProjectionExpression", "Select", "ReturnConsumedCapacity"}
PLACEHOLDER = re.compile(r"[#:]\w+")


@dataclass(frozen=True)
class Line:
    """One request as it is billed."""

    operation: str
    is_write: bool
    table_units: float = 0
    index_units: Mapping[str, float] = field(default_factory=dict)
    read_units: float = 0
    failure: str | None = None
    keys: tuple[str, ...] = ()
    counts: bool = False
    """Whether a read only asked how many there are."""

    @property
    def write_units(self) -> float:
        """The table's part and every index's."""
        return self.table_units + sum(self.index_units.values())


class Meter:
    """What was counted so far; `str()` of it is a table, one row an operation."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self.lines: list[Line] = []
        self._table = table
        self._reader = Reader(client, table)
        self._schema = self._reader.schema
        self._replays: dict[str, float] = {}
        self._lock = threading.Lock()

    @property
    def write_requests(self) -> int:
        return sum(line.is_write for line in self.lines)

    @property
    def read_requests(self) -> int:
        return sum(not line.is_write for line in self.lines)

    @property
    def write_units(self) -> float:
        return sum(line.write_units for line in self.lines)

    @property
    def read_units(self) -> float:
        return sum(line.read_units for line in self.lines)

    def reset(self) -> None:
        """Begin again at nothing."""
        self.lines.clear()

    def __str__(self) -> str:
        return _table_of(self.lines)

    def __call__(self, request: Request, send: Send) -> Answer:
        """The gate: counts one request around its sending, one at a time."""
        operation, body = request.operation, request.body
        if operation not in READS | WRITES or self._table not in tables(operation, body):
            return send(request)
        with self._lock:
            count = self._write if operation in WRITES else self._read
            line, response = count(request, body, send)
            self.lines.append(line)
        return response

    def _write(self, request: Request, body: Body, send: Send) -> tuple[Line, Answer]:
        touched = [touch for touch in self._touches(request, body) if touch.table == self._table]
        keys = [touch.key for touch in touched]
        before = self._reader.images(keys)
        response = send(request)
        after = self._reader.images(keys)
        changes = [(touch, before.get(key_text(touch.key)), after.get(key_text(touch.key))) for touch in touched]
        return self._billed(request.operation, body, changes, response), response

    def _touches(self, request: Request, body: Body) -> list[Touch]:
        return touches(request.operation, body, self._schema.key)

    def _billed(self, operation: str, body: Body, changes: list["Change"], response: Answer) -> Line:
        keys = tuple(key_text(touch.key) for touch, _, _ in changes)
        factor = 2 if operation == "TransactWriteItems" else 1
        failure = _failure(response)
        if failure:
            units = sum(factor * write_units(item_size(old or {})) for _, old, _ in changes)
            return Line(operation, True, units if failure.is_billed else 0, failure=failure.name, keys=keys)
        token = body.get("ClientRequestToken", "")
        if token in self._replays:
            return Line(operation, True, read_units=self._replays[token], failure="replayed", keys=keys)
        if token:
            self._replays[token] = _replay_units(changes)
        table_units, arms = self._units(changes)
        return Line(operation, True, table_units=factor * table_units, index_units=arms, keys=keys)

    def _units(self, changes: list["Change"]) -> tuple[float, Mapping[str, float]]:
        table_units = 0.0
        arms: Counter[str] = Counter()
        for _, old, new in changes:
            cost = write_cost(self._schema, old, new)
            table_units += cost.table
            arms.update(cost.indexes)
        return table_units, dict(arms)

    def _read(self, request: Request, body: Body, send: Send) -> tuple[Line, Answer]:
        response = send(request)
        failure = _failure(response)
        if failure:
            return Line(request.operation, False, failure=failure.name), response
        units = self._read_units(request.operation, body, self._touches(request, body))
        return Line(request.operation, False, read_units=units, counts=body.get("Select") == "COUNT"), response

    def _read_units(self, operation: str, body: Body, touched: list[Touch]) -> float:
        if operation in ("Query", "Scan"):
            size = sum(item_size(item) for item in self._reader.page(operation, _unfiltered(body)))
            return read_units(size, is_consistent=body.get("ConsistentRead", False))
        images = self._reader.images([touch.key for touch in touched if touch.table == self._table])
        sizes = [item_size(images.get(key_text(touch.key), {})) for touch in touched if touch.table == self._table]
        if operation == "TransactGetItems":
            return sum(2 * read_units(size, is_consistent=True) for size in sizes)
        wanted = body["RequestItems"][self._table] if "RequestItems" in body else body
        return sum(read_units(size, is_consistent=wanted.get("ConsistentRead", False)) for size in sizes)


Change = tuple[Touch, Item | None, Item | None]


def _replay_units(changes: list[Change]) -> float:
    """What a transaction costs when its token is sent again: a transactional read of what the first was sized on."""
    sizes = [max(item_size(old or {}), item_size(new or {})) for _, old, new in changes]
    return sum(2 * read_units(size, is_consistent=True) for size in sizes)


@contextmanager
def meter(client: DynamoDBClient, table: str, *others: DynamoDBClient) -> Iterator[Meter]:
    """Count what these clients ask of a table while the block runs. Meters may be nested."""
    counting = Meter(client, table)
    wires = [wire_of(one) for one in (client, *others)]
    for wire in wires:
        wire.add(counting, floor=Floor.COUNT)
    try:
        yield counting
    finally:
        for wire in wires:
            wire.remove(counting)


@dataclass(frozen=True)
class _Failure:
    name: str
    is_billed: bool


def _failure(response: Answer) -> _Failure | None:
    """Why a request was refused; false conditions and cancelled transactions are billed, the rest is not."""
    if response.status_code == 200:
        return None
    said = said_by(response)
    code = said.get("__type", str(response.status_code)).split("#")[-1]
    reasons = [reason.get("Code") for reason in said.get("CancellationReasons", [])] or [code.removesuffix("Exception")]
    return _Failure(code, not BILLED_FAILURES.isdisjoint(reasons))


def _unfiltered(body: Body) -> Body:
    """The same page without filter and projection: a read is billed before both."""
    bare = {name: value for name, value in body.items() if name not in FILTERS}
    used = set(PLACEHOLDER.findall(bare.get("KeyConditionExpression", "")))
    for placeholders in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        kept = {name: value for name, value in bare.pop(placeholders, {}).items() if name in used}
        if kept:
            bare[placeholders] = kept
    return bare


def _table_of(lines: list[Line]) -> str:
    operations = sorted({line.operation for line in lines})
    indexes = sorted({name for line in lines for name in line.index_units})
    head = ["operation", "requests", "refused", "write units", "table", *indexes, "read units"]
    rows = [
        _row(operation, [line for line in lines if line.operation == operation], indexes) for operation in operations
    ]
    total = _row("all", lines, indexes)
    return "\n".join(
        "".join(cell.rjust(width) for cell, width in zip(row, _widths(head), strict=True))
        for row in [head, *rows, total]
    )


def _row(name: str, lines: list[Line], indexes: list[str]) -> list[str]:
    arms = [sum(line.index_units.get(index, 0) for line in lines) for index in indexes]
    refused = sum(line.failure is not None for line in lines)
    written = [sum(line.write_units for line in lines), sum(line.table_units for line in lines), *arms]
    numbers = [len(lines), refused, *written, sum(line.read_units for line in lines)]
    return [name, *(f"{number:g}" for number in numbers)]


def _widths(head: list[str]) -> list[int]:
    return [20, *(len(title) + 3 for title in head[1:])]
