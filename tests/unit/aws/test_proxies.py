"""The way to AWS through a proxy: what it is told, and what goes on past it."""

from __future__ import annotations

from http.client import HTTPConnection
from types import SimpleNamespace
from typing import Any

import pytest

from cascade_flow.aws import connections, environment
from cascade_flow.aws.connections import Connections


class Opened:
    """A connection as it was opened: nobody is there."""

    def __init__(self, host: str, port: int | None, *, timeout: float, context: Any) -> None:
        self.opened = (host, port, timeout)
        self.tunnel: tuple[Any, ...] | None = None
        self.read_s: list[float] = []
        self.sock = SimpleNamespace(settimeout=self.read_s.append)

    def set_tunnel(self, host: str, port: int, *, headers: dict[str, str]) -> None:
        self.tunnel = (host, port, headers)

    def connect(self) -> None: ...


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Any:
    """How the connection to an address is opened, where this proxy leads there."""

    def open_to(url: str, proxy: str | None) -> Any:
        monkeypatch.setattr(connections, "HTTPSConnection", Opened)
        monkeypatch.setattr(environment, "proxy", lambda _: proxy)
        return Connections(connect_s=3, read_s=7)._opened(url)

    return open_to


def test_without_a_proxy_the_host_itself_is_asked(opened: Any) -> None:
    connection = opened("https://a.invalid:8443/", None)
    assert (connection.opened, connection.tunnel, connection.read_s) == (("a.invalid", 8443, 3), None, [7])


@pytest.mark.parametrize(("address", "port"), [("https://a.invalid/", 443), ("https://a.invalid:8443/", 8443)])
def test_a_proxy_makes_a_tunnel_to_the_host(opened: Any, address: str, port: int) -> None:
    connection = opened(address, "http://proxy.invalid:3128")
    assert connection.opened == ("proxy.invalid", 3128, 3)
    assert connection.tunnel == ("a.invalid", port, {})


def test_a_proxy_is_told_who_asks(opened: Any) -> None:
    told = {"Proxy-Authorization": "Basic dXNlcjpwQHNz"}
    assert opened("https://a.invalid/", "http://user:p%40ss@proxy.invalid:3128").tunnel[2] == told


@pytest.mark.parametrize(
    ("url", "nearest", "target"),
    [
        ("http://a.invalid/b?c=d", ("a.invalid", 80), "/b?c=d"),
        ("http://a.invalid:8080", ("a.invalid", 8080), "/"),
        ("http://a.invalid/b", ("proxy.invalid", 3128), "http://a.invalid/b"),
        ("http://a.invalid/b", ("a.invalid", 3128), "http://a.invalid/b"),
        ("https://a.invalid/b", ("proxy.invalid", 3128), "/b"),
    ],
)
def test_only_a_proxy_that_reads_along_is_told_the_whole_address(
    url: str, nearest: tuple[str, int], target: str
) -> None:
    assert connections._target(url, HTTPConnection(*nearest)) == target
