"""Maps and sub-workflows in a test of a workflow: run, faked, killed, timed out, looked at."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from cascade_flow import ItemFailed, Results, Retry, StepContext, Workflow
from cascade_flow.errors import DefinitionError
from cascade_flow.testing import Engine, UnexpectedEnd, in_turn


class Line(BaseModel):
    sku: str


class Order(BaseModel):
    lines: list[Line]


def refunds() -> Workflow:
    flow = Workflow("refunds")

    @flow.step(export=True)
    def receipt(input: dict[str, Any]) -> str:
        return f"back: {input['amount']}"

    return flow


def orders(inner: Any = None, **terms: Any) -> Workflow:
    flow = Workflow("orders", input=Order)

    @flow.step
    def lines(input: Order) -> list[Line]:
        return input.lines

    @flow.map(over=lines, **{"tolerate": 0.5, "retry": Retry(max_attempts=2), **terms})
    def pack(line: Line, input: Order, index: int, ctx: StepContext) -> str:
        if line.sku == "gone":
            raise ValueError("no stock")
        print(f"packing {line.sku}")
        return f"{line.sku} {index + 1} of {len(input.lines)}"

    @flow.step(export=True)
    def ship(pack: list[str | ItemFailed]) -> list[str]:
        return [str(each) for each in pack]

    if inner is not None:
        flow.run(inner, input=lambda ship: {"amount": len(ship)}, export=True)
    return flow


def of(*skus: str) -> dict[str, Any]:
    return {"lines": [{"sku": sku} for sku in skus]}


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.mark.parametrize("batch", [1, 2])
def test_each_item_is_done_and_looked_at(engine: Engine, batch: int) -> None:
    result = engine.run(orders(batch=batch), of("tea", "gone", "milk"), expect="completed")
    assert result.output == {"ship": ["tea 1 of 3", "item 1: ValueError: no stock", "milk 3 of 3"]}
    tea, gone, milk = result.steps["pack"].items
    assert (tea.status, tea.output, tea.error) == ("completed", "tea 1 of 3", None)
    assert "packing tea" in tea.logs()
    assert (gone.status, len(gone.attempts)) == ("failed", 2)
    assert gone.error is not None
    assert gone.error.message == "no stock"
    with pytest.raises(UnexpectedEnd, match="no stock"):
        _ = gone.output
    assert milk.output == "milk 3 of 3"
    assert [type(each) for each in result.steps["pack"].output] == [str, ItemFailed, str]


def test_nothing_to_go_over_is_done_at_once(engine: Engine) -> None:
    result = engine.run(orders(), of(), expect="completed")
    assert (result.output, result.steps["pack"].items) == ({"ship": []}, [])


@pytest.mark.parametrize("batch", [1, 2])
def test_more_failures_than_are_tolerated_fail_the_run(engine: Engine, batch: int) -> None:
    result = engine.run(orders(batch=batch, tolerate=0.4), of("tea", "gone"), expect="failed")
    assert result.error is not None
    assert "no stock" in str(result.error.message)
    assert result.steps["pack"].items[0].status == "completed"


@pytest.mark.parametrize("batch", [1, 3])
def test_a_fake_stands_in_for_each_item_or_for_one(engine: Engine, batch: int) -> None:
    fakes: dict[Any, Any] = {"pack": lambda line, index: f"{index}: {line.sku}", "pack/1": ConnectionError("busy")}
    result = engine.run(orders(batch=batch), of("tea", "milk", "gone"), fake=fakes, expect="completed")
    assert result.output == {"ship": ["0: tea", "item 1: ConnectionError: busy", "2: gone"]}


def test_an_items_fakes_go_by_its_attempts(engine: Engine) -> None:
    fake = {"pack/0": in_turn(ConnectionError("busy"), "at last")}
    result = engine.run(orders(), of("tea", "milk"), fake=fake, expect="completed")
    assert [len(item.attempts) for item in result.steps["pack"].items] == [2, 1]
    assert result.output == {"ship": ["at last", "milk 2 of 2"]}


@pytest.mark.parametrize("batch", [1, 2])
def test_a_worker_dies_in_an_item(engine: Engine, batch: int) -> None:
    result = engine.kill("pack/1").run(orders(batch=batch), of("tea", "milk", "oil"), expect="completed")
    assert result.output == {"ship": ["tea 1 of 3", "milk 2 of 3", "oil 3 of 3"]}
    assert [item.attempts[0].status for item in result.steps["pack"].items][1] == "died"
    assert result.steps["pack"].items[2].attempts[0].status == "completed"


@pytest.mark.parametrize("fails_at", [0, 1])
def test_an_item_of_a_batch_never_gets_a_checkpoint_of_another(engine: Engine, fails_at: int) -> None:
    """An item that failed before its checkpoint, or between two, must not read what the next one stored."""
    flow, keys = Workflow("numbers"), dict[int, set[str]]()

    @flow.step
    def numbers() -> list[int]:
        return [0, 1, 2]

    @flow.map(over=numbers, batch=3)
    def kept(number: int, ctx: StepContext) -> list[int]:
        found = []
        for at in range(2):
            if (number, at, ctx.attempt) == (1, fails_at, 1):
                raise ConnectionError("busy")
            found.append(ctx.checkpoint("part", lambda at=at: 10 * number + at))
        keys.setdefault(number, set()).add(ctx.idempotency_key)
        return found

    @flow.step(export=True)
    def result(kept: list[list[int]]) -> list[list[int]]:
        return kept

    assert engine.run(flow, expect="completed").output == {"result": [[0, 1], [10, 11], [20, 21]]}
    assert len(set().union(*keys.values())) == 3


def test_a_batch_has_the_time_of_all_its_items(engine: Engine) -> None:
    flow, left_ms = Workflow("numbers"), list[int]()

    @flow.step
    def numbers() -> list[int]:
        return [0, 1, 2]

    @flow.map(over=numbers, batch=3, timeout=7)
    def kept(number: int, ctx: StepContext) -> None:
        left_ms.append(ctx.remaining_ms or 0)

    engine.run(flow, expect="completed")
    assert all(14_000 < each <= 21_000 for each in left_ms)
    assert len(left_ms) == 3


def test_an_items_time_runs_out(engine: Engine) -> None:
    result = engine.time_out("pack/0").run(orders(timeout=60), of("tea"), expect="completed")
    first, second = result.steps["pack"].items[0].attempts
    assert first.error is not None
    assert (first.error.name, second.status) == ("TimeoutError", "completed")


def test_what_never_comes_to_an_item_is_told(engine: Engine) -> None:
    with pytest.raises(UnexpectedEnd, match=r"'pack/7': its worker was to die in attempt 1"):
        engine.kill("pack/7").run(orders(), of("tea"))


def test_a_sub_workflow_runs_its_own_steps(engine: Engine) -> None:
    result = engine.run(orders(refunds()), of("tea", "milk"), expect="completed")
    assert result.output["refunds"] == {"receipt": "back: 2"}
    inner = result.steps["refunds"].run
    assert (inner.status, inner.steps["receipt"].output) == ("completed", "back: 2")
    assert inner.output == {"receipt": "back: 2"}


def test_one_that_is_named_by_its_slug_must_be_known(engine: Engine) -> None:
    failed = engine.run(orders("refunds"), of("tea"), expect="failed")
    assert failed.error is not None
    assert "refunds" in str(failed.error.message)
    assert engine.know(refunds()).run(orders("refunds"), of("tea")).status == "completed"


def test_an_input_that_it_does_not_take_is_the_steps_failure(engine: Engine) -> None:
    other = Workflow("others", input=Order)
    other.step(id="done")(lambda: None)
    flow = Workflow("orders")
    flow.run(other, input={"lines": [{"skew": "tea"}]}, id="back")
    failed = engine.run(flow, expect="failed")
    assert failed.error is not None
    assert "step 'back' runs workflow 'others', whose input this is not: input.lines.0" in str(failed.error.message)
    assert "Traceback" not in str(failed.error.stack)
    assert len(failed.steps["back"].attempts) == 1


def test_its_output_or_a_step_of_it_is_faked(engine: Engine) -> None:
    whole = engine.run(orders(refunds()), of("tea"), fake={"refunds": {"receipt": "none"}}, expect="completed")
    assert whole.output["refunds"] == {"receipt": "none"}
    with pytest.raises(UnexpectedEnd, match="its run has not begun"):
        _ = whole.steps["refunds"].run
    part = engine.run(orders(refunds()), of("tea"), fake={"refunds/receipt": "R-7"}, expect="completed")
    assert part.output["refunds"] == {"receipt": "R-7"}


def test_its_failure_is_the_runs(engine: Engine) -> None:
    result = engine.run(orders(refunds()), of("tea"), fake={"refunds/receipt": ValueError("no account")})
    assert result.status == "failed"
    assert result.error is not None
    assert "no account" in str(result.error.message)
    again = engine.retry(result, fake={"refunds/receipt": "R-8"}, expect="completed")
    assert again.output["refunds"] == {"receipt": "R-8"}


def test_a_worker_dies_in_a_sub_workflow(engine: Engine) -> None:
    result = engine.kill("refunds/receipt").run(orders(refunds()), of("tea"), expect="completed")
    assert [each.status for each in result.steps["refunds"].run.steps["receipt"].attempts] == ["died", "completed"]


def test_a_retry_does_what_had_failed_alone(engine: Engine) -> None:
    fake = {"pack/1": ValueError("no stock"), "pack/2": ValueError("no stock")}
    failed = engine.run(orders(), of("tea", "milk", "oil"), fake=fake, expect="failed")
    mended = engine.retry(failed, fake={"pack/1": "by hand", "pack/2": "by hand"}, expect="completed")
    assert mended.output == {"ship": ["tea 1 of 3", "by hand", "by hand"]}
    assert [len(item.attempts) for item in mended.steps["pack"].items] == [1, 3, 3]


def test_no_more_go_on_than_are_let(engine: Engine) -> None:
    run = engine.submit(orders(concurrency=2, delay=timedelta(hours=1)), of("tea", "milk", "oil"))
    engine.advance("30m")
    assert [item.status for item in run.steps["pack"].items] == ["scheduled"] * 2
    engine.run_until_idle()
    assert len(run.steps["pack"].items) == 3


def test_a_map_goes_over_a_dict_and_is_read_one_by_one(engine: Engine) -> None:
    flow = Workflow("prices")

    @flow.step
    def prices() -> dict[str, float]:
        return {"tea": 4.5, "milk": 1.25}

    @flow.map(over=prices, batch=5)
    def doubled(key: str, price: float) -> tuple[str, float]:
        return key, 2 * price

    @flow.step(export=True)
    def total(doubled: Results[tuple[str, float]]) -> dict[str, float]:
        return dict(doubled)

    assert engine.run(flow, expect="completed").output == {"total": {"tea": 9.0, "milk": 2.5}}


@pytest.mark.parametrize(
    ("fake", "said"),
    [
        ({"pakc/1": 1}, "did you mean 'pack'"),
        ({"lines/1": 1}, "is no map: it has no item 1"),
        ({"refunds/reciept": 1}, "did you mean 'receipt'"),
        ({"pack": lambda lin: 1}, "takes 'lin', which the step does not"),
    ],
)
def test_what_a_fake_can_not_stand_for_is_told(engine: Engine, fake: Any, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        engine.run(orders(refunds()), of("tea"), fake=fake)


def test_only_maps_have_items_and_only_sub_workflows_runs(engine: Engine) -> None:
    result = engine.run(orders(), of("tea"))
    with pytest.raises(DefinitionError, match="is no map"):
        _ = result.steps["ship"].items
    with pytest.raises(DefinitionError, match="is no sub-workflow"):
        _ = result.steps["pack"].run
