"""The socket: on 127.0.0.1 only, a thread a connection, ended with the process that holds it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from cascade_flow.console import page
from cascade_flow.console.answers import GUARDED, Answer, Request, problem
from cascade_flow.console.engine import Engine
from cascade_flow.console.gate import Gate
from cascade_flow.console.site import Site
from cascade_flow.errors import ConfigurationError

if TYPE_CHECKING:
    from cascade_flow.client import Client

DEFAULT_PORT = 4580
_HERE = "127.0.0.1"
_MOST_BYTES = 6_000_000
_SILENCE_S = 60


@dataclass(frozen=True)
class Wishes:
    """How a console is to be: `port` None takes the usual one, or another where it is taken."""

    port: int | None = None
    read_only: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)


class Console:
    """A console that listens; it answers while `serve` runs. A context manager, which lets go of the port."""

    def __init__(self, open_client: Callable[[], Client], wishes: Wishes) -> None:
        self._server = _bound(wishes.port)
        self._engine = Engine(open_client)
        gate = Gate(self._server.server_port)
        self.site = Site(gate, self._engine, page.files(), wishes.read_only, wishes.about)
        self._server.site = self.site

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()
        self._engine.close()

    def link(self, path: str = "/runs") -> str:
        return self.site.gate.link(path)

    def serve(self) -> None:
        """Answer until it is told to `stop`, or interrupted."""
        self._server.serve_forever(poll_interval=0.2)

    def stop(self) -> None:
        """End `serve`, which runs in another thread."""
        self._server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    site: Site

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that has gone away waits for nothing; all else is told."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _SILENCE_S

    def _do(self) -> None:
        self._send(self._answer())

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _do

    def version_string(self) -> str:
        return "cascade-console"

    def log_message(self, format: str, *args: object) -> None:
        """What is asked holds the token, and is nobody's."""

    def _answer(self) -> Answer:
        length = self.headers.get("content-length", "0")
        if "transfer-encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            return problem(411, "request-invalid", "A request says how long it is (Content-Length).")
        if int(length) > _MOST_BYTES:
            self.close_connection = True
            return problem(413, "payload-too-large", f"A request may have {_MOST_BYTES:,} bytes.")
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self.rfile.read(int(length)))
        assert isinstance(self.server, _Server)
        return self.server.site.answer(request)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        own = {"content-type": answer.content_type, "content-length": str(len(answer.body))}
        for name, value in {**GUARDED, **own, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


def _bound(port: int | None) -> _Server:
    """A server on this port; on the usual one or, where that is taken, on a free one, if none is asked for."""
    try:
        return _Server((_HERE, DEFAULT_PORT if port is None else port), _Handler)
    except OSError as error:
        if port is None:
            return _Server((_HERE, 0), _Handler)
        raise ConfigurationError(
            f"port {port} can't be listened on ({error.strerror}): name another with --port"
        ) from error
