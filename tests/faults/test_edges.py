"""Where a limit, a busy run or a lost answer could leave a run stuck, late or told a lie."""

import json
import random
from collections.abc import Iterator
from contextlib import suppress

import pytest

from cascade_flow import RetryTier, StepDefinition, StepError, clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.engine.commands import Complete, Fail, SkipStep
from cascade_flow.engine.state import Claimant
from cascade_flow.errors import CascadeFlowError, InputInvalidError, PayloadTooLargeError, StaleAttemptError
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.retry import delay_ms
from cascade_flow.wake import Wake
from checker import check_run
from shapes import chain
from simulation import TIMING, TickingClock, World, step
from testbed.faults import Kind, faults, only
from testbed.servers import Server, fresh_table
from testbed.wire import Answer, Floor, Request, Send, wire_of

LARGE = 300_000
DAY_US = 86_400_000_000


@pytest.fixture
def world(server: Server) -> Iterator[World]:
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        yield World(store, clock=time)


def noise(characters: int) -> str:
    """Text that can't be packed to less than three quarters."""
    return "".join(
        random.Random(7).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=characters)
    )


def claim(world: World, run_id: str, name: str, *, attempt: int = 1, branch: str | None = None) -> HeldAttempt:
    held = Steps(world.backend.runtime).claim(Wake(run_id, branch or name, name, attempt), "worker-1")
    assert held is not None
    return held


def settled(world: World, run_id: str, status: str) -> None:
    world.settle(run_id)
    assert check_run(world.observer, run_id).status == status


def test_a_worker_that_dies_after_a_long_wait_is_found_within_a_lease(world: World) -> None:
    world.register([step("a")])
    run_id = world.submit()
    for _ in range(40):
        world.clock.pause_us(TIMING.grace_us)
        world.sweep()
    claim(world, run_id, "a")
    world.clock.pause_us(max(TIMING.lease_us, TIMING.grace_us) + 1_000_000)
    assert world.sweep()["steps reclaimed"] == 1
    settled(world, run_id, "completed")


def test_a_run_that_never_rests_can_be_cancelled(world: World) -> None:
    steps = 60
    world.register(chain(steps))
    run_id = world.submit()
    worker = Steps(world.another(world.store.another_client()).runtime)
    held = claim(world, run_id, "s0")

    def restless(request: Request, send: Send) -> Answer:
        nonlocal held
        if request.operation == "Query" and held.running:
            claimant = Claimant("worker-1", clock.now_us() + TIMING.lease_us)
            with suppress(StaleAttemptError):
                held = worker.report(held, Complete("1", 1, claimant=claimant))
        return send(request)

    client = world.store.another_client()
    wire_of(client).add(restless, floor=Floor.REWRITE)
    world.another(client).cancel_run(run_id)
    checked = check_run(world.observer, run_id)
    assert checked.status == "cancelled"
    assert held.branch.step != f"s{steps - 1}", "the run was over before it was stopped"


def test_exports_that_are_too_large_together_fail_the_run(world: World) -> None:
    world.register([step("a", export_output=True), step("b", export_output=True)])
    run_id = world.submit()
    for name in ("a", "b"):
        held = claim(world, run_id, name)
        Steps(world.backend.runtime).report(held, Complete(json.dumps(noise(LARGE)), 1))
    settled(world, run_id, "failed")


def test_exports_that_are_too_large_for_an_end_by_skips_fail_the_run(world: World) -> None:
    large = [step("a", export_output=True), step("b", export_output=True)]
    world.register([*large, step("c", "a"), step("d", "b", "c")])
    run_id = world.submit()
    for name in ("a", "b"):
        held = claim(world, run_id, name)
        Steps(world.backend.runtime).report(held, Complete(json.dumps(noise(LARGE)), 1))
    world.script = {"c": ["skip"]}
    settled(world, run_id, "failed")


def test_a_submission_for_later_whose_answer_was_lost_is_answered(world: World) -> None:
    world.register([step("a")])
    plan = only({"PutItem"}, lambda number, _: Kind.DROP_AFTER if number < 4 else None)
    with faults(plan, world.store.client) as injected:
        run_id = world.submit(available_at=clock.now_us() + DAY_US)
    assert [passed.operation for passed in injected.happened] == ["PutItem"]
    assert world.observer.get_run(run_id) is not None


def test_a_join_behind_steps_that_were_skipped_together_opens_at_once(world: World) -> None:
    world.register([step("a"), step("b", "a"), step("c", "b"), step("d", "b", "c", skip_cascades=False)])
    run_id = world.submit()
    world.script = {"b": ["skip"]}
    world.deliver(world.mailbox.wakes.pop())
    assert [wake.step for wake in world.mailbox.wakes] == ["d"], "only a sweep would open it"
    settled(world, run_id, "completed")


