"""Clients of services of this process: boto3's methods, arguments, answers and errors, botocore's own retries, no HTTP.

Each has a wire (`wire`), so whatever breaks or orders the requests of a client of botocore's does so here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError

from testbed.wire import Request, Send, lay

BUSY = frozenset({"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"})


@dataclass(frozen=True)
class Call(Request):
    """A request: its arguments are those of the client's method."""

    service: str
    operation: str
    arguments: dict[str, Any]

    @property
    def body(self) -> dict[str, Any]:
        return self.arguments

    def with_body(self, body: dict[str, Any]) -> Call:
        return replace(self, arguments=body)

    def answered(self, status: int, body: dict[str, Any]) -> Told:
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


class DirectClient:
    """A client of one service. `tries` is how often botocore sends a request of this service's."""

    service: str
    tries: int

    def __init__(self, serve: Send) -> None:
        self._wire = lay(self, serve)
        self.meta = SimpleNamespace(endpoint_url="memory")

    def close(self) -> None:
        """There is nothing to close."""

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Send a request, again where botocore would; raises what boto3 would."""
        call = Call(self.service, operation, arguments)
        for _ in range(self.tries - 1):
            try:
                told: Any = self._wire.carry(call)
            except ConnectionClosedError:
                continue
            if not told.is_passing:
                return _result(told, operation)
        return _result(self._wire.carry(call), operation)


def _result(told: Any, operation: str) -> dict[str, Any]:
    if told.status_code == 200:
        body: dict[str, Any] = told.body
        return body
    said = {**told.body}
    code, message = said.pop("__type"), said.pop("message", "") or said.pop("Message", "")
    response: Any = {"Error": {"Code": code, "Message": message}, **said}
    response["ResponseMetadata"] = {"HTTPStatusCode": told.status_code}
    raise ClientError(response, operation)
