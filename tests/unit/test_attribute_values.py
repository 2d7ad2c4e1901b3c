"""Values on their way to the table and back, each with its type."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from cascade_flow.dynamodb.attribute_values import plain, raw


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        ("", {"S": ""}),
        (" é\n", {"S": " é\n"}),
        ("7", {"S": "7"}),
        (0, {"N": "0"}),
        (-7, {"N": "-7"}),
        (10**37 + 1, {"N": f"1{'0' * 36}1"}),
        (b"", {"B": b""}),
        (b"\x00\xff", {"B": b"\x00\xff"}),
    ],
)
def test_a_value_comes_back_as_it_was(value: Any, spelled: dict[str, Any]) -> None:
    assert raw({"a": value, "b": 1}) == {"a": spelled, "b": {"N": "1"}}
    assert plain({"a": spelled, "b": {"N": "1"}}) == {"a": value, "b": 1}


@pytest.mark.parametrize("told", [b64encode(b"\x00\xff").decode(), bytearray(b"\x00\xff")], ids=["wire", "boto3"])
def test_bytes_come_as_bytes_however_they_are_told(told: Any) -> None:
    [value] = plain({"a": {"B": told}}).values()
    assert (type(value), value) == (bytes, b"\x00\xff")
