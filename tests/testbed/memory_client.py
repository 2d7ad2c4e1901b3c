"""The client of a `Memory`: boto3's methods, arguments, answers and errors, botocore's own retries, and no HTTP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError

from testbed.memory import Memory, Refusal
from testbed.wire import Request, lay

TRIES = 10
"""How often botocore sends a request of DynamoDB."""
BUSY = frozenset({"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"})


@dataclass(frozen=True)
class Call(Request):
    """A request: its arguments are those of the client's method."""

    operation: str
    arguments: dict[str, Any]
    service: str = "dynamodb"

    @property
    def body(self) -> dict[str, Any]:
        return self.arguments

    def with_body(self, body: dict[str, Any]) -> Call:
        return replace(self, arguments=body)

    def refused(self, status: int, body: dict[str, Any]) -> Told:
        return Told(status, body)


@dataclass(frozen=True)
class Told:
    """An answer."""

    status_code: int
    body: dict[str, Any]

    @property
    def is_passing(self) -> bool:
        """Whether botocore sends the request again."""
        return self.status_code >= 500 or self.body.get("__type") in BUSY


class MemoryClient:
    """What the engine and the tests use of a DynamoDB client."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._wire = lay(self, self._serve)
        self.meta = SimpleNamespace(endpoint_url="memory")
        for operation in memory.operations:
            setattr(self, _method(operation), partial(self._ask, operation))

    def twin(self) -> MemoryClient:
        """A client of the same tables, with a wire of its own."""
        return MemoryClient(self._memory)

    def close(self) -> None:
        """There is nothing to close."""

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

    def _ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        call = Call(operation, arguments)
        for _ in range(TRIES - 1):
            try:
                told: Any = self._wire.carry(call)
            except ConnectionClosedError:
                continue
            if not told.is_passing:
                return _result(told, operation)
        return _result(self._wire.carry(call), operation)

    def _serve(self, request: Request) -> Told:
        try:
            return Told(200, self._memory.answer(request.operation, request.body))
        except Refusal as refusal:
            return Told(400, refusal.body)


def _method(operation: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")


def _result(told: Any, operation: str) -> dict[str, Any]:
    if told.status_code == 200:
        body: dict[str, Any] = told.body
        return body
    said = {**told.body}
    code, message = said.pop("__type"), said.pop("message", "") or said.pop("Message", "")
    response: Any = {"Error": {"Code": code, "Message": message}, **said}
    response["ResponseMetadata"] = {"HTTPStatusCode": told.status_code}
    raise ClientError(response, operation)
