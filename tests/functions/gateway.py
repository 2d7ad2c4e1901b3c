"""API Gateway in front of the functions, as far as a worker needs one: a socket, and outages on wish."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import events
from events.deployed import app


class Gateway(ThreadingHTTPServer):
    """Requests are answered by the functions; while it `is_away`, by nobody."""

    daemon_threads = True
    is_away = False
    refused = 0

    def handle_error(self, request: object, client_address: object) -> None:
        """A worker that was killed doesn't wait for its answer."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if isinstance(self.server, Gateway) and self.server.is_away:
            self.server.refused += 1
            self._answer(503, {}, b"away")
            return
        name = "claim" if self.path == "/steps/claim" else "heartbeat"
        answer = app(name).handler(events.post(self.path, raw=body.decode()), events.Context())
        self._answer(answer["statusCode"], answer["headers"], answer["body"].encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def gateway() -> Iterator[Gateway]:
    """In front of this process's functions."""
    server = Gateway(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
