"""List prices (on demand, us-east-1, autumn 2026), and what an operation comes to by them. Nothing is measured here.

A peer's price is its charge for the same thing, without the workers that its user runs; ours holds everything that the
engine needs: the table, the queue, and the time that a Lambda spends on the engine's behalf.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from budgets.figures import Spent

WRITE_UNIT = 0.625
READ_UNIT = 0.125
QUEUE_REQUEST = 0.40
INVOCATION = 0.20
GIGABYTE_SECOND = 13.3334
HTTP_REQUEST = 1.00
SCHEDULED_CALL = 1.00
"""Dollars per million: DynamoDB on demand, SQS, Lambda on arm64, an HTTP API, EventBridge Scheduler."""
ALARM, DASHBOARD = 0.10, 3.00
"""Dollars a month."""
LOG_GIGABYTE = 0.50

MEMORY_GB = 0.5
HOP_MS = 30
CHAIN_MS = 20


@dataclass(frozen=True)
class Around:
    """What an operation needs beside the table: requests to the queue, invocations, milliseconds of a Lambda."""

    queue_requests: float = 0
    invocations: float = 0
    lambda_ms: float = 0

    @property
    def dollars(self) -> float:
        """Per million."""
        time = self.lambda_ms / 1_000 * MEMORY_GB * GIGABYTE_SECOND
        return self.queue_requests * QUEUE_REQUEST + self.invocations * INVOCATION + time


NOTHING = Around()
IN_A_LAMBDA = Around(lambda_ms=CHAIN_MS)
THROUGH_THE_QUEUE = Around(queue_requests=3, invocations=1, lambda_ms=HOP_MS)
"""Sent, received and deleted one by one: a message is an invocation."""


def table_dollars(spent: Spent) -> float:
    """What DynamoDB bills for a million of these."""
    return spent.write_units * WRITE_UNIT + spent.read_units * READ_UNIT


@dataclass(frozen=True)
class Peer:
    """What another service charges for a million of its units, and how many an operation of ours is there."""

    name: str
    dollars: float
    units: Mapping[str, float]

    def charges(self, operation: str) -> float | None:
        """Per million; None where it has no such thing, or does not charge it apart."""
        units = self.units.get(operation)
        return None if units is None else units * self.dollars


PEERS = (
    Peer("Step Functions", 25, {"step": 1, "retry": 1}),
    Peer("Lambda durable", 8, {"step": 1, "retry": 1}),
    Peer("Temporal Cloud", 50, {"step": 1, "retry": 1, "heartbeat": 1}),
    Peer("Inngest", 50, {"step": 1, "run": 1}),
    Peer("Hatchet", 10, {"step": 1}),
)
