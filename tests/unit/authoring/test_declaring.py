"""What a declared workflow says about itself: steps, edges, options, registration; its steps stay functions."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import jsonschema_rs
from pydantic import BaseModel

from cascade_flow.authoring import From, Retry, StepContext, Workflow
from cascade_flow.model.workflows import GitInfo, RetryTier, StepDefinition, WorkflowRegistration


class Order(BaseModel):
    number: int
    lines: list[str] = []


def orders() -> Workflow:
    flow = Workflow("orders", name="Orders", input=Order, timeout=timedelta(hours=1))

    @flow.step
    def read(input: Order) -> list[str]:
        return input.lines

    @flow.step(export=True, timeout=30, retry=Retry(max_attempts=5, delay=0.5), after=["audit"], id="sum/total")
    def total(read: list[str], ctx: StepContext) -> int:
        return len(read)

    @flow.step(name="Audit", run_if_skipped=True, executor="vault")
    def audit(read: list[str] | None) -> None: ...

    return flow


def edges(flow: Workflow) -> dict[str, list[str]]:
    return {step.id: step.dependencies for step in flow.registration().steps}


def test_a_step_stays_a_plain_function() -> None:
    flow = Workflow("f")

    @flow.step
    def double(input: int) -> int:
        return 2 * input

    @flow.step(export=True)
    def again(double: int) -> int:
        return 2 * double

    assert again(double(3)) == 12


def test_the_registration_holds_everything_the_author_said() -> None:
    git = GitInfo(commit="c0ffee", dirty=False, branch="main")
    registration = orders().registration(git=git)

    assert (registration.slug, registration.name, registration.location) == ("orders", "Orders", __name__)
    assert registration.timeout_us == 3_600_000_000
    assert registration.git == git
    assert registration.version_id == orders().definition().version_id
    assert registration.steps == [
        StepDefinition(id="read", name="read"),
        StepDefinition(
            id="sum/total",
            name="total",
            dependencies=["read", "audit"],
            export_output=True,
            timeout_ms=30_000,
            retry=[RetryTier(max_attempts=5, delay_ms=500)],
        ),
        StepDefinition(id="audit", name="Audit", dependencies=["read"], skip_cascades=False, executor="vault"),
    ]


def test_a_registration_survives_its_own_wire_form() -> None:
    registration = orders().registration()
    assert WorkflowRegistration.model_validate_json(json.dumps(registration.to_wire())) == registration


def test_the_input_schema_is_json_schema_2020_12_and_judges_inputs() -> None:
    schema: Any = orders().registration().input_schema_json
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    judge = jsonschema_rs.Draft202012Validator(schema)
    assert judge.is_valid({"number": 1})
    assert not judge.is_valid({"lines": []})


def test_without_an_input_type_there_is_no_schema() -> None:
    flow = Workflow("free")
    flow.step(lambda_like)
    assert flow.registration().input_schema_json is None


def lambda_like(input) -> Any:  # type: ignore[no-untyped-def]
    return input


def test_a_run_may_last_seven_days_unless_said_otherwise() -> None:
    flow = Workflow("week")
    flow.step(lambda_like)
    assert flow.registration().timeout_us == 7 * 24 * 3600 * 1_000_000


def test_steps_may_name_steps_that_are_declared_later() -> None:
    flow = Workflow("later")

    @flow.step
    def last(first: int) -> int:
        return first

    @flow.step
    def first() -> int:
        return 1

    assert edges(flow) == {"last": ["first"], "first": []}


def test_a_nested_step_is_received_under_the_last_part_of_its_id() -> None:
    flow = Workflow("nested")

    @flow.step(id="load/raw-rows")
    def load_rows() -> int:
        return 1

    @flow.step
    def count(raw_rows: int) -> int:
        return raw_rows

    assert edges(flow)["count"] == ["load/raw-rows"]


def test_from_says_which_step_is_meant() -> None:
    flow = Workflow("two")

    @flow.step(id="a/rows")
    def rows_of_a() -> int:
        return 1

    @flow.step(id="b/rows")
    def rows_of_b() -> int:
        return 2

    @flow.step
    def both(left: Annotated[int, From("a/rows")], right: Annotated[int, From(rows_of_b)]) -> int:
        return left + right

    assert edges(flow)["both"] == ["a/rows", "b/rows"]


def test_after_takes_ids_functions_or_a_single_one_and_counts_an_edge_once() -> None:
    flow = Workflow("after")

    @flow.step
    def one() -> int:
        return 1

    @flow.step(id="x/two", after=one)
    def two() -> int:
        return 2

    @flow.step(after=["one", two, "two"])
    def three(one: int) -> int:
        return one

    assert edges(flow) == {"one": [], "x/two": ["one"], "three": ["one", "x/two"]}


def test_a_parameter_with_a_default_may_be_the_testers_own() -> None:
    flow = Workflow("injection")

    @flow.step
    def fetch(input: str, client: object = None) -> str:
        return input

    assert edges(flow) == {"fetch": []}


def test_tiers_of_retries_keep_their_order() -> None:
    flow = Workflow("tiers")

    @flow.step(retry=[Retry(max_attempts=2, delay=0), Retry(max_attempts=3, delay=60, give_up_on=ValueError)])
    def fetch() -> None: ...

    tiers = flow.registration().steps[0].retry
    assert [(tier.max_attempts, tier.delay_ms, tier.give_up_on) for tier in tiers] == [
        (2, 0, []),
        (3, 60_000, ["ValueError"]),
    ]


def test_any_type_that_pydantic_knows_will_do() -> None:
    @dataclass
    class Point:
        x: float

    flow = Workflow("types", input=dict[str, Point])

    @flow.step
    def points(input: dict[str, Point]) -> list[Point]:
        return list(input.values())

    @flow.step
    def first(points: list[Point]) -> Point | None:
        return points[0]

    assert edges(flow)["first"] == ["points"]


def test_the_definition_is_made_once() -> None:
    flow = orders()
    assert flow.definition() is flow.definition()
    assert repr(flow) == "Workflow('orders', 3 steps)"
