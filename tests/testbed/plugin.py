"""pytest's part of the testbed: which test runs on which server, a fresh table per test, the count per server.

Loaded by tests/conftest.py. It knows pytest and servers, and nothing of the product but the table's creator, a fixture.
"""

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from testbed.emulators import DynamoDBLocal, MiniStackHttp
from testbed.servers import CreateTable, MiniStack, Moto, Server, Store, create_table, fresh_table

SERVERS: dict[str, type[Server]] = {kind.name: kind for kind in (MiniStack, MiniStackHttp, DynamoDBLocal, Moto)}
DEFAULT = ("ministack",)


class Servers:
    """The session's servers: each started when first asked for, all stopped at the end."""

    def __init__(self) -> None:
        self._running: dict[str, Server] = {}

    def running(self, name: str) -> Server:
        """The server of this name, started."""
        if name not in self._running:
            self._running[name] = _started(SERVERS[name]())
        return self._running[name]

    def stop(self) -> None:
        """Stop them all, also when one of them refuses."""
        while self._running:
            _, server = self._running.popitem()
            try:
                server.stop()
            finally:
                self.stop()


def _started(server: Server) -> Server:
    lack = server.missing()
    if lack and os.environ.get("CI"):
        pytest.fail(f"{server.name} must run in CI: {lack}", pytrace=False)
    if lack:
        pytest.skip(f"{server.name} is left out: {lack}")
    server.start()
    return server


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The session's servers."""
    running = Servers()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def server(servers: Servers, request: pytest.FixtureRequest) -> Server:
    """The server this test runs on: `--server`, else the mark `servers`, else MiniStack in this process."""
    name = request.param
    request.node.user_properties.append(("server", name))
    return servers.running(name)


@pytest.fixture(scope="session")
def table_creator() -> CreateTable:
    """Who creates a test's table."""
    return create_table


@pytest.fixture
def dynamodb(server: Server, table_creator: CreateTable) -> Iterator[Store]:
    """A fresh table on this test's server."""
    with fresh_table(server, table_creator) as store:
        yield store


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server",
        action="append",
        choices=sorted(SERVERS),
        default=[],
        help="run tests of DynamoDB on this server only; may be given several times",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        metafunc.parametrize("server", servers_of(metafunc), indirect=True)


def servers_of(metafunc: pytest.Metafunc) -> list[str]:
    """The names of the servers a test runs on."""
    mark = metafunc.definition.get_closest_marker("servers")
    marked = list(mark.args) if mark else []
    allowed = list(SERVERS) if marked == ["all"] else marked
    unknown = set(allowed) - set(SERVERS)
    if unknown:
        raise pytest.UsageError(f"No such server: {', '.join(sorted(unknown))}. There are: {', '.join(SERVERS)}.")
    asked = metafunc.config.getoption("--server")
    if not asked:
        return allowed or list(DEFAULT)
    return [name for name in asked if not mark or name in allowed]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for outcome in ("passed", "failed", "error", "skipped", "xfailed"):
        for report in terminalreporter.getreports(outcome):
            name = dict(getattr(report, "user_properties", [])).get("server")
            if name:
                counts[name, outcome] += 1
    for name in sorted({name for name, _ in counts}):
        told = ", ".join(f"{count} {outcome}" for (owner, outcome), count in sorted(counts.items()) if owner == name)
        terminalreporter.write_line(f"on {name}: {told}")
