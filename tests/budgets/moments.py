"""The moments at which operations are counted: runs of either driver, brought there by the contract's operations.

Everything that a run, a step or a report may carry is filled. A process has worked before: it knows the graphs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from budgets.measures import ERROR, SLOT, SNAPSHOT, SUBMISSION
from cascade_flow import DynamoDBBackend, LogEntry, ResourceUsage, StepDefinition, clock
from cascade_flow.offload import Bucket
from contract.called import Called
from contract.outside import register, step, submit
from shapes import chain, diamond
from testbed import wire
from testbed.inprocess import MotoTransport
from testbed.servers import connect

OUTPUT = {"order": "A-1029", "total": 1029.55, "items": ["tea", "cup", "pot"], "paid": True, "token": "8f14e45fceea"}
SUBMITTED: dict[str, Any] = {
    **{name: value for name, value in SUBMISSION.items() if name not in ("input", "timeout")},
    "input": json.dumps(SUBMISSION["input"]),
    "timeout_us": SUBMISSION["timeout"],
}
"""The same as a caller tells it."""
PLACE = {"slot_index": SLOT.index, "worker_concurrency": SLOT.concurrency}
USAGE = ResourceUsage(
    peak_memory_bytes=184_123_648,
    cpu_time_user_us=4_123_456,
    cpu_time_system_us=445_678,
    cpu_time_total_us=4_569_134,
    voluntary_context_switches=312,
    involuntary_context_switches=33,
)
LENGTH = 10
LONG = chain(LENGTH)
BUCKET = "payloads-of-budgets"


@dataclass(frozen=True)
class Hand(Called):
    """A hand on a run of either driver that leaves no field empty."""

    name: str = "orders-worker-8f14e45fceea467f"

    def claim(self, step_id: str, **options: Any) -> Any:
        return super().claim(step_id, **{"dependencies": ["s0"], **PLACE, **options})

    def beat(self, step_id: str, attempt: int = 1, **options: Any) -> None:
        super().beat(step_id, attempt, resource_snapshot=SNAPSHOT, **PLACE, **options)

    def complete(self, step_id: str, attempt: int = 1, output: Any = None, **options: Any) -> None:
        super().complete(step_id, attempt, output or OUTPUT, resource_usage=USAGE, **options)

    def fail(self, step_id: str, attempt: int = 1, *, terminal: bool = False, **options: Any) -> None:
        told: dict[str, Any] = {"failure_reason": "execution-error", "resource_usage": USAGE, **options}
        self.backend.save_step_failed(
            self.slug, self.run_id, step_id, ERROR, duration_us=1_000, attempt_number=attempt, terminal=terminal, **told
        )

    def retry(self, step_id: str, attempt: int = 1, *, delay_us: int = 0, **options: Any) -> None:
        told: dict[str, Any] = {"max_retries": 3, "total_policies": 1, "policy_index": 0, "attempt_in_policy": attempt}
        super().retry(step_id, attempt, delay_us=delay_us, **told, resource_usage=USAGE, priority=5, **options)

    def skip(self, step_id: str, attempt: int = 1, **options: Any) -> None:
        super().skip(step_id, attempt, metadata={"why": "no order"}, **options)

    def do(self, *step_ids: str) -> None:
        for step_id in step_ids:
            self.complete(step_id, self.take(step_id))

    def lines(self, step_id: str, number: int = 20) -> list[LogEntry]:
        """Log lines of a step's first attempt."""
        place: dict[str, Any] = {"workflow_slug": self.slug, "run_id": self.run_id, "step_id": step_id}
        told: dict[str, Any] = {"stream": "stdout", "attempt_number": 1, **place}
        return [
            LogEntry(timestamp_us=clock.now_us(), message=f"order A-{n:04} is priced", **told) for n in range(number)
        ]

    def run_again(self, step_id: str = "a") -> int:
        """Schedule and claim a step: the attempt."""
        self.schedule(step_id, priority=5)
        return self.take(step_id)


def nothing(backend: DynamoDBBackend) -> Hand:
    """No workflow, no run."""
    return Hand(backend, "run-1")


def registered(backend: DynamoDBBackend, *steps: StepDefinition) -> Hand:
    """A workflow that this process has submitted a run of, and cancelled it."""
    register(backend, *(steps or chain(3)), location="shop/orders.py", input_schema_json={"type": "object"})
    backend.cancel_run(submit(backend, run_id="run-0"))
    return Hand(backend, "run-1")


def with_versions(backend: DynamoDBBackend) -> Hand:
    """A workflow with three versions."""
    for length in (1, 2):
        register(backend, *chain(length))
    return registered(backend)


# -- runs that the engine drives --------------------------------------------------------------------------------------


def submitted(backend: DynamoDBBackend, *steps: StepDefinition, **options: Any) -> Hand:
    """A run that has started: its first step is due."""
    run = registered(backend, *steps)
    submit(backend, **{**SUBMISSION, "run_id": run.run_id, **options})
    return run


