"""Arguments are made of stored JSON: models come back as models, absence has its rules, and misfits are named."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel, computed_field

from cascade_flow.authoring import Step, StepContext, Workflow, bind
from cascade_flow.errors import DefinitionError, InputInvalidError


class Rows(BaseModel):
    model_config = {"extra": "forbid"}
    names: list[str]
    price: Decimal = Decimal(0)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def count(self) -> int:
        return len(self.names)


@dataclass
class Point:
    x: int


class Input(BaseModel):
    size: int = 3


def step_of(function: Callable[..., Any], *, input: Any = None, **options: Any) -> Step:
    """The function as a step of a workflow that also has the step `read`."""
    flow = Workflow("f", input=input)

    @flow.step
    def read() -> Any: ...

    cast(Any, flow).step(**options)(function)
    return flow.definition().steps[function.__name__]


def bound(step: Step, *, input_json: str | None = None, **outputs: str | None) -> dict[str, Any]:
    return bind(step, input_json=input_json, outputs=outputs, context=StepContext())


def test_a_model_that_was_returned_is_received_as_that_model() -> None:
    def give() -> Rows: ...  # type: ignore[empty-body]
    def take(read: Rows) -> None: ...

    rows = Rows(names=["a", "b"], price=Decimal("1.10"))
    assert bound(step_of(take), read=step_of(give).dump_output(rows)) == {"read": rows}


@given(st.lists(st.builds(Point, st.integers(-(2**40), 2**40))))
def test_what_is_dumped_is_what_is_loaded(points: list[Point]) -> None:
    def swap(read: list[Point]) -> list[Point]:
        return read

    step = step_of(swap)
    assert bound(step, read=step.dump_output(points)) == {"read": points}


def test_without_annotations_json_is_received_as_it_is() -> None:
    def take(read, input) -> None: ...  # type: ignore[no-untyped-def]

    assert bound(step_of(take), read='{"a": [1, null]}', input_json='"x"') == {"read": {"a": [1, None]}, "input": "x"}


def test_the_input_is_validated_into_the_workflows_type() -> None:
    def take(input) -> None: ...  # type: ignore[no-untyped-def]
    def annotated(input: dict[str, int]) -> None: ...

    assert bound(step_of(take, input=Input), input_json='{"size": 4}') == {"input": Input(size=4)}
    assert bound(step_of(annotated, input=Input), input_json='{"size": 4}') == {"input": {"size": 4}}


def test_an_empty_input_reads_as_an_empty_object_or_as_what_the_parameter_allows() -> None:
    def take(input: Input) -> None: ...
    def optional(input: Input | None) -> None: ...
    def default(input: int = 7) -> None: ...
    def anything(input) -> None: ...  # type: ignore[no-untyped-def]

    assert bound(step_of(take, input=Input)) == {"input": Input()}
    assert bound(step_of(optional)) == {"input": None}
    assert bound(step_of(default)) == {"input": 7}
    assert bound(step_of(anything)) == {"input": None}


def test_the_context_goes_to_whatever_parameter_asks_for_it() -> None:
    def take(c: StepContext, read: int) -> None: ...

    context = StepContext(run_id="r1")
    arguments = bind(step_of(take), input_json=None, outputs={"read": "1"}, context=context)
    assert arguments == {"c": context, "read": 1}


def test_a_skipped_dependency_is_the_default_or_none() -> None:
    def default(read: int = 5) -> None: ...
    def optional(read: int | None) -> None: ...
    def anything(read) -> None: ...  # type: ignore[no-untyped-def]

    assert bound(step_of(default, run_if_skipped=True), read=None) == {"read": 5}
    assert bound(step_of(optional, run_if_skipped=True), read=None) == {"read": None}
    assert bound(step_of(anything, run_if_skipped=True), read=None) == {"read": None}


def test_a_parameter_of_the_testers_own_is_left_to_the_function() -> None:
    def take(read: int, client: object = object()) -> None: ...

    assert bound(step_of(take), read="1") == {"read": 1}


def test_what_does_not_fit_is_named_with_its_step_parameter_and_place() -> None:
    def take(read: Rows) -> None: ...

    with pytest.raises(InputInvalidError) as caught:
        bound(step_of(take), read='{"names": ["a", 2]}')
    assert str(caught.value) == (
        "step 'take': parameter 'read' (the output of 'read') does not fit Rows: "
        "names.1: Input should be a valid string"
    )
    assert [issue.path for issue in caught.value.issues] == ["names.1"]


def test_what_is_missing_is_named() -> None:
    def take(read: int) -> None: ...
    def need(input: int) -> None: ...

    with pytest.raises(InputInvalidError, match="was not given: load the outputs of read"):
        bound(step_of(take))
    with pytest.raises(InputInvalidError, match="is absent, since 'read' was skipped: give it a default"):
        bound(step_of(take), read=None)
    with pytest.raises(InputInvalidError, match="the run's input, which is empty, does not fit int"):
        bound(step_of(need))


def test_a_result_of_another_type_is_refused() -> None:
    def give() -> int: ...  # type: ignore[empty-body]

    step = step_of(give)
    assert step.dump_output(3) == "3"
    with pytest.raises(DefinitionError, match="what step 'give' returned is None, which does not fit its type int"):
        step.dump_output(None)


def circle() -> list[Any]:
    around: list[Any] = []
    around.append(around)
    return around


@pytest.mark.parametrize("value", [object(), circle(), {"x": {1: lambda: 1}}, "\ud800", b"\xff"])
def test_a_result_that_json_can_not_hold_is_refused(value: Any) -> None:
    def give(): ...  # type: ignore[no-untyped-def]

    with pytest.raises(DefinitionError, match="what step 'give' returned can't be stored as JSON"):
        step_of(give).dump_output(value)


def test_many_issues_are_told_shortly() -> None:
    def take(read: list[int]) -> None: ...

    with pytest.raises(InputInvalidError, match="and 3 more"):
        bound(step_of(take), read='["a","b","c","d","e","f","g","h"]')
