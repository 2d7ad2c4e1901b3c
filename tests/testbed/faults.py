"""The fault injector: breaks chosen requests in ways that really happen, and proves what a process death leaves behind.

A fault stands on a client's wire before the server (`wire`): it decides whether the real call is made and what the
caller learns. It is planned by the request's number, or by seeded rates, so every run can be repeated. Stale indexes
are `memory`'s, orders of concurrent requests `turnstile`'s.
"""

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from botocore.exceptions import ConnectionClosedError

from cascade_flow.testing.memory.queue_client import SEND
from testbed import batches
from testbed.requests import SINGLE_WRITES, TRANSACTIONS
from testbed.wire import Answer, Floor, Request, Send, wire_of


class Crash(BaseException):
    """This process dies here. No `except Exception` may swallow it; a test catches it where the process ends."""


class Kind(StrEnum):
    """What happens to a request."""

    CRASH_BEFORE = "crash_before"  # the process dies, the server never heard of it
    CRASH_AFTER = "crash_after"  # the server has done it, the process dies before it learns
    DROP_BEFORE = "drop_before"  # the connection closes, nothing was done; botocore tries again
    DROP_AFTER = "drop_after"  # done, the answer is lost; botocore tries again
    THROTTLE = "throttle"  # refused for now; botocore tries again, but not what is in a transaction
    CONFLICT = "conflict"  # another transaction holds an item; no SDK tries again
    ERROR_500 = "error_500"  # the server failed, nothing was done; botocore tries again
    REFUSED = "refused"  # a queue takes no message of a batch; no SDK tries again
    HALF = "half"  # a queue takes half of a batch
    LOST = "lost"  # a queue loses what it has taken
    LATE = "late"  # a queue delivers late
    DOUBLED = "doubled"  # a queue delivers twice


CRASHES = frozenset({Kind.CRASH_BEFORE, Kind.CRASH_AFTER})
UNWOKEN = frozenset({Kind.REFUSED, Kind.HALF, Kind.LOST, Kind.LATE})
"""What costs messages, or their time."""

_OF_QUEUES = UNWOKEN | {Kind.DOUBLED}
_OF_WRITES = frozenset({Kind.CONFLICT})

_REASONS = {Kind.CONFLICT: "TransactionConflict", Kind.THROTTLE: "ThrottlingError"}
_MISHANDLED = {
    Kind.HALF: batches.half_refused,
    Kind.LOST: batches.lost,
    Kind.LATE: batches.late,
    Kind.DOUBLED: batches.doubled,
}

Plan = Callable[[int, str], Kind | None]
"""From the number of a request (from 1) and its operation to what happens to it."""


def nowhere(number: int, operation: str) -> Kind | None:
    """The plan of a clean run, which counts the requests."""
    return None


def at(kinds: Mapping[int, Kind]) -> Plan:
    """Break the requests of these numbers."""
    return lambda number, operation: kinds.get(number)


def by_rate(seed: int, rates: Mapping[Kind, float]) -> Plan:
    """Break each request with these probabilities, the same ones for the same seed."""
    dice = random.Random(seed)

    def plan(number: int, operation: str) -> Kind | None:
        throw = dice.random()
        for kind, rate in rates.items():
            throw -= rate
            if throw < 0:
                return kind
        return None

    return plan


def only(operations: set[str], plan: Plan) -> Plan:
    """A plan for some operations; the numbers are those of all requests."""
    return lambda number, operation: plan(number, operation) if operation in operations else None


def can_happen(kind: Kind, operation: str) -> bool:
    """Whether this can happen to such a request: conflicts to writes and transactions of DynamoDB, batches to SQS."""
    if kind in _OF_QUEUES:
        return operation == SEND
    return kind not in _OF_WRITES or operation in SINGLE_WRITES | TRANSACTIONS


def is_hidden(kind: Kind, operation: str) -> bool:
    """Whether the SDK hides this from its caller: nothing was done, and it sends the request again."""
    if kind is Kind.THROTTLE:
        return operation not in TRANSACTIONS
    return kind in (Kind.DROP_BEFORE, Kind.ERROR_500)


@dataclass(frozen=True)
class Passed:
    """One request that came by, and what happened to it."""

    number: int
    operation: str
    kind: Kind | None


def cases(clean: Iterable[Passed], kinds: Iterable[Kind] = tuple(Kind)) -> list[tuple[int, Kind]]:
    """Every single fault: each kind at each request of a clean run's log, where it can happen."""
    kinds = tuple(kinds)
    return [(passed.number, kind) for passed in clean for kind in kinds if can_happen(kind, passed.operation)]


