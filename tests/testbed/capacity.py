"""DynamoDB's arithmetic of capacity: what an item weighs, what a write or a read of it costs. Pure.

Rules and sources: design.md §5 and research on DynamoDB §2. A write costs by the larger of the old and the new image;
a transaction doubles the table's part, never an index's. No request is read here (`requests`), none sent (`meter`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from cascade_flow.testing.memory.sizes import Item, item_size

WRITE_UNIT_BYTES = 1024
READ_UNIT_BYTES = 4096


@dataclass(frozen=True)
class Index:
    """A global secondary index: the attributes of its key, and what it projects (None: everything)."""

    name: str
    key: tuple[str, ...]
    projected: frozenset[str] | None

    def entry(self, item: Item | None) -> Item | None:
        """What the index stores of an item; None where it stores nothing."""
        if item is None or any(name not in item for name in self.key):
            return None
        if self.projected is None:
            return item
        return {name: value for name, value in item.items() if name in self.projected}


@dataclass(frozen=True)
class Schema:
    """What capacity depends on: the table's key, and its indexes."""

    key: tuple[str, ...]
    indexes: tuple[Index, ...]

    @classmethod
    def described(cls, table: Mapping[str, Any]) -> "Schema":
        """From DescribeTable's `Table`."""
        key = _names(table["KeySchema"])
        indexes = table.get("GlobalSecondaryIndexes", [])
        return cls(key, tuple(_index(index, key) for index in indexes))


def _names(key_schema: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(part["AttributeName"] for part in key_schema)


def _index(described: Mapping[str, Any], table_key: tuple[str, ...]) -> Index:
    key = _names(described["KeySchema"])
    projection = described["Projection"]
    if projection["ProjectionType"] == "ALL":
        return Index(described["IndexName"], key, None)
    return Index(described["IndexName"], key, frozenset([*key, *table_key, *projection.get("NonKeyAttributes", [])]))


@dataclass(frozen=True)
class WriteCost:
    """Write units of one item's change: the table's part, and each index's."""

    table: float
    indexes: Mapping[str, float]


def write_cost(schema: Schema, old: Item | None, new: Item | None) -> WriteCost:
    """The units of a change from one image to another; None is an item that isn't there."""
    arms = {index.name: _index_units(index, old, new) for index in schema.indexes}
    return WriteCost(write_units(max(_size(old), _size(new))), {name: units for name, units in arms.items() if units})


def _index_units(index: Index, old: Item | None, new: Item | None) -> float:
    before, after = index.entry(old), index.entry(new)
    if before == after:
        return 0
    if before and after and any(before[name] != after[name] for name in index.key):
        return write_units(_size(before)) + write_units(_size(after))
    return write_units(max(_size(before), _size(after)))


def write_units(size: int) -> float:
    """Write units of an image of so many bytes: one for each started KB, at least one."""
    return float(max(1, ceil(size / WRITE_UNIT_BYTES)))


def read_units(size: int, *, is_consistent: bool) -> float:
    """Read units of so many bytes read together: one for each started 4 KB, at least one; half if eventual."""
    units = max(1, ceil(size / READ_UNIT_BYTES))
    return float(units) if is_consistent else units / 2


def _size(item: Item | None) -> int:
    return item_size(item) if item else 0
