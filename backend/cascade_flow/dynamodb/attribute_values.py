"""An item's attributes as DynamoDB's protocol spells them, each with its type: texts, whole numbers and bytes.

Bytes come as such from boto3, and as base64 from the wire.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from cascade_flow.dynamodb.items import Item

Value = str | int | bytes


def raw(item: Mapping[str, Value]) -> dict[str, Any]:
    """Attributes as a request holds them."""
    return {name: _value_of(value) for name, value in item.items()}


def _value_of(value: Value) -> dict[str, Any]:
    if isinstance(value, str):
        return {"S": value}
    return {"N": str(value)} if isinstance(value, int) else {"B": value}


def plain(raw: Mapping[str, Any]) -> Item:
    """Attributes of an answer."""
    return {name: _plain_value(value) for name, value in raw.items()}


def _plain_value(raw: Mapping[str, Any]) -> Value:
    if "N" in raw:
        return int(raw["N"])
    if "S" in raw:
        return str(raw["S"])
    return b64decode(raw["B"]) if isinstance(raw["B"], str) else bytes(raw["B"])
