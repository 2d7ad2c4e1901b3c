"""What `Engine` promises who tests a workflow: real retries, deaths, checkpoints and logs, in no time."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import Mock

import pytest

from cascade_flow import (
    ArgumentInvalidError,
    DefinitionError,
    InputInvalidError,
    Retry,
    RunNotRetryableError,
    StepContext,
    StepDefinition,
    StepReclaimed,
    Workflow,
)
from cascade_flow.testing import Engine, UnexpectedEnd, in_turn
from unit.testing.flows import Order, Receipt, Till, orders_of, rough

TEA = {"item": "tea", "price": "4.50"}
PAID = Receipt(paid=Decimal(1), key="k")
HOUR = timedelta(hours=1)


@pytest.fixture
def till() -> Till:
    return Till()


@pytest.fixture
def orders(till: Till) -> Workflow:
    return orders_of(till)


def test_a_run_goes_to_its_end_with_its_outputs_as_their_types(engine: Engine, orders: Workflow) -> None:
    result = engine.run(orders, Order(item="gift", price=Decimal("4.50")))
    assert result.status == "completed"
    assert result.error is None
    assert result.output == {"ship": {"parcel": "a parcel worth 4.50", "voucher": 5}}
    receipt = result.steps["payment"].output
    assert isinstance(receipt, Receipt)
    assert receipt.paid == Decimal("4.50")
    assert [(step.step_id, step.status) for step in result.steps.values()] == [
        ("payment", "completed"),
        ("pack", "completed"),
        ("voucher", "completed"),
        ("ship", "completed"),
    ]


def test_what_is_wrong_with_an_input_is_told_as_on_submission(engine: Engine, orders: Workflow) -> None:
    with pytest.raises(InputInvalidError, match='input: "price" is a required property'):
        engine.run(orders, {"item": "tea"})


@pytest.mark.parametrize("fake", [PAID, lambda: PAID, lambda input: PAID, Mock(return_value=PAID), in_turn(PAID)])
def test_a_fake_stands_in_for_a_step(engine: Engine, orders: Workflow, till: Till, fake: Any) -> None:
    result = engine.run(orders, TEA, fake={"payment": fake})
    assert result.output["ship"]["parcel"] == "a parcel worth 1"
    assert till.charged == []


def test_a_fake_is_given_the_steps_own_parameters(engine: Engine, orders: Workflow) -> None:
    asked: list[Any] = []

    def payment(ctx: StepContext, *, input: Order) -> Receipt:
        asked.append((input, ctx.attempt, ctx.step_id))
        return PAID

    engine.run(orders, TEA, fake={"payment": payment})
    assert asked == [(Order(item="tea", price=Decimal("4.50")), 1, "payment")]


def test_a_mock_tells_what_it_was_called_with(engine: Engine, orders: Workflow) -> None:
    pack = Mock(return_value="box")
    engine.run(orders, TEA, fake={"payment": PAID, "pack": pack})
    pack.assert_called_once_with(payment=PAID)


def test_a_fake_passes_through_the_same_types(engine: Engine, orders: Workflow) -> None:
    result = engine.run(orders, TEA, fake={"payment": {"paid": "many"}})
    assert result.steps["payment"].error is not None
    assert "what step 'payment' returned" in result.steps["payment"].error.message
    assert len(result.steps["payment"].attempts) == 1


@pytest.mark.parametrize(
    ("fakes", "told"),
    [
        ({"paymnt": 1}, "did you mean 'payment'"),
        ({"payment": lambda inptu: 1}, "takes 'inptu', which the step does not"),
        ({"payment": in_turn(1, lambda order, ctx: 1)}, "its parameters are 'ctx', 'input'"),
    ],
)
def test_a_fake_that_fits_no_step_is_told_at_once(
    engine: Engine, orders: Workflow, fakes: dict[str, Any], told: str
) -> None:
    with pytest.raises(DefinitionError, match=told):
        engine.run(orders, TEA, fake=fakes)


def test_a_retry_after_an_hour_costs_nothing(engine: Engine, orders: Workflow) -> None:
    begun, begun_s = engine.now, time.monotonic()
    result = engine.run(orders, TEA, fake={"payment": in_turn(ConnectionError("busy"), PAID)}, expect="completed")
    first, second = result.steps["payment"].attempts
    assert (first.status, second.status) == ("failed", "completed")
    assert first.error is not None
    assert (first.error.name, first.error.message) == ("ConnectionError", "busy")
    assert first.retry_at_us is not None
    assert second.started_at_us >= first.retry_at_us >= first.started_at_us + 3_600_000_000
    assert HOUR <= engine.now - begun < HOUR + timedelta(minutes=5)
    assert time.monotonic() - begun_s < 60


def test_a_worker_that_dies_before_it_reports(engine: Engine, orders: Workflow, till: Till) -> None:
    result = engine.kill("payment", attempt=1).run(orders, TEA, expect="completed")
    first, second = result.steps["payment"].attempts
    assert (first.status, second.status) == ("died", "completed")
    assert first.worker != second.worker
    assert len(till.charged) == 1, "the checkpoint was stored"
    assert [event.type for event in result.events if isinstance(event, StepReclaimed)] == ["StepReclaimed"]


def test_a_worker_that_dies_before_the_code(engine: Engine, orders: Workflow, till: Till) -> None:
    result = engine.kill("pack", when="start").run(orders, TEA, expect="completed")
    assert len(till.packed) == 1
    assert len(result.steps["pack"].attempts) == 2


def test_a_worker_that_dies_after_the_code_runs_it_twice(engine: Engine, orders: Workflow, till: Till) -> None:
    engine.kill("pack").run(orders, TEA, expect="completed")
    assert len(till.packed) == 2


def test_a_worker_that_dies_after_a_checkpoint(engine: Engine, orders: Workflow, till: Till) -> None:
    result = engine.kill("payment", after_checkpoint="charge").run(orders, TEA, expect="completed")
    assert len(till.charged) == 1
    assert [each.status for each in result.steps["payment"].attempts] == ["died", "completed"]
    assert result.steps["payment"].output.key == till.charged[0]


def test_workers_that_always_die(engine: Engine, orders: Workflow) -> None:
    for attempt in (1, 2, 3):
        engine.kill("pack", attempt=attempt)
    result = engine.run(orders, TEA)
    assert (result.status, result.steps["pack"].status) == ("failed", "failed")
    assert [each.status for each in result.steps["pack"].attempts] == ["died"] * 3


def test_a_death_that_never_came_is_told(engine: Engine, orders: Workflow) -> None:
    with pytest.raises(UnexpectedEnd, match="'pack': its worker was to die in attempt 2"):
        engine.kill("pack", attempt=2).run(orders, TEA)
    engine.run(orders, TEA, expect="completed")


def test_a_step_that_takes_too_long(engine: Engine) -> None:
    flow = Workflow("slow")

    @flow.step(timeout=30, retry=Retry(max_attempts=2, delay=1))
    def nap(ctx: StepContext) -> int:
        return ctx.attempt

    result = engine.time_out("nap").run(flow, expect="completed")
    first, _ = result.steps["nap"].attempts
    assert first.error is not None
    assert "longer than its timeout of 30 s" in first.error.message
    assert result.steps["nap"].output == 2


def test_a_step_that_really_takes_too_long_is_stopped(engine: Engine) -> None:
    flow = Workflow("hang")

    @flow.step(timeout=0.05, retry=Retry(max_attempts=1))
    def hang() -> None:
        threading.Event().wait(60)

    result = engine.run(flow)
    assert result.error is not None
    assert result.error.name == "TimeoutError"


def test_a_step_that_ends_its_process_leaves_this_one(engine: Engine) -> None:
    result = engine.run(rough(), expect="completed")
    first, second = result.steps["exits"].attempts
    assert (first.status, second.status) == ("died", "completed")
    assert first.error is not None
    assert "os._exit(3)" in first.error.message
    assert result.logs("exits") == "leaving"


def test_a_skip_cascades(engine: Engine, orders: Workflow) -> None:
    result = engine.run(orders, TEA)
    assert result.steps["voucher"].skipped == "no gift"
    assert result.steps["voucher"].status == "skipped"
    assert result.steps["payment"].skipped is None
    assert result.output["ship"]["voucher"] is None
    with pytest.raises(UnexpectedEnd, match="step 'voucher' is skipped, and so has no output"):
        _ = result.steps["voucher"].output


def test_prints_and_logs_land_in_the_runs_logs_and_on_the_screen(
    engine: Engine, orders: Workflow, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    result = engine.kill("payment").run(orders, TEA)
    assert result.logs("payment", attempt=1) == "INFO charging 4.50\nattempt 1"
    assert result.logs("payment").splitlines()[-1] == "attempt 2"
    assert result.logs("pack") == ""
    assert "attempt 1\nattempt 2\n" in capsys.readouterr().out
    assert "charging 4.50" in caplog.text


def test_an_unexpected_failure_tells_where_the_step_failed(engine: Engine) -> None:
    flow = Workflow("broken")

    @flow.step(export=True, retry=Retry(max_attempts=2, delay=60))
    def divide() -> float:
        return 1 / int("0")

    result = engine.run(flow)
    assert repr(result) == (
        "<run of broken failed: step 'divide': ZeroDivisionError: division by zero | divide failed>"
    )
    with pytest.raises(UnexpectedEnd) as told:
        _ = result.output
    assert 'return 1 / int("0")' in str(told.value)
    assert "2 attempts" in str(told.value)
    assert isinstance(told.value.__cause__, ZeroDivisionError)
    assert [entry.name for entry in told.traceback][
        -1
    ] == "unexpected" or told.value.__cause__.__traceback__ is not None
    with pytest.raises(UnexpectedEnd, match="is failed, not completed"):
        engine.run(flow, expect="completed")
    engine.run(flow, expect="failed")


def test_several_runs_and_time_between(engine: Engine, orders: Workflow) -> None:
    now, later = engine.submit(orders, TEA), engine.submit(orders, TEA, delay="2h")
    assert (now.status, later.status) == ("running", "pending")
    engine.advance("1h")
    assert (now.status, later.status) == ("completed", "pending")
    engine.advance(HOUR)
    assert later.status == "completed"


def test_an_option_that_there_is_not_is_told(engine: Engine, orders: Workflow) -> None:
    with pytest.raises(TypeError, match="dealy"):
        engine.run(orders, TEA, dealy=1)  # type: ignore[call-arg]
    with pytest.raises(ArgumentInvalidError, match="delay is 'soon'"):
        engine.run(orders, TEA, delay="soon")


def test_run_until_idle_leaves_nothing(engine: Engine, orders: Workflow) -> None:
    results = [engine.submit(orders, TEA, delay=60 * n, fake={"payment": PAID}) for n in range(3)]
    engine.run_until_idle()
    assert [result.status for result in results] == ["completed"] * 3


def test_of_what_is_due_the_urgent_comes_first(engine: Engine) -> None:
    flow, order = Workflow("flow"), []

    @flow.step
    def note(ctx: StepContext) -> None:
        order.append(ctx.run_id)

    runs = [engine.submit(flow, priority=priority) for priority in (0, -1, 1, None, 9)]
    engine.run_until_idle()
    assert order == [runs[number].run_id for number in (2, 4, 0, 1, 3)]


def test_a_failed_run_goes_on(engine: Engine, orders: Workflow, till: Till) -> None:
    failed = engine.run(orders, TEA, fake={"pack": ValueError("no box")}, expect="failed")
    with pytest.raises(UnexpectedEnd, match="no box"):
        engine.retry(failed, expect="completed")
    resumed = engine.resume(failed, fake={"pack": "bag"}, expect="completed")
    assert resumed.run_id != failed.run_id
    assert resumed.output["ship"]["parcel"] == "bag"
    retried = engine.retry(failed, fake={"pack": "box"}, expect="completed")
    assert retried.run_id == failed.run_id
    assert failed.status == "completed", "a result shows what has become of its run"
    assert len(till.charged) == 1
    again = engine.rerun(retried, from_step="payment", expect="completed")
    assert len(till.charged) == 2
    assert len(set(till.charged)) == 1, "a rerun repairs, and does not pay again"
    assert again.output["ship"]["parcel"] == "box"
    with pytest.raises(RunNotRetryableError):
        engine.resume(retried)


def test_a_rerun_after_a_fix_runs_the_mended_code(engine: Engine, orders: Workflow) -> None:
    failed = engine.run(orders, TEA, fake={"pack": ValueError("no box")})
    mended = Workflow("orders", input=Order)

    @mended.step
    def payment(input: Order) -> Receipt:
        return PAID

    @mended.step(export=True)
    def pack(payment: Receipt) -> str:
        return f"{payment.paid} in the mended box"

    result = engine.resume(failed, workflow=mended, fake={"pack": pack}, expect="completed")
    assert result.output == {"pack": "4.50 in the mended box"}


def test_a_cancelled_run(engine: Engine, orders: Workflow) -> None:
    run = engine.submit(orders, TEA, delay="1d")
    assert engine.cancel(run, "changed my mind").status == "cancelled"
    assert run.steps["payment"].status == "pending"


def test_large_outputs_and_keys(engine: Engine) -> None:
    flow = Workflow("bulky")

    @flow.step
    def write() -> list[int]:
        return list(range(60_000))

    @flow.step(export=True)
    def total(write: list[int]) -> int:
        return sum(write)

    first = engine.run(flow, idempotency_key="once")
    assert first.output == {"total": sum(range(60_000))}
    assert engine.run(flow, idempotency_key="once").run_id == first.run_id


def test_what_is_meant_for_the_test_stops_it(engine: Engine, orders: Workflow) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.run(orders, TEA, fake={"payment": interrupted})
    with pytest.raises(pytest.fail.Exception, match="as planned"):
        engine.run(orders, TEA, fake={"payment": lambda: pytest.fail("as planned")})
    with pytest.raises(pytest.exit.Exception):
        engine.run(orders, TEA, fake={"payment": lambda: pytest.exit("enough")})
    engine.run(orders, TEA, expect="completed")


def test_steps_run_in_the_tests_own_thread(engine: Engine) -> None:
    flow, seen = Workflow("threads"), list[int]()

    @flow.step
    def here() -> None:
        seen.append(threading.get_ident())

    engine.run(flow, expect="completed")
    other = threading.Thread(target=engine.run, args=(flow,))
    other.start()
    other.join()
    assert seen == [threading.get_ident(), other.ident]


def test_steps_may_do_to_the_process_what_they_like(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = Workflow("env")

    @flow.step
    def change() -> None:
        monkeypatch.setenv("CHANGED_BY_A_STEP", "yes")

    engine.run(flow, expect="completed")
    monkeypatch.undo()


def test_two_engines_know_nothing_of_each_other(orders: Workflow) -> None:
    with Engine() as one, Engine() as other:
        one.advance("1h")
        result = one.run(orders, TEA, expect="completed")
        assert other.run(orders, TEA, expect="completed").run_id != result.run_id
        assert one.now - other.now > HOUR - timedelta(minutes=5)


def test_a_step_is_found_by_its_name_or_its_function_and_else_named(engine: Engine) -> None:
    flow = Workflow("parts")

    @flow.step(id="load/orders", export=True)
    def load() -> int:
        return 1

    result = engine.run(flow, fake={load: 7})
    assert result.steps["load/orders"].output == result.steps["orders"].output == 7
    assert result.output == {"load/orders": 7}
    with pytest.raises(KeyError, match="'odrers' is no step of this workflow: did you mean 'orders'"):
        _ = result.steps["odrers"]


@pytest.mark.skipif("executor" not in StepDefinition.model_fields, reason="steps have no pools yet")
def test_steps_of_a_pool_are_played_like_all_others(engine: Engine) -> None:
    flow = Workflow("pools")
    declare: Any = flow.step

    @flow.step
    def here() -> int:
        return 1

    @declare(executor="gpu-box", export=True)
    def there(here: int) -> int:
        return here + 1

    @flow.step(export=True)
    def back(there: int) -> int:
        return there + 1

    assert engine.run(flow).output == {"there": 2, "back": 3}
