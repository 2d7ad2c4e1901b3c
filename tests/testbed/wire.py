"""The one hook of the testbed in a client: everything that it sends passes through its wire.

botocore calls every `before-send` handler and takes the first answer, so two handlers may both execute one write.
Hence one hook per client, which owns the real call, with gates before it: the scheduler first, then faults, then what
rewrites a request, then the meter, which so counts only what reaches the server. No gate's rules may enter this module.
Clients that are not botocore's have a wire as well, and the same gates: the lean ones of `cascade_flow.aws`, between
their tries and their connections, and those of `cascade_flow.testing.memory`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from io import BytesIO
from typing import Any, Protocol
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HTTPHeaders
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from cascade_flow.aws import failures
from cascade_flow.aws.clients import Client
from cascade_flow.aws.connections import Answered, Asked, Exchange
from cascade_flow.aws.failures import ServiceError
from cascade_flow.testing.memory.direct_client import DirectClient, Told

Transport = Callable[[AWSPreparedRequest], AWSResponse]
REFUSALS = (ClientError, ServiceError)
"""What boto3's clients raise for a refusal, and all others."""


class Answer(Protocol):
    """What a request has come to, as far as all gates know it; the rest is its client's."""

    @property
    def status_code(self) -> int: ...


class Request(Protocol):
    """One request on its way to a server (a retry is a request of its own)."""

    @property
    def service(self) -> str: ...

    @property
    def operation(self) -> str: ...

    @property
    def body(self) -> dict[str, Any]:
        """The request's arguments; over HTTP its JSON, with binary values as base64 text."""

    def with_body(self, body: dict[str, Any]) -> Request:
        """The same request with other arguments; emulators don't check the signature."""

    def answered(self, status: int, body: dict[str, Any]) -> Answer:
        """An answer as of a server that has not seen the request; a refusal names its error by `__type`."""


@dataclass(frozen=True)
class HttpRequest:
    """A request over HTTP, of whichever client, as botocore has it."""

    service: str
    operation: str
    prepared: AWSPreparedRequest

    @property
    def body(self) -> dict[str, Any]:
        raw = self.prepared.body
        return json.loads(raw) if isinstance(raw, str | bytes) and raw else {}

    def with_body(self, body: dict[str, Any]) -> HttpRequest:
        raw = json.dumps(body).encode()
        self.prepared.body = raw
        del self.prepared.headers["Content-Length"]
        self.prepared.headers["Content-Length"] = str(len(raw))
        return self

    def answered(self, status: int, body: dict[str, Any]) -> Answer:
        named = {"x-amzn-errortype": body["__type"]} if "__type" in body else {}
        return answer(self.prepared, status, {"content-type": "application/x-amz-json-1.0", **named}, json.dumps(body))


Send = Callable[[Request], Answer]
Gate = Callable[[Request, Send], Answer]


class Floor(IntEnum):
    """Where a gate stands: a lower floor is passed earlier."""

    SCHEDULE = 0
    FAULT = 1
    REWRITE = 2
    COUNT = 3


class Wire:
    """A client's way to its server: gates in the order of their floors, then the server."""

    def __init__(self, server: Send) -> None:
        self._server = self._way = server
        self._gates: list[tuple[Floor, Gate]] = []

    def add(self, gate: Gate, *, floor: Floor) -> None:
        """Put a gate in; of two on one floor the first added is passed first."""
        self._lay(sorted([*self._gates, (floor, gate)], key=lambda entry: entry[0]))

    def remove(self, gate: Gate) -> None:
        """Take a gate out; one that is not there is fine."""
        self._lay([entry for entry in self._gates if entry[1] != gate])

    def carry(self, request: Request) -> Answer:
        """Send a request through all gates."""
        return self._way(request)

    def _lay(self, gates: list[tuple[Floor, Gate]]) -> None:
        self._gates, self._way = gates, self._server
        for _, gate in reversed(gates):
            self._way = _through(gate, self._way)


def _through(gate: Gate, onward: Send) -> Send:
    return lambda request: gate(request, onward)


