"""What a stack costs in a month in which nothing happens: what is in the template, times what AWS charges for it.

Free tiers are left out. What is counted is counted: the template's alarms and dashboards, the requests of a sweep.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.prices import (
    ALARM,
    DASHBOARD,
    GIGABYTE_SECOND,
    INVOCATION,
    LOG_GIGABYTE,
    QUEUE_REQUEST,
    READ_UNIT,
    SCHEDULED_CALL,
    WRITE_UNIT,
)
from budgets.figures import Spent
from cascade_flow import DynamoDBBackend, clock
from cascade_flow.operations.pulse import Pulse
from cascade_flow.operations.sweep import Sweep
from infra.written import function, of_type
from testbed.meter import meter
from testbed.servers import Store

MINUTES = 30 * 24 * 60
"""Of a month; the reaper is called in each."""
POLLERS, POLLS_A_MINUTE = 5, 3
"""Lambda asks an idle queue with five long polls of 20 s at a time (its documentation on SQS and scaling)."""
POLLS = POLLERS * POLLS_A_MINUTE * MINUTES
FREE_POLLS = 1_000_000
URGENT = "questions to the idle queue of urgent runs"
SWEEP_S = 0.1
LOGGED_BYTES = 1_500
"""Of a call of the reaper that finds nothing, Lambda's own lines included; both are estimates, and cents."""


@dataclass(frozen=True)
class Post:
    """So many of something, at dollars per million of it."""

    what: str
    number: float
    per_million: float
    free: int = 0
    """How many are free in an account that uses no others."""

    @property
    def dollars(self) -> float:
        return self.number * self.per_million / 1_000_000

    @property
    def dollars_of_the_first(self) -> float:
        """Of an account's first stack."""
        return max(0, self.number - self.free) * self.per_million / 1_000_000


def posts(store: Store) -> list[Post]:
    """All that is charged; `store` is a table with nothing in it."""
    gigabytes = int(function("ReaperFunction")["MemorySize"]) / 1_024
    return [
        Post("questions to the idle queue", POLLS, QUEUE_REQUEST, free=FREE_POLLS),
        Post(URGENT, POLLS, QUEUE_REQUEST, free=FREE_POLLS - POLLS),
        Post("calls of the reaper by its schedule", MINUTES, SCHEDULED_CALL),
        Post("the reaper's invocations", MINUTES, INVOCATION),
        Post(f"GB-seconds of the reaper, {SWEEP_S:g} s each", MINUTES * SWEEP_S * gigabytes, GIGABYTE_SECOND),
        Post("read units of its sweeps", MINUTES * idle_sweep(store).read_units, READ_UNIT),
        Post("write units of its signs of life", MINUTES * sign_of_life(store).write_units, WRITE_UNIT),
        Post("bytes of its log", MINUTES * LOGGED_BYTES, LOG_GIGABYTE / 1_000),
        Post("alarms", _always_there("AWS::CloudWatch::Alarm"), ALARM * 1_000_000, free=10),
        Post("dashboards", len(of_type("AWS::CloudWatch::Dashboard")), DASHBOARD * 1_000_000, free=3),
    ]


def idle_sweep(store: Store) -> Spent:
    """The requests of a sweep that finds nothing."""
    backend = DynamoDBBackend(store.table, client=store.client)
    with meter(store.client, store.table) as counting:
        Sweep(backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 60_000_000)
    return Spent.on(counting.lines)


def sign_of_life(store: Store) -> Spent:
    """The request by which the reaper notes that it was there."""
    backend = DynamoDBBackend(store.table, client=store.client)
    with meter(store.client, store.table) as counting:
        Pulse().beat(backend.runtime, clock.now_us())
    return Spent.on(counting.lines)


def _always_there(kind: str) -> int:
    """How many resources of this type every stack has, whatever was chosen."""
    return len([resource for resource in of_type(kind).values() if "Condition" not in resource])