def held(backend: DynamoDBBackend, *steps: StepDefinition) -> Hand:
    """The first step of three is in a worker's hands."""
    run = submitted(backend, *steps)
    run.take((steps or chain(3))[0].id)
    return run


def alone(backend: DynamoDBBackend) -> Hand:
    """The only step of a run is held."""
    return held(backend, step("s0", export_output=True))


def forking(backend: DynamoDBBackend) -> Hand:
    """A step is held that two others depend on."""
    return held(backend, *diamond())


def arriving(backend: DynamoDBBackend) -> Hand:
    """The last of two steps before a join is held."""
    run = forking(backend)
    run.complete("a")
    run.do("b")
    run.take("c")
    return run


def silent(backend: DynamoDBBackend) -> Hand:
    """A worker has held a step for an hour without a word."""
    run = held(backend)
    clock.pause_us(3_600_000_000)
    return run


def failed(backend: DynamoDBBackend) -> Hand:
    """A run that failed at the second of its three steps."""
    run = held(backend)
    run.complete("s0")
    run.fail("s1", run.take("s1"), terminal=True)
    return run


def long(backend: DynamoDBBackend) -> Hand:
    """A run of ten steps that has completed, with log lines of the last."""
    run = submitted(backend, *LONG)
    names = [each.id for each in LONG]
    run.do(*names[:-1])
    run.complete(names[-1], run.take(names[-1]), logs=run.lines(names[-1]))
    return run


# -- runs that their callers drive ------------------------------------------------------------------------------------


def called(backend: DynamoDBBackend) -> Hand:
    """A process that has told of a run of this workflow before."""
    Hand.new(backend, "run-0").finish()
    return Hand(backend, "run-1")


def told(backend: DynamoDBBackend) -> Hand:
    """A run that has started."""
    run = called(backend)
    run.submit(**SUBMITTED)
    run.start()
    return run


def told_due(backend: DynamoDBBackend) -> Hand:
    """One step is scheduled."""
    run = told(backend)
    run.schedule("a", priority=5)
    return run


def told_held(backend: DynamoDBBackend) -> Hand:
    """One step is held."""
    run = told_due(backend)
    run.take("a")
    return run


def told_silent(backend: DynamoDBBackend) -> Hand:
    """A worker has held a step for an hour without a word."""
    run = told_held(backend)
    clock.pause_us(3_600_000_000)
    return run


def told_failed(backend: DynamoDBBackend) -> Hand:
    """A run that failed at its second step."""
    run = told_held(backend)
    run.complete("a")
    run.fail("b", run.run_again("b"), terminal=True)
    run.give_up()
    return run


def told_long(backend: DynamoDBBackend) -> Hand:
    """A run of ten steps that has completed, with log lines of the last."""
    run = told(backend)
    names = [each.id for each in LONG]
    for name in names:
        run.complete(name, run.run_again(name), logs=run.lines(name) if name == names[-1] else ())
    run.finish(OUTPUT)
    return run


def told_with_target(backend: DynamoDBBackend) -> Hand:
    """A run of ten steps that has completed, and another without any."""
    run = told_long(backend)
    other = replace(run, run_id="run-2")
    other.submit()
    other.start()
    return run


# -- several runs -----------------------------------------------------------------------------------------------------


def busy(backend: DynamoDBBackend) -> Hand:
    """Two runs of the engine's and one of a caller's go on, a step of each held and another due; two have ended."""
    run = submitted(backend, *diamond(), idempotency_key=None)
    run.do("a")
    run.take("b")
    second = replace(run, run_id=submit(backend, run_id="run-2"))
    second.do("a")
    second.take("c")
    third = _told_of(backend, "run-3")
    third.run_again("a")
    third.schedule("b")
    other = _told_of(backend, "run-4")
    other.fail("a", other.run_again("a"), terminal=True)
    other.give_up()
    return run


def busy_and_asked(backend: DynamoDBBackend) -> Hand:
    """The same, and somebody has asked for a report."""
    run = busy(backend)
    backend.get_throughput()
    return run


def _told_of(backend: DynamoDBBackend, run_id: str) -> Hand:
    run = Hand(backend, run_id)
    run.submit(**{**SUBMITTED, "idempotency_key": None})
    run.start()
    return run


def offloaded(backend: DynamoDBBackend) -> Hand:
    """An output that is too large for the table lies in a bucket, whose requests nobody counts."""
    client = connect("s3", None)
    wire.install(client, MotoTransport())
    client.create_bucket(Bucket=BUCKET)
    table = backend.runtime.ledger.table
    run = submitted(DynamoDBBackend(table.name, client=table.client, bucket=Bucket(BUCKET, client=client)))
    run.take("s0")
    run.complete("s0", output=[number * number for number in range(15_000)])
    return run
