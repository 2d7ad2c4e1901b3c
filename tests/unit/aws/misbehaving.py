"""A server that answers each request as it is told: the next answer of a script, byte by byte, or none."""

from __future__ import annotations

import gzip
import json
import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import parse_headers
from typing import Any
from zlib import crc32

CLOSED = b""
"""The connection closes without a word."""


def answer(said: Any, status: int = 200, *, keep: bool = True, **headers: str) -> bytes:
    """A whole answer in AWS's JSON, with its CRC32."""
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    told = {"Content-Length": str(len(body)), "x-amz-crc32": str(crc32(body)), **headers}
    told |= {} if keep else {"Connection": "close"}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {status} Told\r\n{lines}\r\n".encode() + body


def refusal(code: str, status: int = 400, **headers: str) -> bytes:
    return answer({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "told"}, status, **headers)


def gzipped(said: Any) -> bytes:
    return answer(gzip.compress(json.dumps(said).encode()), Content_Encoding="gzip")


def chunked(said: Any, *, is_whole: bool = True) -> bytes:
    text = json.dumps(said).encode()
    parts = [text[at : at + 5] for at in range(0, len(text), 5)]
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + (b"0\r\n\r\n" if is_whole else b"")
    return b"HTTP/1.1 200 Told\r\nTransfer-Encoding: chunked\r\n\r\n" + body


@dataclass
class Heard:
    """What arrived: the request line and the headers of each request, its body, and how many connections there were."""

    requests: list[tuple[str, Any, bytes]] = field(default_factory=list)
    connections: int = 0


Answerer = Callable[[bytes], bytes]


@contextmanager
def misbehaving(script: Sequence[bytes]) -> Iterator[tuple[str, Heard]]:
    """The server's address and what it hears. It hangs up after an answer that is not whole, or is to be the last."""
    left = list(script)
    with _serving(lambda _: left.pop(0)) as served:
        yield served


@contextmanager
def echoing() -> Iterator[tuple[str, Heard]]:
    """A server that behaves: each key that is asked for is an item."""
    with _serving(lambda body: answer({"Item": json.loads(body)["Key"]})) as served:
        yield served


@contextmanager
def _serving(answer_to: Answerer) -> Iterator[tuple[str, Heard]]:
    heard = Heard()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            heard.connections += 1
            while line := self.rfile.readline().decode().strip():
                headers = parse_headers(self.rfile)
                body = self.rfile.read(int(headers["content-length"]))
                heard.requests.append((line, headers, body))
                told = answer_to(body)
                self.wfile.write(told)
                if told == CLOSED or b"Connection: close" in told or told.endswith(b"..."):
                    return

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", heard
        finally:
            server.shutdown()
            thread.join()
