"""Connections that are kept for the next request, of whichever thread; a fork shares none of them."""

from __future__ import annotations

import os
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from importlib.util import find_spec
from pathlib import Path
from ssl import SSLContext, create_default_context
from urllib.parse import unquote, urlsplit

from cascade_flow.aws import environment
from cascade_flow.aws.answers import read_answer
from cascade_flow.aws.failures import NotReached
from cascade_flow.records import dataclass

KEPT = 32
"""How many idle connections to a host are kept: enough for the lanes of a sweep. Each is made when it is needed."""


@dataclass(frozen=True)
class Asked:
    """A request as it goes over the wire."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answered:
    """An answer as it came over the wire; names of headers are small."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Exchange = Callable[[Asked], Answered]


class Connections:
    """Sends requests, and keeps the connections. Time limits are in seconds."""

    def __init__(self, *, connect_s: float, read_s: float) -> None:
        self._connect_s, self._read_s = connect_s, read_s
        self._process = os.getpid()
        self._idle: defaultdict[str, list[HTTPConnection]] = defaultdict(list)

    def exchange(self, asked: Asked) -> Answered:
        """The answer to a request; one that a kept connection has lost, since the host had closed it, is sent again.

        Raises NotReached.
        """
        host = urlsplit(asked.url).netloc
        try:
            kept = self._kept(host)
            if kept is not None:
                try:
                    return self._over(kept, host, asked)
                except (ConnectionError, HTTPException):
                    pass
            return self._over(self._opened(asked.url), host, asked)
        except (OSError, HTTPException) as error:
            raise NotReached(f"{asked.method} {host}: {type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Let go of all connections; the next request opens another."""
        while self._idle:
            _, idle = self._idle.popitem()
            while idle:
                idle.pop().close()

    def _kept(self, host: str) -> HTTPConnection | None:
        if self._process != os.getpid():
            self._process, self._idle = os.getpid(), defaultdict(list)
        try:
            return self._idle[host].pop()
        except IndexError:
            return None

    def _over(self, connection: HTTPConnection, host: str, asked: Asked) -> Answered:
        """The answer over this connection, which is closed if none came, or if it is not to be kept."""
        whole = False
        try:
            connection.sock.sendall(_text(asked, connection))
            with connection.sock.makefile("rb") as file:
                answer = read_answer(file)
            whole = not answer.ends
            return Answered(answer.status, answer.headers, answer.body)
        finally:
            self._put_away(connection, host, is_whole=whole)

    def _put_away(self, connection: HTTPConnection, host: str, *, is_whole: bool) -> None:
        if is_whole and len(self._idle[host]) < KEPT:
            self._idle[host].append(connection)
        else:
            connection.close()

    def _opened(self, url: str) -> HTTPConnection:
        address, proxy = urlsplit(url), environment.proxy(url)
        nearest = urlsplit(proxy or url)
        host, port = str(nearest.hostname), nearest.port
        if address.scheme == "http":
            connection = HTTPConnection(host, port, timeout=self._connect_s)
        else:
            connection = HTTPSConnection(host, port, timeout=self._connect_s, context=_trust(environment.authorities()))
            if proxy:
                connection.set_tunnel(str(address.hostname), address.port or 443, headers=_introduced(proxy))
        connection.connect()
        connection.sock.settimeout(self._read_s)
        return connection


def _text(asked: Asked, connection: HTTPConnection) -> bytes:
    """The request as one piece, so that it takes one call of the system."""
    headers = {**asked.headers, "accept-encoding": "identity", "content-length": str(len(asked.body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{asked.method} {_target(asked.url, connection)} HTTP/1.1\r\n{lines}\r\n".encode() + asked.body


def _target(url: str, connection: HTTPConnection) -> str:
    """What the request's first line names: the whole address only to a proxy that reads along."""
    address = urlsplit(url)
    if address.scheme == "http" and (connection.host, connection.port) != (address.hostname, address.port or 80):
        return url
    return (address.path or "/") + (f"?{address.query}" if address.query else "")


def _introduced(proxy: str) -> dict[str, str]:
    """What a proxy wants to be told, where its address names a user."""
    address = urlsplit(proxy)
    if address.username is None:
        return {}
    pair = f"{unquote(address.username)}:{unquote(address.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


@cache
def _trust(authorities: str | None) -> SSLContext:
    """Whom to believe: who is named, else whom botocore believes."""
    botocore = find_spec("botocore")
    bundled = Path(botocore.origin).parent / "cacert.pem" if botocore and botocore.origin else None
    return create_default_context(cafile=authorities or (str(bundled) if bundled and bundled.exists() else None))
