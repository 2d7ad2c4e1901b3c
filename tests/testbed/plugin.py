"""pytest's part of the testbed: which test runs on which server, a fresh table per test, the count per server.

Loaded by tests/conftest.py. It knows pytest and servers, and nothing of the product but the table's creator, a fixture.
"""

import gc
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from testbed.emulators import DynamoDBLocal, Dynoxide, MiniStackHttp
from testbed.servers import CreateTable, MemoryServer, MiniStack, Moto, Server, Store, create_table, fresh_table
from testbed.sharing import GROUPED, ByServer

SERVERS: dict[str, type[Server]] = {
    kind.name: kind for kind in (MemoryServer, MiniStack, MiniStackHttp, DynamoDBLocal, Moto, Dynoxide)
}
DEFAULT = ("memory",)
ALL = [server.name for server in (MemoryServer, MiniStack, DynamoDBLocal, Moto)]
"""What else there is a test names: MiniStack behind a socket answers as it does here, Dynoxide takes long to build."""


class Servers:
    """The session's servers: each started when first asked for, all stopped at the end."""

    def __init__(self) -> None:
        self._running: dict[str, Server] = {}
        self._failed: set[str] = set()

    def running(self, name: str) -> Server:
        """The server of this name, started. One that could not start is not tried again."""
        if name not in self._running:
            self._running[name] = self._started(name)
        return self._running[name]

    def _started(self, name: str) -> Server:
        server = SERVERS[name]()
        _require(server)
        if name in self._failed:
            pytest.fail(f"{name} did not start; see the first test that asked for it.", pytrace=False)
        self._failed.add(name)
        server.start()
        self._failed.discard(name)
        return server

    def stop(self) -> None:
        """Stop them all, also when one of them refuses."""
        while self._running:
            _, server = self._running.popitem()
            try:
                server.stop()
            finally:
                self.stop()


def _require(server: Server) -> None:
    lack = server.missing()
    if lack and os.environ.get("CI"):
        pytest.fail(f"{server.name} must run in CI: {lack}", pytrace=False)
    if lack:
        pytest.skip(f"{server.name} is left out: {lack}")


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
    """The server this test runs on: `--server`, else the mark `servers`, else the tables of this process (`memory`)."""
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


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is imported stays, and tests are short: Python's own search for garbage takes a seventh of their time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


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
        names = [pytest.param(name, marks=_marks(name)) for name in servers_of(metafunc)]
        metafunc.parametrize("server", names, indirect=True)


def _marks(server: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if server == Dynoxide.name else []


def servers_of(metafunc: pytest.Metafunc) -> list[str]:
    """The names of the servers a test runs on."""
    mark = metafunc.definition.get_closest_marker("servers")
    marked = list(mark.args) if mark else []
    allowed = ALL if marked == ["all"] else marked
    unknown = set(allowed) - set(SERVERS)
    if unknown:
        raise pytest.UsageError(f"No such server: {', '.join(sorted(unknown))}. There are: {', '.join(SERVERS)}.")
    asked = metafunc.config.getoption("--server")
    if not asked:
        return allowed or list(DEFAULT)
    return [name for name in asked if not mark or name in allowed]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByServer | None:
    return ByServer(config, log, SERVERS) if config.getoption("dist") == "loadgroup" else None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput[GROUPED] = node.config.getoption("dist") == "loadgroup"


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
