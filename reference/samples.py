"""An example of whatever a schema describes: each field holds what its name calls for."""

from __future__ import annotations

import re
from typing import Any

from reference.schemas import Schema

NOW_US = 1_795_687_200_000_000
"""2026-11-26, ten o'clock."""
RUN_ID = "01KB2Q7M3ZC4W8V9XJ5T6N0RYD"
BY_NAME: dict[str, Any] = {
    "runId": RUN_ID,
    "workflowSlug": "order",
    "slug": "order",
    "workflow": "order",
    "stepId": "payment/charge",
    "step": "payment/charge",
    "fromStepId": "payment/charge",
    "failedStep": "payment/charge",
    "cascadedFrom": "payment/charge",
    "workerId": "gpu-box-1",
    "claimedBy": "gpu-box-1",
    "idempotencyKey": "order-4711",
    "Idempotency-Key": "order-4711",
    "versionId": "8c4d3f2a91b0",
    "inputSchemaJSON": {"type": "object", "properties": {"orderId": {"type": "string"}}, "required": ["orderId"]},
    "input": {"orderId": "4711"},
    "output": {"charged": True},
    "outputs": {"reserve": {"warehouse": "north"}},
    "metadata": {"customer": "C-23"},
    "tags": ["nightly"],
    "tag": ["nightly"],
    "status": "completed",
    "reason": "the customer called",
    "cancelReason": "the customer called",
    "message": "the card was declined",
    "name": "Order",
    "cursor": f"{NOW_US}~{RUN_ID}",
    "nextCursor": f"{NOW_US}~{RUN_ID}",
    "eventId": str(NOW_US),
    "cron": "0 3 * * 1-5",
    "timezone": "Europe/Berlin",
    "lastRunId": RUN_ID,
    "priority": 0,
    "memoryBytes": 73_400_320,
    "durationUs": 1_250_000,
    "delayUs": 60_000_000,
    "everyUs": 3_600_000_000,
    "pollEveryUs": 30_000_000,
    "giveUpAfterUs": 7_200_000_000,
    "timeoutUs": 900_000_000,
    "commit": "9f2c1e7",
    "branch": "main",
}
USUAL = ("input", "idempotencyKey", "reason")
"""What a request holds that need not."""
_TYPES = {"string": str, "integer": int, "number": int, "boolean": bool, "array": list, "object": dict, None: object}
_OF_TYPE: dict[str, Any] = {"string": "text", "integer": 1, "number": 1, "boolean": True, "null": None}


def sample(schema: Schema, components: dict[str, Schema], name: str = "") -> Any:
    """One value that the schema allows; most of what need not be there is there."""
    if "$ref" in schema:
        return sample(components[schema["$ref"].rpartition("/")[2]], components, name)
    for key in ("const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    if "enum" in schema:
        return BY_NAME[name] if BY_NAME.get(name) in schema["enum"] else schema["enum"][0]
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return sample(choices[0], components, name)
    if name in BY_NAME and _fits(BY_NAME[name], schema):
        return BY_NAME[name]
    return _of_type(schema, components, name)


def _fits(value: Any, schema: Schema) -> bool:
    is_of_type = "properties" not in schema and isinstance(value, _TYPES[schema.get("type")])
    return is_of_type and re.search(schema.get("pattern", ""), str(value)) is not None


def _of_type(schema: Schema, components: dict[str, Schema], name: str) -> Any:
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, components)
    if kind == "array":
        return [sample(schema["items"], components, name.removesuffix("s"))]
    if name == "cursor":
        return str(NOW_US)
    if name.endswith("Us") and kind in ("integer", "number"):
        return NOW_US
    if name.endswith("Url"):
        return "https://bucket.s3.amazonaws.com/payloads/3f9a?X-Amz-Signature=…"
    return _OF_TYPE[kind] if kind else {"orderId": "4711"}


def _object(schema: Schema, components: dict[str, Schema]) -> dict[str, Any]:
    return {
        name: sample(field, components, name)
        for name, field in schema.get("properties", {}).items()
        if _is_shown(name, schema)
    }


def _is_shown(name: str, schema: Schema) -> bool:
    """Of a request, what most callers say; of an answer, all that can stand together."""
    is_request = schema.get("additionalProperties") is False
    if is_request:
        return name in schema.get("required", []) or name in USUAL
    return not name.endswith(("Url", "Urls")) or name in schema.get("required", [])
