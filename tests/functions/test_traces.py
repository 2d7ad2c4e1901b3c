"""A run is one trace, whoever carries it on and by whatever queue; what it works on is in none of it."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

import events
from cascade_flow.api import resources
from cascade_flow.dynamodb.registry import list_workflows
from events.deployed import Functions, app
from functions.conftest import deployed
from testbed.servers import Store

pytestmark = pytest.mark.servers("ministack")
TRACE_ID = re.compile(r"1-[0-9a-f]{8}-[0-9a-f]{24}")


class Daemon:
    """X-Ray's daemon: takes datagrams."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def segments(self) -> list[dict[str, Any]]:
        """What has arrived; on one machine a datagram is there when it was sent."""
        found: list[dict[str, Any]] = []
        while True:
            try:
                header, document = self._socket.recv(65_536).split(b"\n", 1)
            except BlockingIOError:
                return found
            assert json.loads(header) == {"format": "json", "version": 1}
            found.append(json.loads(document))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    started = Daemon()
    yield started
    started.close()


@pytest.fixture
def traced(dynamodb: Store, environment: pytest.MonkeyPatch, daemon: Daemon) -> Iterator[Functions]:
    environment.setenv("CASCADE_TRACING", "Active")
    environment.setenv("AWS_XRAY_DAEMON_ADDRESS", daemon.address)
    with deployed(dynamodb) as functions:
        app("registration").handler({}, events.Context())
        assert list_workflows(functions.backend.runtime.ledger.table)
        yield functions


def another_process() -> None:
    """The next message is another worker's, which knows nothing of this one's."""
    app("worker").worker.cache_clear()


def test_a_run_is_one_trace_over_the_queue(traced: Functions, daemon: Daemon) -> None:
    run_id = traced.submit()
    for _ in range(3):
        another_process()
        traced.work()
    found = daemon.segments()
    assert sorted(each["annotations"]["step"] for each in found) == ["bill", "price/insurance", "price/post", "weigh"]
    [trace] = {each["trace_id"] for each in found}
    assert TRACE_ID.fullmatch(trace)
    assert {each["annotations"]["runId"] for each in found} == {run_id}
    assert len({each["id"] for each in found}) == len(found)
    assert all(re.fullmatch("[0-9a-f]{16}", each["id"]) for each in found)
    assert all(0 <= each["end_time"] - each["start_time"] < 60 for each in found)
    assert not any(each["fault"] for each in found)


def test_two_runs_are_two_traces(traced: Functions, daemon: Daemon) -> None:
    for _ in range(2):
        traced.submit()
    traced.work()
    assert len({each["trace_id"] for each in daemon.segments()}) == 2


def test_an_attempt_that_fails_is_a_fault(traced: Functions, daemon: Daemon) -> None:
    traced.submit(input={"weights": [1], "broken": True})
    traced.work()
    [failed] = daemon.segments()
    assert (failed["name"], failed["fault"]) == ("parcels/weigh", True)
    assert "scales" not in json.dumps(failed)


def test_a_daemon_that_is_away_holds_nothing_up(traced: Functions, daemon: Daemon) -> None:
    daemon.close()
    run_id = traced.submit()
    traced.work()
    assert traced.http("query", events.get(f"/runs/{run_id}")).json["run"]["status"] == "completed"


def test_nobody_is_traced_who_did_not_ask(
    functions: Functions, environment: pytest.MonkeyPatch, daemon: Daemon
) -> None:
    environment.setenv("AWS_XRAY_DAEMON_ADDRESS", daemon.address)
    resources.telemetry.cache_clear()
    functions.submit()
    functions.work()
    assert daemon.segments() == []
