"""The table as it is asked for where no template makes it."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import ConfigurationError, ThrottledError
from cascade_flow.dynamodb.schema import create_table
from unit.dynamodb.stored import failed


class Client:
    """Notes what it is asked, in order; some of it fails."""

    def __init__(self, **failing: Exception) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._failing = failing

    def __getattr__(self, operation: str) -> Any:
        def ask(**request: Any) -> Any:
            self.asked.append((operation, request))
            if operation in self._failing:
                raise self._failing[operation]

        return ask

    def get_waiter(self, name: str) -> Any:
        self.asked.append((name, {}))
        return self


def key(hash_key: str, range_key: str) -> list[dict[str, str]]:
    return [{"AttributeName": hash_key, "KeyType": "HASH"}, {"AttributeName": range_key, "KeyType": "RANGE"}]


DEFINITION = {
    "TableName": "t",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": kind}
        for name, kind in {"pk": "S", "sk": "S", "q": "S", "due": "N", "rk": "S", "created": "N"}.items()
    ],
    "KeySchema": key("pk", "sk"),
    "GlobalSecondaryIndexes": [
        {"IndexName": "due", "KeySchema": key("q", "due"), "Projection": {"ProjectionType": "KEYS_ONLY"}},
        {
            "IndexName": "runs",
            "KeySchema": key("rk", "created"),
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["st", "tags", "exp"]},
        },
    ],
}


def test_a_table_is_made_waited_for_and_told_when_its_items_expire() -> None:
    client = Client()
    create_table(client, "t")
    assert client.asked == [
        ("create_table", DEFINITION),
        ("table_exists", {}),
        ("wait", {"TableName": "t", "WaiterConfig": {"Delay": 1, "MaxAttempts": 60}}),
        (
            "update_time_to_live",
            {"TableName": "t", "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "exp"}},
        ),
    ]


def test_a_table_that_is_there_stays_as_it_is() -> None:
    client = Client(create_table=failed("ResourceInUseException"))
    create_table(client, "t")
    assert [operation for operation, _ in client.asked] == ["create_table"]


@pytest.mark.parametrize("operation", ["create_table", "wait", "update_time_to_live"])
@pytest.mark.parametrize(
    ("code", "told"), [("AccessDeniedException", ConfigurationError), ("ThrottlingException", ThrottledError)]
)
def test_whatever_is_refused_is_told_in_our_words(operation: str, code: str, told: type[Exception]) -> None:
    with pytest.raises(told):
        create_table(Client(**{operation: failed(code)}), "t")
