"""The few hands that the directed tests share: who claims, reports, pauses, dies; and what is there then."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

from cascade_flow import DynamoDBBackend, StepDefinition, StepError, WorkflowRegistration, clock
from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.codec import Record
from cascade_flow.dynamodb.table import Put
from cascade_flow.engine.commands import Command, Complete, Fail
from cascade_flow.engine.state import Branch, Claimant, Run
from cascade_flow.operations.caller import Caller
from cascade_flow.operations.caller_steps import CallerSteps
from cascade_flow.operations.reports import Reports
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.wake import Wake
from checker import Checked, check_run
from faults.moments import pausing
from simulation import TIMING, World, step
from testbed.faults import Crash
from testbed.wire import Answer, Floor, Request, Send, wire_of

RUN = "run"
AT_ONCE = 2
"""Branches that one transaction puts here: a fork of more owes."""
DONE = Complete('"done"', 1)
FATAL = Fail(StepError(name="ValueError", message="no"), "execution-error", 1, retryable=False)
AGAIN = Fail(StepError(name="ValueError", message="not yet"), "execution-error", 1)


def begun(world: World, *steps: Any, **submission: Any) -> None:
    """A run of these steps, submitted."""
    world.register(steps)
    world.submit(run_id=RUN, **submission)


def registration(*steps: StepDefinition, slug: str = "flow", **said: Any) -> WorkflowRegistration:
    """A workflow of these steps, or of one."""
    return WorkflowRegistration(slug=slug, name=slug, steps=list(steps or [step("a")]), **said)


def claimed(
    world: World,
    step: str,
    attempt: int = 1,
    *,
    run_id: str = RUN,
    branch: str = "",
    worker: str = "worker-1",
    by: Any = None,
) -> HeldAttempt:
    """An attempt in the hands of a worker."""
    held = Steps((by or world.backend).runtime).claim(Wake(run_id, branch or step, step, attempt), worker)
    assert held is not None, f"attempt {attempt} of {step} in run {run_id} can't be claimed"
    return held


def is_refused(world: World, step: str, attempt: int = 1, *, branch: str = "") -> bool:
    """Whether a message about an attempt gives nobody anything."""
    return Steps(world.backend.runtime).claim(Wake(RUN, branch or step, step, attempt), "worker-2") is None


def reported(world: World, held: HeldAttempt, command: Command = DONE, *, by: Any = None) -> HeldAttempt:
    return Steps((by or world.backend).runtime).report(held, command)


def done(world: World, *steps: str) -> None:
    """These steps, each the first of its branch, are claimed and complete."""
    for name in steps:
        reported(world, claimed(world, name))


def going_on(worker: str = "worker-1") -> Complete:
    """The step is done, and its worker takes the next one of the branch."""
    return Complete('"done"', 1, claimant=Claimant(worker, clock.now_us() + TIMING.lease_us))


def reports_of(world: World) -> Reports:
    """What workers outside of the engine report to."""
    runtime = world.backend.runtime
    return Reports(runtime, CallerSteps(runtime, Caller(runtime)))


def branch_of(world: World, name: str) -> Branch:
    branch = found(world, name)
    assert branch is not None, f"there is no branch {name}"
    return branch


def found(world: World, name: str) -> Branch | None:
    return world.observer.runtime.ledger.branch(RUN, name)


def run_of(world: World) -> Run:
    return world.observer.runtime.run(RUN)


def item_of(world: World, key: keys.Key) -> dict[str, Any]:
    item = world.observer.runtime.ledger.table.get(key)
    assert item is not None, f"there is no item {key}"
    return item


def whole_table(world: World) -> list[dict[str, Any]]:
    """All that lies in the table, as DynamoDB has it: also what is over, and not deleted yet."""
    items = world.store.another_client().scan(TableName=world.store.table, ConsistentRead=True)["Items"]
    return sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def told_before(world: World, time_us: int) -> tuple[Record, ...]:
    """What lies in the log at this time, whoever has put it there."""
    record: Record = {"timestampUs": time_us, "type": "told before"}
    expires_s = run_of(world).expires_s
    world.observer.runtime.ledger.table.write([Put(items.commit_item(RUN, [record], expires_s=expires_s))])
    return (record,)


def silent(world: World) -> None:
    """So much time passes that a worker without heartbeats is believed to be dead."""
    world.clock.pause_us(TIMING.lease_us + TIMING.grace_us)


def dying(world: World, operation: str, *, at: int = 1, after: bool = False) -> DynamoDBBackend:
    """A backend of a process that dies at its request number `at` of this operation: before it, or after it."""
    if not after:
        return pausing(world, operation, _die, at=at)
    client, seen = world.store.another_client(), 0

    def die_after(request: Request, send: Send) -> Answer:
        nonlocal seen
        answer = send(request)
        seen += request.operation == operation
        if request.operation == operation and seen == at:
            _die()
        return answer

    wire_of(client).add(die_after, floor=Floor.SCHEDULE)
    return world.another(client)


def _die() -> None:
    raise Crash("here")


def dies(act: Callable[[], object]) -> None:
    """Let a process do something that it does not survive."""
    with suppress(Crash):
        act()
        raise AssertionError("it was to die")


def counting(world: World) -> tuple[DynamoDBBackend, list[int]]:
    """A backend, and of how many items each of its requests has been a transaction."""
    client, sizes = world.store.another_client(), list[int]()

    def counted(request: Request, send: Send) -> Answer:
        sizes.append(len(request.body.get("TransactItems", ())))
        return send(request)

    wire_of(client).add(counted, floor=Floor.SCHEDULE)
    return world.another(client), sizes


def asking(world: World) -> tuple[DynamoDBBackend, list[str]]:
    """A backend of another process, and the operations that it asks the table for, one after the other."""
    client, asked = world.store.another_client(), list[str]()

    def noted(request: Request, send: Send) -> Answer:
        asked.append(request.operation)
        return send(request)

    wire_of(client).add(noted, floor=Floor.SCHEDULE)
    return world.another(client), asked


def in_pages(world: World, others: Callable[[], object] = lambda: None, *, page: int = 0) -> DynamoDBBackend:
    """A backend whose queries come item by item, so that none is a snapshot; before its page number `page` the others
    act.
    """
    client, numbers = world.store.another_client(), count(1)

    def one_by_one(request: Request, send: Send) -> Answer:
        if request.operation != "Query":
            return send(request)
        if next(numbers) == page:
            others()
        return send(request.with_body({**request.body, "Limit": 1}))

    wire_of(client).add(one_by_one, floor=Floor.SCHEDULE)
    return world.another(client)


def ended(world: World, status: str = "completed") -> Checked:
    """What the run left when it has come to this end, by itself and within a lease."""
    world.settle(RUN, rounds=100)
    checked = check_run(world.observer, RUN)
    assert checked.status == status
    return checked
