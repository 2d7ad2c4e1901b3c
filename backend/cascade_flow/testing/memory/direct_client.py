"""Clients of services of this process: boto3's methods, arguments and answers, the SDK's own retries, no HTTP.

What the service refuses is told as the lean clients of `aws` tell it. `carry` is a client's only way out: whoever
breaks, orders or counts requests puts another in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

from cascade_flow.aws.failures import NotReached, ServiceError, asked

BUSY = frozenset({"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"})


@dataclass(frozen=True)
class Call:
    """A request: its arguments are those of the client's method."""

    service: str
    operation: str
    body: dict[str, Any]

    def with_body(self, body: dict[str, Any]) -> Call:
        return replace(self, body=body)

    def answered(self, status: int, body: dict[str, Any]) -> Told:
        return Told(status, body)


@dataclass(frozen=True)
class Told:
    """An answer; a refusal names its error by `__type`."""

    status_code: int
    body: dict[str, Any]

    @property
    def is_passing(self) -> bool:
        """Whether the SDK sends the request again."""
        return self.status_code >= 500 or self.body.get("__type") in BUSY


class DirectClient:
    """A client of one service. `tries` is how often the SDK sends a request of this service's."""

    service: str
    tries: int

    def __init__(self, serve: Callable[[Call], Told]) -> None:
        self.carry: Callable[[Call], Any] = serve
        self.meta = SimpleNamespace(endpoint_url="memory")

    def close(self) -> None:
        """There is nothing to close."""

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Send a request, again where the SDK would; raises Failure as the lean clients do."""
        send = partial(self.carry, Call(self.service, operation, arguments))
        for _ in range(self.tries - 1):
            try:
                told = asked(send)
            except NotReached:
                continue
            if not told.is_passing:
                return _result(told, operation)
        return _result(asked(send), operation)


def _result(told: Any, operation: str) -> dict[str, Any]:
    if told.status_code == 200:
        body: dict[str, Any] = told.body
        return body
    said = {**told.body}
    code, message = said.pop("__type"), said.pop("message", "") or said.pop("Message", "")
    response = {"Error": {"Code": code, "Message": message}, **said}
    raise ServiceError({**response, "ResponseMetadata": {"HTTPStatusCode": told.status_code}}, operation)