class Faults:
    """Breaks requests by a plan. One for all the processes of a test, so that the numbers are the test's."""

    def __init__(self, plan: Plan = nowhere) -> None:
        self.plan = plan
        self.log: list[Passed] = []
        self._lock = threading.Lock()
        self._processes: list[_Process] = []

    def attach(self, *clients: Any) -> None:
        """Stand on the wires of these clients, which are one process: a crash of one is the death of all."""
        process = _Process(self, clients)
        self._processes.append(process)
        for client in clients:
            wire_of(client).add(process, floor=Floor.FAULT)

    def detach(self) -> None:
        """Leave all wires: faults stop, and the dead live."""
        while self._processes:
            process = self._processes.pop()
            for client in process.clients:
                wire_of(client).remove(process)

    def restart(self, *clients: Any) -> None:
        """Let clients (these, where some are named) whose process died be used by a new process."""
        for process in self._processes:
            if not clients or process.clients == clients:
                process.is_dead = False

    @property
    def answers_lost(self) -> int:
        """How many have not reached their askers, who live and ask again."""
        return sum(passed.kind is Kind.DROP_AFTER for passed in self.log)

    @property
    def happened(self) -> list[Passed]:
        """The requests that were broken."""
        return [passed for passed in self.log if passed.kind]

    def meet(self, request: Request, send: Send) -> Answer:
        """Do to the next request what is planned for it."""
        kind = self._next(request.operation)
        match kind:
            case None:
                return send(request)
            case Kind.CRASH_BEFORE:
                raise Crash(f"before {request.operation}")
            case Kind.CRASH_AFTER:
                send(request)
                raise Crash(f"after {request.operation}")
            case Kind.DROP_BEFORE:
                raise ConnectionClosedError(endpoint_url=request.service)
            case Kind.DROP_AFTER:
                send(request)
                raise ConnectionClosedError(endpoint_url=request.service)
            case Kind.THROTTLE | Kind.CONFLICT | Kind.ERROR_500 | Kind.REFUSED:
                return refusal(kind, request)
            case Kind.HALF | Kind.LOST | Kind.LATE | Kind.DOUBLED:
                return _MISHANDLED[kind](request, send)

    def _next(self, operation: str) -> Kind | None:
        with self._lock:
            number = len(self.log) + 1
            planned = self.plan(number, operation)
            kind = planned if planned and can_happen(planned, operation) else None
            self.log.append(Passed(number, operation, kind))
            return kind


@dataclass
class _Process:
    """The gate: what dies together. After a crash nothing more leaves it, from whatever thread."""

    faults: Faults
    clients: tuple[Any, ...]
    is_dead: bool = False

    def __call__(self, request: Request, send: Send) -> Answer:
        if self.is_dead:
            raise Crash("This process is dead: give what runs on a client of its own, or restart() it.")
        try:
            return self.faults.meet(request, send)
        except Crash:
            self.is_dead = True
            raise


def refusal(kind: Kind, request: Request) -> Answer:
    """The answer with which AWS refuses such a request."""
    return request.answered(*_refusal(kind, request))


def _refusal(kind: Kind, request: Request) -> tuple[int, dict[str, Any]]:
    if kind is Kind.REFUSED:
        return 403, {"__type": "AccessDenied", "message": "injected"}
    if kind is Kind.ERROR_500:
        return 500, {"__type": "InternalServerError", "message": "injected"}
    if request.operation in TRANSACTIONS:
        return _cancelled(len(request.body["TransactItems"]), _REASONS[kind])
    if kind is Kind.CONFLICT:
        return 400, {"__type": "TransactionConflictException", "message": "injected"}
    if request.service == "s3":
        return 503, {"__type": "SlowDown", "message": "injected"}
    code = "ProvisionedThroughputExceededException" if request.service == "dynamodb" else "ThrottlingException"
    return 400, {"__type": code, "message": "injected"}


def _cancelled(entries: int, reason: str) -> tuple[int, dict[str, Any]]:
    """A transaction that failed at its first entry."""
    reasons = [{"Code": reason, "Message": "injected"}, *[{"Code": "None"}] * (entries - 1)]
    told = ", ".join(str(reason["Code"]) for reason in reasons)
    return 400, {
        "__type": "TransactionCanceledException",
        "Message": f"Transaction cancelled, please refer cancellation reasons for specific reasons [{told}]",
        "CancellationReasons": reasons,
    }


@contextmanager
def faults(plan: Plan, *clients: Any) -> Iterator[Faults]:
    """Break the requests of one process while the block runs; `attach` more processes, each with its clients."""
    broken = Faults(plan)
    broken.attach(*clients)
    try:
        with without_pauses():
            yield broken
    finally:
        broken.detach()


@contextmanager
def without_pauses() -> Iterator[None]:
    """botocore's back-off before its own retries takes no time. What the product itself waits for is its clock's."""
    with patch("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None)):
        yield
