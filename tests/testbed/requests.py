"""What a DynamoDB request touches, read from its JSON: tables, keys, kinds of access. Pure.

It serves whoever looks over a client's shoulder (the meter, the stale index). It judges nothing and sends nothing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]
Key = Mapping[str, Any]

SINGLE_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
TRANSACTIONS = frozenset({"TransactWriteItems", "TransactGetItems"})
WRITES = SINGLE_WRITES | {"TransactWriteItems", "BatchWriteItem"}
READS = frozenset({"GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems"})


@dataclass(frozen=True)
class Touch:
    """One item that a request writes, checks or gets."""

    table: str
    key: Key
    is_check: bool = False


def touches(operation: str, body: Body, key_names: tuple[str, ...]) -> list[Touch]:
    """The items that a request names by key, in its order; a Query or Scan names none."""
    return list(_touches(operation, body, key_names))


def _touches(operation: str, body: Body, key_names: tuple[str, ...]) -> Iterator[Touch]:
    match operation:
        case "PutItem" | "UpdateItem" | "DeleteItem" | "GetItem":
            yield _touch(body, key_names)
        case "TransactWriteItems" | "TransactGetItems":
            for entry in body["TransactItems"]:
                ((kind, action),) = entry.items()
                yield _touch(action, key_names, is_check=kind == "ConditionCheck")
        case "BatchWriteItem":
            for table, entries in body["RequestItems"].items():
                for entry in entries:
                    ((_, action),) = entry.items()
                    yield _touch({"TableName": table, **action}, key_names)
        case "BatchGetItem":
            for table, wanted in body["RequestItems"].items():
                for key in wanted["Keys"]:
                    yield Touch(table, key)


def _touch(action: Body, key_names: tuple[str, ...], *, is_check: bool = False) -> Touch:
    key = action.get("Key") or {name: action["Item"][name] for name in key_names}
    return Touch(action["TableName"], key, is_check)


def tables(operation: str, body: Body) -> set[str]:
    """The tables that a request names."""
    if "TransactItems" in body:
        return {action["TableName"] for entry in body["TransactItems"] for action in entry.values()}
    if "RequestItems" in body:
        return set(body["RequestItems"])
    return {body["TableName"]} if "TableName" in body else set()


def key_text(key: Key) -> str:
    """A key as one line that tells it from every other."""
    return json.dumps(key, sort_keys=True)
