"""Steps follow each other as the graph says, whoever does them and in whatever order."""

from __future__ import annotations

import json
from itertools import permutations

import pytest

from cascade_flow import DynamoDBBackend
from contract.outside import Outside, step

pytestmark = pytest.mark.servers("all")

DIAMOND = [step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c", export_output=True)]


def scheduled(run: Outside) -> set[str]:
    return {ref.step_id for ref in run.backend.list_scheduled_steps()}


def test_a_line(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, *(step(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(12)))
    for number in range(12):
        assert scheduled(run) == {f"s{number}"}
        run.do(f"s{number}")
    assert run.status == "completed"
    assert scheduled(run) == set()


@pytest.mark.parametrize("order", [*permutations("bc")])
def test_a_diamond(backend: DynamoDBBackend, order: tuple[str, str]) -> None:
    run = Outside.at(backend, *DIAMOND)
    run.do("a")
    assert scheduled(run) == {"b", "c"}
    run.do(order[0])
    assert scheduled(run) == {order[1]}
    run.do(order[1])
    assert scheduled(run) == {"d"}
    run.do("d")
    [ended] = run.events("WorkflowCompleted")
    assert json.loads(ended.output) == {"d": "d"}
    assert (ended.total_steps, run.status) == (4, "completed")


@pytest.mark.servers("memory", "ministack", "dynamodb-local")
def test_a_fan_wider_than_one_transaction(backend: DynamoDBBackend) -> None:
    middle = [f"p/{number}" for number in range(30)]
    run = Outside.at(backend, step("a"), *(step(each, "a") for each in middle), step("j", *middle))
    run.do("a")
    assert scheduled(run) == set(middle)
    run.do(*reversed(middle))
    assert scheduled(run) == {"j"}
    run.do("j")
    assert run.status == "completed"


@pytest.mark.parametrize("order", [*permutations("bc")])
def test_two_sinks_end_the_run_once(backend: DynamoDBBackend, order: tuple[str, str]) -> None:
    run = Outside.at(backend, step("a"), step("b", "a", export_output=True), step("c", "a", export_output=True))
    run.do("a", order[0])
    assert run.status == "running"
    run.do(order[1])
    assert run.status == "completed"
    [ended] = run.events("WorkflowCompleted")
    assert json.loads(ended.output) == {"b": "b", "c": "c"}


def test_a_join_of_skipped_and_done_is_skipped(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, *DIAMOND)
    run.do("a", "b")
    run.skip("c", run.take("c"))
    assert scheduled(run) == set()


def test_a_join_may_run_all_the_same(backend: DynamoDBBackend) -> None:
    *others, join = DIAMOND
    run = Outside.at(backend, *others, join.model_copy(update={"skip_cascades": False}))
    run.do("a", "b")
    run.skip("c", run.take("c"))
    run.do("d")
    assert run.status == "completed"


def test_a_branch_may_wait_for_the_middle_of_another(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), step("b", "a"), step("c", "b"), step("x"), step("j", "b", "x"))
    run.do("a", "b")
    assert scheduled(run) == {"c", "x"}
    run.do("x")
    assert scheduled(run) == {"c", "j"}
    run.do("j", "c")
    assert run.status == "completed"