@pytest.mark.parametrize("what", ["metadata", "error"])
def test_what_is_too_large_to_be_stored_says_so(world: World, what: str) -> None:
    world.register([step("a")])
    held = claim(world, world.submit(), "a")
    command = {
        "metadata": SkipStep("no need", 1, {"why": noise(2 * LARGE)}),
        "error": Fail(StepError(name="E", message=noise(2 * LARGE)), "execution-error", 1, retryable=False),
    }[what]
    with pytest.raises(PayloadTooLargeError):
        Steps(world.backend.runtime).report(held, command)


def test_metadata_of_a_run_that_are_too_large_are_refused(world: World) -> None:
    world.register([step("a")])
    with pytest.raises(PayloadTooLargeError):
        world.submit(metadata={"why": noise(2 * LARGE)})


def test_the_thousandth_retry_waits_as_long_as_any(world: World) -> None:
    tiers = [RetryTier(max_attempts=2_000, delay_ms=1, max_delay_ms=1_000, jitter=0)]
    assert delay_ms(tiers, 1_999, chance=0.5) == 1_000


def test_a_long_chain_of_skips_fits(world: World) -> None:
    names = [f"{n:04d}-{'x' * 251}" for n in range(1_000)]
    steps: list[StepDefinition] = [step(name, *names[max(0, n - 1) : n]) for n, name in enumerate(names)]
    world.register(steps)
    run_id = world.submit()
    world.script = {names[0]: ["skip"]}
    settled(world, run_id, "completed")


def test_a_worker_keeps_no_outputs_that_nobody_needs(world: World) -> None:
    world.register(chain(8))
    run_id = world.submit()
    held = claim(world, run_id, "s0")
    for n in range(7):
        claimant = Claimant("worker-1", clock.now_us() + TIMING.lease_us)
        held = Steps(world.backend.runtime).report(held, Complete(json.dumps(n), 1, claimant=claimant))
    assert held.known == {"s6": "6"}


def test_a_run_that_has_lost_a_payload_keeps_no_other_from_being_swept(world: World) -> None:
    world.register([step("a", export_output=True), step("b", export_output=True)])
    broken, table = world.submit(), world.store.table
    for name in ("a", "b"):
        held = claim(world, broken, name)
        for item in world.backend.runtime.ledger.table.query(keys.Span(keys.run(broken).pk, "P#", "P~")):
            key = {"pk": {"S": str(item["pk"])}, "sk": {"S": str(item["sk"])}}
            world.store.client.delete_item(TableName=table, Key=key)
        with suppress(CascadeFlowError):
            Steps(world.backend.runtime).report(held, Complete(json.dumps(noise(LARGE)), 1))
    sound = world.submit()
    world.clock.pause_us(TIMING.silence_us)
    assert world.sweep()["failed"] == 1
    settled(world, sound, "completed")


def test_an_item_that_nobody_can_read_keeps_no_other_from_being_swept(world: World) -> None:
    world.register([step("a")])
    garbled, sound = world.submit(), world.submit()
    where = keys.branch(garbled, "a")
    world.store.client.update_item(
        TableName=world.store.table,
        Key={"pk": {"S": where.pk}, "sk": {"S": where.sk}},
        UpdateExpression="SET e = :e",
        ExpressionAttributeValues={":e": {"B": b"\x01nonsense"}},
    )
    world.mailbox.wakes.clear()
    world.clock.pause_us(TIMING.silence_us)
    assert world.sweep()["failed"] == 1
    settled(world, sound, "completed")


def test_a_run_may_not_last_longer_than_a_year(world: World) -> None:
    world.register([step("a")])
    with pytest.raises(InputInvalidError, match="a year"):
        world.submit(timeout=400 * DAY_US)


def test_who_cancels_is_told_so_though_another_went_on_with_it(world: World) -> None:
    world.register([step("a")])
    run_id = world.submit()
    client = world.store.another_client()
    intended: list[str] = []

    def overtaken(request: Request, send: Send) -> Answer:
        answer = send(request)
        if request.operation == "UpdateItem" and not intended:
            intended.append(run_id)
            world.clock.pause_us(TIMING.grace_us)
            assert world.sweep()["stops resumed"] == 1
        return answer

    wire_of(client).add(overtaken, floor=Floor.REWRITE)
    plan = only({"UpdateItem"}, lambda *_: None if intended else Kind.DROP_AFTER)
    with faults(plan, client) as injected:
        world.another(client).cancel_run(run_id)
    assert [passed.operation for passed in injected.happened] == ["UpdateItem"]
    assert check_run(world.observer, run_id).status == "cancelled"