class HttpWire(Wire):
    """A wire whose requests are HTTP's; `transport` is what sends one, or answers it in this process."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(lambda request: transport(request.prepared))  # type: ignore[attr-defined]
        self.transport = transport


class BotocoreWire(HttpWire):
    """The wire of a client of botocore."""

    def __call__(self, request: AWSPreparedRequest, event_name: str, **_ignored: object) -> AWSResponse:
        """botocore's `before-send` hook."""
        _, service, operation = event_name.split(".")
        carried = self.carry(HttpRequest(service, operation, request))
        assert isinstance(carried, AWSResponse)
        return carried


class LeanWire(HttpWire):
    """The wire of a lean client."""

    def __init__(self, service: str, transport: Transport) -> None:
        super().__init__(transport)
        self._service = service

    def exchange(self, asked: Asked) -> Answered:
        """What the client takes for its connections; whoever breaks them here breaks them for it."""
        request = HttpRequest(self._service, _operation(asked), _prepared(asked))
        carried: Any = failures.asked(partial(self.carry, request))
        headers = {name.lower(): value for name, value in carried.headers.items()}
        return Answered(carried.status_code, headers, carried.content)


def _operation(asked: Asked) -> str:
    of_objects = {"PUT": "PutObject", "GET": "GetObject"}
    target = asked.headers.get("x-amz-target")
    return target.rpartition(".")[2] if target else of_objects[asked.method]


def _prepared(asked: Asked) -> AWSPreparedRequest:
    return AWSPreparedRequest(asked.method, asked.url, HTTPHeaders.from_dict(dict(asked.headers)), asked.body, False)


def _sending(exchange: Exchange) -> Transport:
    """A lean client's own connections, as botocore would call them."""

    def send(prepared: AWSPreparedRequest) -> AWSResponse:
        named = {name.lower(): text_of(value) for name, value in prepared.headers.items()}
        headers = {"host": urlsplit(prepared.url).netloc, **named}
        headers.pop("content-length", None)
        answered = exchange(Asked(prepared.method, prepared.url, headers, _bytes(prepared.body)))
        return answer(prepared, answered.status, answered.headers, answered.body)

    return send


def text_of(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _bytes(body: Any) -> bytes:
    raw: bytes = body.encode() if isinstance(body, str) else body or b""
    return raw


_wires: WeakKeyDictionary[Any, Wire] = WeakKeyDictionary()
_wires_lock = threading.Lock()


def install(client: BaseClient, transport: Transport | None = None) -> Wire:
    """Give a client of botocore its wire. Without a transport the client's own connection is used."""
    with _wires_lock:
        if client in _wires:
            return _wires[client]
        anything: Any = client
        wire = BotocoreWire(transport or anything._endpoint.http_session.send)
        anything.meta.events.register_first(f"before-send.{client.meta.service_model.service_name}", wire)
        _wires[client] = wire
        return wire


def install_lean(client: Client, transport: Transport | None = None) -> Wire:
    """The same for a lean client."""
    with _wires_lock:
        if client not in _wires:
            service = client.service
            wire = LeanWire(service.place.name, transport or _sending(service.exchange))
            service.exchange, _wires[client] = wire.exchange, wire
        return _wires[client]


def wire_of(client: Any) -> Wire:
    """The wire of a client; one that had none gets it, in front of its own connection."""
    if isinstance(client, Client):
        return install_lean(client)
    return _laid(client) if isinstance(client, DirectClient) else install(client)


def _laid(client: DirectClient) -> Wire:
    with _wires_lock:
        if client not in _wires:
            serve: Any = client.carry
            _wires[client] = Wire(serve)
            client.carry = _wires[client].carry
        return _wires[client]


class _Raw(BytesIO):
    """What botocore expects below an answer: a body that can be streamed."""

    def stream(self, **_: object) -> Any:
        yield self.read()


def answer(request: AWSPreparedRequest, status: int, headers: Mapping[str, str], body: bytes | str) -> AWSResponse:
    """An answer as if it had come from a server."""
    raw = body.encode() if isinstance(body, str) else body
    return AWSResponse(request.url, status, HTTPHeaders.from_dict(dict(headers)), _Raw(raw))


def said_by(told: Answer) -> dict[str, Any]:
    """What an answer says, whoever's it is."""
    if isinstance(told, Told):
        return told.body
    assert isinstance(told, AWSResponse)
    said: dict[str, Any] = json.loads(told.content or b"{}")
    return said
