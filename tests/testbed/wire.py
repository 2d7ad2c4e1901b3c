"""The one botocore hook of the testbed: everything a client sends passes through its wire.

botocore calls every `before-send` handler and takes the first answer, so two handlers may both execute one write.
Hence one hook per client, which owns the real call, with gates before it: the scheduler first, then faults, then what
rewrites a request, then the meter, which so counts only what reaches the server. No gate's rules may enter this module.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from io import BytesIO
from typing import Any
from weakref import WeakKeyDictionary

from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HTTPHeaders
from botocore.client import BaseClient

Transport = Callable[[AWSPreparedRequest], AWSResponse]


@dataclass(frozen=True)
class Request:
    """One HTTP request on its way to a server (a retry by botocore is a request of its own)."""

    service: str
    operation: str
    prepared: AWSPreparedRequest

    @property
    def body(self) -> dict[str, Any]:
        """The request's JSON, as it goes over the wire (binary values are base64 text)."""
        raw = self.prepared.body
        return json.loads(raw) if isinstance(raw, str | bytes) and raw else {}

    def with_body(self, body: dict[str, Any]) -> "Request":
        """Put another JSON body into the request; emulators don't check the signature."""
        raw = json.dumps(body).encode()
        self.prepared.body = raw
        del self.prepared.headers["Content-Length"]
        self.prepared.headers["Content-Length"] = str(len(raw))
        return self


Send = Callable[[Request], AWSResponse]
Gate = Callable[[Request, Send], AWSResponse]


class Floor(IntEnum):
    """Where a gate stands: a lower floor is passed earlier."""

    SCHEDULE = 0
    FAULT = 1
    REWRITE = 2
    COUNT = 3


class Wire:
    """A client's way to its server: gates in the order of their floors, then the transport."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._gates: list[tuple[Floor, Gate]] = []

    def add(self, gate: Gate, *, floor: Floor) -> None:
        """Put a gate in; of two on one floor the first added is passed first."""
        self._gates = sorted([*self._gates, (floor, gate)], key=lambda entry: entry[0])

    def remove(self, gate: Gate) -> None:
        """Take a gate out; one that is not there is fine."""
        self._gates = [entry for entry in self._gates if entry[1] != gate]

    def __call__(self, request: AWSPreparedRequest, event_name: str, **_ignored: object) -> AWSResponse:
        """botocore's `before-send` hook."""
        _, service, operation = event_name.split(".")
        gates = [gate for _, gate in self._gates]
        return self._pass(Request(service, operation, request), gates)

    def _pass(self, request: Request, gates: list[Gate]) -> AWSResponse:
        if not gates:
            return self.transport(request.prepared)
        return gates[0](request, lambda onward: self._pass(onward, gates[1:]))


_wires: WeakKeyDictionary[BaseClient, Wire] = WeakKeyDictionary()
_wires_lock = threading.Lock()


def install(client: BaseClient, transport: Transport | None = None) -> Wire:
    """Give a client its wire. Without a transport the client's own connection is used."""
    with _wires_lock:
        if client in _wires:
            return _wires[client]
        anything: Any = client
        wire = Wire(transport or anything._endpoint.http_session.send)
        anything.meta.events.register_first(f"before-send.{client.meta.service_model.service_name}", wire)
        _wires[client] = wire
        return wire


def wire_of(client: BaseClient) -> Wire:
    """The wire of a client; any boto3 client that had none gets one over its own connection."""
    return install(client)


class _Raw(BytesIO):
    """What botocore expects below an answer: a body that can be streamed."""

    def stream(self, **_: object) -> Any:
        yield self.read()


def answer(request: AWSPreparedRequest, status: int, headers: Mapping[str, str], body: bytes | str) -> AWSResponse:
    """An answer as if it had come from a server."""
    raw = body.encode() if isinstance(body, str) else body
    return AWSResponse(request.url, status, HTTPHeaders.from_dict(dict(headers)), _Raw(raw))
