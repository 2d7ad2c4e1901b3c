"""What an item of DynamoDB weighs: the UTF-8 of its names and values. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Decimal
from math import ceil
from typing import Any

Value = Mapping[str, Any]
Item = Mapping[str, Value]


def item_size(item: Item) -> int:
    """The bytes of an item in DynamoDB's JSON, its attributes' names included."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(value: Value) -> int:
    """The bytes of one typed value, for instance `{"S": "text"}`."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return number_size(content)
        case "B":
            return _binary_size(content)
        case "BOOL" | "NULL":
            return 1
        case "SS" | "NS" | "BS":
            return sum(value_size({kind[0]: member}) for member in content)
        case "L":
            return 3 + sum(1 + value_size(member) for member in content)
        case "M":
            return 3 + sum(1 + len(name.encode()) + value_size(member) for name, member in content.items())
    raise ValueError(f"DynamoDB has no type {kind}.")


def _binary_size(content: bytes | str) -> int:
    """boto3 hands out bytes; on the wire they are base64."""
    return len(base64.b64decode(content)) if isinstance(content, str) else len(content)


def number_size(text: str) -> int:
    """A number's bytes: one, one for each pair of significant digits either side of the point, one for a minus."""
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int), f"{text} is no number that DynamoDB stores"
    significant = "".join(map(str, digits)).lstrip("0")
    trimmed = significant.rstrip("0")
    if not trimmed:
        return 1
    exponent += len(significant) - len(trimmed)
    aligned = len(trimmed) + exponent % 2
    return 1 + ceil(aligned / 2) + sign
