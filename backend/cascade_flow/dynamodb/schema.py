"""The table as `template.yaml` declares it, for local use and tests; a test holds the two against each other."""

from __future__ import annotations

from typing import Any

from cascade_flow.aws.failures import ServiceError
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.table import translated

RUNS_PROJECTION = ["st", "tags", keys.EXPIRY]
"""What lists and filters need of a run before they read it."""


def table_definition(name: str) -> dict[str, Any]:
    """The arguments of CreateTable."""
    typed = {keys.PARTITION: "S", keys.SORT: "S", keys.DUE_SHARD: "S", keys.DUE_TIME: "N"}
    typed |= {keys.RUNS_SHARD: "S", keys.RUNS_TIME: "N"}
    listed = {"ProjectionType": "INCLUDE", "NonKeyAttributes": RUNS_PROJECTION}
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": kind} for n, kind in typed.items()],
        "KeySchema": _key_schema(keys.PARTITION, keys.SORT),
        "GlobalSecondaryIndexes": [
            _index(keys.DUE_INDEX, keys.DUE_SHARD, keys.DUE_TIME, {"ProjectionType": "KEYS_ONLY"}),
            _index(keys.RUNS_INDEX, keys.RUNS_SHARD, keys.RUNS_TIME, listed),
        ],
    }


def create_table(client: Any, name: str) -> None:
    """Create the table where it is missing, and wait until it can be used; raises as all requests to the table do."""
    expiry = {"Enabled": True, "AttributeName": keys.EXPIRY}
    try:
        translated(lambda: client.create_table(**table_definition(name)), passing=_is_there)
    except ServiceError:
        return
    waiter = client.get_waiter("table_exists")
    translated(lambda: waiter.wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}))
    translated(lambda: client.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry))


def _is_there(error: ServiceError) -> bool:
    return error.code == "ResourceInUseException"


def _key_schema(hash_key: str, range_key: str) -> list[dict[str, str]]:
    return [{"AttributeName": hash_key, "KeyType": "HASH"}, {"AttributeName": range_key, "KeyType": "RANGE"}]


def _index(name: str, hash_key: str, range_key: str, projection: dict[str, Any]) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": _key_schema(hash_key, range_key), "Projection": projection}
