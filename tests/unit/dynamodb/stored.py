"""A table in memory, what lies in it, and a client that counts what it is asked."""

from __future__ import annotations

from typing import Any

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.items import Item
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.dynamodb.table import NONCE, Table
from cascade_flow.testing.memory.table_client import MemoryClient
from cascade_flow.testing.memory.tables import Memory


class Counting:
    """A client of a table of its own that notes each request; `page` entries make a page where that is said."""

    def __init__(self, *, page: int | None = None) -> None:
        self._client, self._page = MemoryClient(Memory()), page
        create_table(self._client, "t")
        self.asked: list[dict[str, Any]] = []
        self.table = Table(self, "t")

    def __getattr__(self, operation: str) -> Any:
        def ask(**request: Any) -> Any:
            self.asked.append(request)
            if operation == "query" and self._page is not None:
                request = {**request, "Limit": self._page}
            return getattr(self._client, operation)(**request)

        return ask

    def stored(self, key: keys.Key) -> Item | None:
        """What lies there, but for its key and its writer's nonce."""
        item = Table(self._client, "t").get(key)
        left_out = (keys.PARTITION, keys.SORT, NONCE)
        return None if item is None else {name: value for name, value in item.items() if name not in left_out}
