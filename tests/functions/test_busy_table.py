"""The API while its table is throttled or hangs: an answer soon, and one that says when to come again."""

from __future__ import annotations

import random

import pytest

import events
from cascade_flow import clock
from cascade_flow.aws.opening import LIMITS, open_client
from events.deployed import Functions
from simulation import TickingClock
from testbed.faults import Kind, faults

pytestmark = pytest.mark.servers("ministack")

GATEWAY_US = 29_000_000


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("submission", events.post("/runs", {"workflowSlug": "parcels", "input": {"weights": [1]}})),
        ("query", events.get("/runs")),
        ("query", events.get("/runs/r-1")),
        ("query", events.get("/runs/r-1/events")),
        ("submission", events.post("/runs/r-1/cancel", {})),
        ("claim", events.post("/steps/claim", {"workerId": "mila"})),
        ("heartbeat", events.post("/runs/r-1/steps/weigh/heartbeat", {"workerId": "mila", "attemptNumber": 1})),
    ],
    ids=lambda each: each if isinstance(each, str) else each["rawPath"],
)
@pytest.mark.parametrize("begin", [0, 1, 2, 3])
def test_a_throttled_table_is_a_503_soon(functions: Functions, name: str, event: events.Event, begin: int) -> None:
    functions.submit(runId="r-1")
    client, ticking = functions.backend.runtime.ledger.table.client, TickingClock(clock.now_us())
    with clock.use(ticking), faults(lambda number, _: Kind.THROTTLE if number >= begin else None, client) as broken:
        before_us = clock.now_us()
        reply = functions.http(name, event)
        took_us = clock.now_us() - before_us
    if not broken.happened:
        assert reply.status in (200, 201, 409), "it asks for less than that"
        return
    assert (reply.status, reply.json["code"], reply.headers["retry-after"]) == (503, "throttled", "1")
    assert took_us < 3_000_000


def test_a_claim_that_was_written_is_answered(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step is this worker's by then: without an answer it would wait for its lease, and an attempt be spent.

    The client's pauses, drawn by chance, are as long as they are in the middle.
    """
    monkeypatch.setattr(random, "random", lambda: 0.5)
    functions.submit()
    client, written = functions.backend.runtime.ledger.table.client, list[int]()
    more_than_the_client_bears = 2 * LIMITS["dynamodb"].tries

    def after_the_claim(number: int, operation: str) -> Kind | None:
        if operation == "UpdateItem" and not written:
            written.append(number)
            return None
        return Kind.THROTTLE if written and number <= written[0] + more_than_the_client_bears else None

    with clock.use(TickingClock(clock.now_us())), faults(after_the_claim, client) as broken:
        reply = functions.http("claim", events.post("/steps/claim", {"workerId": "mila"}))
    assert len(broken.happened) == more_than_the_client_bears
    assert (reply.status, reply.json["stepId"]) == (200, "weigh")


def test_a_table_that_hangs_is_given_up_before_the_gateway_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    limits, backoff_s = LIMITS["dynamodb"], 1 + 2
    assert limits.tries * (limits.connect_s + limits.read_s) + backoff_s < GATEWAY_US // 1_000_000
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    theirs = open_client("dynamodb", transport="boto3").meta.config
    told = (theirs.connect_timeout, theirs.read_timeout, theirs.retries["total_max_attempts"])
    assert told == (limits.connect_s, limits.read_s, limits.tries)
