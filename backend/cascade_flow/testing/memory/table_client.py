"""The client of a `Memory`."""

from __future__ import annotations

from functools import cache, partial
from types import SimpleNamespace
from typing import Any

from cascade_flow.testing.memory.direct_client import Call, DirectClient, Told
from cascade_flow.testing.memory.tables import Memory, Refusal


class MemoryClient(DirectClient):
    """What the engine and the tests use of a DynamoDB client."""

    service = "dynamodb"
    tries = 10

    def __init__(self, memory: Memory) -> None:
        super().__init__(self._serve)
        self._memory = memory
        for operation in memory.operations:
            setattr(self, _method(operation), partial(self.ask, operation))

    def twin(self) -> MemoryClient:
        """Another client of the same tables."""
        return MemoryClient(self._memory)

    def get_waiter(self, name: str) -> Any:
        """What waits for a table, which is there at once."""
        return SimpleNamespace(wait=lambda **_: None)

    def get_paginator(self, name: str) -> Any:
        """All pages of a scan or a query."""
        return SimpleNamespace(paginate=partial(self._pages, getattr(self, name)))

    def _pages(self, ask: Any, **request: Any) -> Any:
        page = ask(**request)
        yield page
        while "LastEvaluatedKey" in page:
            page = ask(**request, ExclusiveStartKey=page["LastEvaluatedKey"])
            yield page

    def _serve(self, request: Call) -> Told:
        try:
            return Told(200, self._memory.answer(request.operation, request.body))
        except Refusal as refusal:
            return Told(400, refusal.body)


@cache
def _method(operation: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
