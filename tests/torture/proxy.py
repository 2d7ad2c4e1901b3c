"""A proxy between the functions and the emulator that loses, delays and refuses what goes through it.

Functions are told of it in the variable HTTP_PROXY, as botocore knows it, so requests keep the address that they are
signed for. Only requests to DynamoDB, SQS and S3 are broken; all else passes.
"""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from cascade_flow.clock import pause_us

_SIGNED_FOR = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/(dynamodb|sqs|s3)/")
_HOP_BY_HOP = frozenset({"proxy-connection", "connection", "keep-alive", "transfer-encoding", "content-length"})
_THROTTLED = b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}'
_PATIENCE_S = 60
_LONGEST_DELAY_US = 2_000_000


class Loss(StrEnum):
    """What happens to a request on its way."""

    DROP_BEFORE = "dropped before"  # nothing was done
    DROP_AFTER = "answer dropped"  # done, and nobody learns it
    CUT = "answer cut"  # done, and half of the answer arrives
    ERROR_500 = "error 500"  # nothing was done
    THROTTLE = "throttled"  # nothing was done
    DELAY = "delayed"  # done late


Rates = Mapping[Loss, float]
CALM: Rates = {}


class LossyProxy:
    """Listens while its block lasts. `rates` may be changed at any time; `counts` says what was done."""

    def __init__(self, seed: int) -> None:
        self.rates: Rates = CALM
        self.counts: Counter[str] = Counter()
        self._dice = random.Random(seed)
        self._turn = threading.Lock()
        self._server = _Server(self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> LossyProxy:
        threading.Thread(target=self._server.serve_forever, name="proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def storm(self, rates: Rates) -> Iterator[None]:
        """Other rates while the block lasts."""
        before, self.rates = self.rates, rates
        try:
            yield
        finally:
            self.rates = before

    def fate(self, authorization: str) -> tuple[Loss | None, float]:
        """What happens to a request, and how much of it (between 0 and 1)."""
        service = _SIGNED_FOR.search(authorization)
        with self._turn:
            throw, much = self._dice.random(), self._dice.random()
            loss = self._drawn(throw) if service else None
            if loss is Loss.THROTTLE and service and service[1] != "dynamodb":
                loss = Loss.ERROR_500
            self.counts.update(["requests", *([loss.value] if loss else [])])
        return loss, much

    def _drawn(self, throw: float) -> Loss | None:
        for loss, rate in self.rates.items():
            throw -= rate
            if throw < 0:
                return loss
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, proxy: LossyProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A function that was killed reads no answer: that is what this is about."""
        self.proxy.counts["nobody listened"] += 1


class _Handler(BaseHTTPRequestHandler):
    """One connection of a function's."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        loss, much = self.server.proxy.fate(self.headers.get("Authorization", ""))
        match loss:
            case Loss.DROP_BEFORE:
                self.close_connection = True
            case Loss.ERROR_500:
                self._answer(500, {}, b"")
            case Loss.THROTTLE:
                self._answer(400, {"Content-Type": "application/x-amz-json-1.0"}, _THROTTLED)
            case Loss.DELAY:
                pause_us(int(much * _LONGEST_DELAY_US))
                self._answer(*self._asked(body))
            case Loss.DROP_AFTER:
                self._asked(body)
                self.close_connection = True
            case Loss.CUT:
                self._answer(*self._asked(body), cut=True)
            case None:
                self._answer(*self._asked(body))

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on

    def _asked(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """What the emulator answers."""
        address = urlsplit(self.path)
        connection = HTTPConnection(str(address.hostname), address.port, timeout=_PATIENCE_S)
        try:
            path = address.path + (f"?{address.query}" if address.query else "")
            connection.putrequest(self.command, path or "/", skip_host=True, skip_accept_encoding=True)
            for name, value in self._passed(self.headers.items()):
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, dict(self._passed(answer.getheaders())), answer.read()
        except (OSError, HTTPException):
            return 503, {}, b""
        finally:
            connection.close()

    def _passed(self, headers: Any) -> Iterator[tuple[str, str]]:
        yield from ((name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP)

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes, *, cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = cut or self.close_connection

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what matters is counted."""
