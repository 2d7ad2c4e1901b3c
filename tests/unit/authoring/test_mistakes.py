"""Every mistake of a declaration is found before anything runs; its message names workflow, step and cure."""

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from cascade_flow.authoring import From, Retry, StepContext, Workflow
from cascade_flow.errors import DefinitionError


class Unknown:
    """A type that pydantic can't carry."""


def flow_with_read() -> Workflow:
    flow = Workflow("orders")

    @flow.step
    def read() -> int:
        return 1

    return flow


def refused(build: Callable[[Workflow], Any]) -> str:
    """The message that building a step upon a workflow with the step `read` ends in."""
    flow = flow_with_read()

    def declare() -> None:
        build(flow)
        flow.definition()

    with pytest.raises(DefinitionError) as caught:
        declare()
    message = str(caught.value)
    assert message.startswith("workflow 'orders', step ")
    return message


def test_an_unknown_parameter_is_answered_with_the_name_that_was_meant() -> None:
    def total(raed: int) -> int:
        return raed

    message = refused(lambda flow: flow.step(total))
    assert "step 'total': parameter 'raed' names no step: did you mean 'read'?" in message


def test_an_unknown_parameter_like_no_other_is_answered_with_the_steps() -> None:
    def total(q: int) -> int:
        return q

    assert "the steps are 'read', 'total'" in refused(lambda flow: flow.step(total))


def test_a_parameter_with_a_default_may_not_look_like_a_misspelt_step() -> None:
    def total(raed: int = 0) -> int:
        return raed

    assert "looks like 'read': rename it" in refused(lambda flow: flow.step(total))


def test_a_parameter_named_after_the_function_of_a_renamed_step_is_told_the_id() -> None:
    def build(flow: Workflow) -> None:
        @flow.step(id="fetch")
        def load_rows() -> int:
            return 1

        @flow.step
        def total(load_rows: int) -> int:
            return load_rows

    assert "the function load_rows is step 'fetch': call it 'fetch'" in refused(build)


def test_a_parameter_that_may_mean_two_steps_must_say_which() -> None:
    def build(flow: Workflow) -> None:
        @flow.step(id="other/read")
        def other() -> int:
            return 1

        @flow.step
        def total(read: int) -> int:
            return read

    assert "may mean 'read', 'other/read': say which with Annotated[..., From('read')]" in refused(build)


def test_after_must_name_a_step() -> None:
    def total() -> None: ...

    assert "'raed' is no step of this workflow: did you mean 'read'?" in refused(
        lambda flow: flow.step(after=["raed"])(total)
    )
    assert "'len' is no step of this workflow" in refused(lambda flow: flow.step(after=len)(total))
    assert "'3' is no step of this workflow" in refused(lambda flow: flow.step(after=3)(total))  # type: ignore[call-overload]


def test_from_must_name_a_step() -> None:
    def total(rows: Annotated[int, From("reed")]) -> int:
        return rows

    assert "did you mean 'read'?" in refused(lambda flow: flow.step(total))


def test_a_cycle_is_drawn() -> None:
    def build(flow: Workflow) -> None:
        @flow.step
        def a(c: int) -> int:
            return c

        @flow.step
        def b(a: int) -> int:
            return a

        @flow.step
        def c(b: int) -> int:
            return b

        flow.definition()

    with pytest.raises(DefinitionError, match=r"a → b → c → a|b → c → a → b|c → a → b → c") as caught:
        build(flow_with_read())
    assert str(caught.value).startswith("workflow 'orders': these steps wait for each other")


def test_a_step_can_not_wait_for_itself() -> None:
    def total(total: int) -> int:
        return total

    assert "it depends on itself" in refused(lambda flow: flow.step(total))


def test_two_steps_can_not_share_an_id() -> None:
    def read() -> int:
        return 2

    assert "step 'read': a step with this id exists already" in refused(lambda flow: flow.step(read))


@pytest.mark.parametrize("bad", ["", "_private", "a//b", "a/", "mit Leerzeichen", "ü", "x" * 257, "$"])
def test_a_bad_id_is_refused_with_the_cure(bad: str) -> None:
    def total() -> None: ...

    assert "is no step id" in refused(lambda flow: flow.step(id=bad)(total))


def test_a_function_whose_name_is_no_id_needs_one() -> None:
    def _total() -> None: ...

    assert "Give another with id=" in refused(lambda flow: flow.step(_total))
    assert "'<lambda>' is no step id" in refused(lambda flow: flow.step(lambda: None))


@pytest.mark.parametrize("id", ["input", "load/input"])
def test_no_step_is_called_input(id: str) -> None:
    def total() -> None: ...

    assert "a step can't be called 'input'" in refused(lambda flow: flow.step(id=id)(total))


@pytest.mark.parametrize("timeout", [0, -1, timedelta(0), "5", True, float("nan"), float("inf")])
def test_a_timeout_is_more_than_nothing(timeout: Any) -> None:
    def total() -> None: ...

    assert "give more than 0 seconds, or a timedelta" in refused(lambda flow: flow.step(timeout=timeout)(total))


@pytest.mark.parametrize("retry", [3, [], [3], "x"])
def test_a_retry_is_a_policy(retry: Any) -> None:
    def total() -> None: ...

    assert "give a Retry or a list of them" in refused(lambda flow: flow.step(retry=retry)(total))


def test_generators_are_refused_async_ones_too() -> None:
    def generator() -> Iterator[int]:
        yield 1

    async def asynchronous() -> AsyncIterator[int]:
        yield 1

    assert "a step can't yield" in refused(lambda flow: flow.step(generator))
    assert "a step can't yield" in refused(lambda flow: flow.step(asynchronous))


def test_only_functions_are_steps() -> None:
    assert "is no function" in refused(lambda flow: flow.step(Unknown))
    assert "is no function" in refused(lambda flow: flow.step(functools.partial(print, 1)))


def test_parameters_that_no_name_can_fill_are_refused() -> None:
    def many(*rows: int) -> None: ...
    def keywords(**rows: int) -> None: ...
    def positional(read: int, /) -> None: ...

    assert "parameter '*rows: int' can't be filled" in refused(lambda flow: flow.step(many))
    assert "parameter '**rows: int' can't be filled" in refused(lambda flow: flow.step(keywords))
    assert "is positional-only" in refused(lambda flow: flow.step(positional))


def test_types_that_json_can_not_carry_are_refused() -> None:
    def gives() -> Unknown:
        return Unknown()

    def takes(read: Unknown) -> None: ...
    def calls() -> Callable[[], int]:
        return lambda: 1

    assert "its return type" in refused(lambda flow: flow.step(gives))
    assert "parameter 'read' can't be carried as JSON" in refused(lambda flow: flow.step(takes))
    assert "can't be carried as JSON" in refused(lambda flow: flow.step(calls))


def test_an_annotation_that_names_nothing_is_refused() -> None:
    def total(read: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert "an annotation can't be read (name 'Missing' is not defined)" in refused(lambda flow: flow.step(total))


def test_a_default_must_fit_its_parameter() -> None:
    def total(read: int = "none") -> int:  # type: ignore[assignment]
        return read

    def stored(read: Any = object()) -> None: ...  # noqa: B008

    assert "the default of parameter 'read'" in refused(lambda flow: flow.step(total))
    assert "can't be stored as JSON" in refused(lambda flow: flow.step(stored))


def test_a_step_that_runs_in_spite_of_skips_must_do_without() -> None:
    def total(read: int) -> int:
        return read

    message = refused(lambda flow: flow.step(run_if_skipped=True)(total))
    assert "parameter 'read' can't do without: give it a default, or the type int | None" in message


def test_an_unannotated_context_is_explained() -> None:
    def total(ctx) -> None: ...  # type: ignore[no-untyped-def]

    assert "the context is annotated StepContext" in refused(lambda flow: flow.step(total))


def test_an_optional_context_is_a_context() -> None:
    flow = flow_with_read()

    @flow.step
    def total(ctx: StepContext | None = None, also: Annotated[StepContext, "x"] = None) -> None: ...  # type: ignore[assignment]

    assert flow.definition().steps["total"].dependencies == ()


def test_all_mistakes_are_told_at_once() -> None:
    flow = flow_with_read()

    @flow.step
    def one(x: int) -> None: ...

    @flow.step
    def two(y: int) -> None: ...

    with pytest.raises(DefinitionError) as caught:
        flow.definition()
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "workflow 'orders', step 'one'",
        "workflow 'orders', step 'two'",
    ]


def test_a_workflow_needs_a_slug_steps_a_timeout_and_an_input_that_is_json() -> None:
    class Input(BaseModel):
        run: Any = object()

    with pytest.raises(DefinitionError, match="is no workflow slug"):
        Workflow("two words")
    with pytest.raises(DefinitionError, match="workflow 'w': timeout is 0"):
        Workflow("w", timeout=0)
    with pytest.raises(DefinitionError, match=r"workflow 'w': timeout is .* at most a year"):
        Workflow("w", timeout=timedelta(days=366))
    with pytest.raises(DefinitionError, match=r"workflow 'w' has no steps: put @w\.step above a function"):
        Workflow("w").definition()
    bad = Workflow("w", input=Input)
    bad.step(lambda_like)
    with pytest.raises(DefinitionError, match="workflow 'w', input: the input's type can't be carried as JSON"):
        bad.definition()


def lambda_like(input: Any) -> Any:
    return input


def test_a_complete_workflow_takes_no_more_steps() -> None:
    flow = flow_with_read()
    flow.definition()
    with pytest.raises(DefinitionError, match="the workflow was already complete"):
        flow.step(lambda_like)


@pytest.mark.parametrize(
    "options",
    [
        {"max_attempts": 0},
        {"max_attempts": 1.5},
        {"max_attempts": 2**60},
        {"max_attempts": True},
        {"delay": -1},
        {"delay": 1e300},
        {"delay": float("nan")},
        {"delay": timedelta.max},
        {"backoff": 0.5},
        {"backoff": float("inf")},
        {"backoff": 10**400},
        {"max_delay": "x"},
        {"max_delay": 10**400},
        {"jitter": 1.1},
        {"jitter": float("nan")},
        {"jitter": False},
        {"retry_on": (int,)},
        {"give_up_on": "ValueError"},
    ],
)
def test_a_policy_that_makes_no_sense_is_a_mistake_of_its_step(options: dict[str, Any]) -> None:
    def total() -> None: ...

    message = refused(lambda flow: flow.step(retry=[Retry(), Retry(**options)])(total))
    assert message.startswith(f"workflow 'orders', step 'total': Retry: {next(iter(options))} is ")
    assert ": give " in message


@pytest.mark.parametrize("timeout", [1e300, 10**400, timedelta.max, pytest.param(10**5000, id="5000 digits")])
def test_no_time_is_longer_than_a_run_may_last(timeout: Any) -> None:
    def total() -> None: ...

    assert "step 'total': timeout is " in refused(lambda flow: flow.step(timeout=timeout)(total))
    with pytest.raises(DefinitionError, match=r"workflow 'w': timeout is .*: give more than 0 .* at most a year"):
        Workflow("w", timeout=timeout)


def test_the_shortest_time_is_a_millisecond() -> None:
    flow = flow_with_read()
    flow.step(timeout=1e-300, retry=Retry(delay=1e-300))(lambda_like)
    definition = flow.definition().steps["lambda_like"].definition
    assert (definition.timeout_ms, definition.retry[0].delay_ms) == (1, 1)


@pytest.mark.parametrize("option", [{"name": 3}, {"export": "yes"}, {"run_if_skipped": 1}, {"id": 3}])
def test_an_option_of_another_type_is_named(option: dict[str, Any]) -> None:
    def total() -> None: ...

    assert f"{next(iter(option))} is " in refused(lambda flow: flow.step(**option)(total))


@pytest.mark.parametrize("executor", ["", "gpu box", "-x", "a/b", 3, "x" * 257])
def test_a_pool_that_has_no_name_is_answered_with_what_one_looks_like(executor: Any) -> None:
    def total() -> None: ...

    message = refused(lambda flow: flow.step(executor=executor)(total))
    assert "step 'total': executor is " in message
    assert "name the pool whose workers carry the step out, as in executor='gpu-box'" in message


def test_what_can_not_be_shown_is_named_by_its_type() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert "retry is <Shy instance at" in refused(lambda flow: flow.step(retry=Shy())(lambda_like))  # type: ignore[call-overload]


def test_all_mistakes_of_a_step_are_told_at_once_each_with_its_line() -> None:
    flow = flow_with_read()

    @flow.step(timeout=0, retry=Retry(delay=-1, backoff=0))
    def one(*rows: int) -> None: ...

    @flow.step(after=["nothing"])
    def two(x: int, y: int, one: int) -> Unknown:
        return Unknown()

    with pytest.raises(DefinitionError) as caught:
        flow.definition()
    told = [(mistake.path.split(":")[0], mistake.message.split(": ")[1]) for mistake in caught.value.issues]
    assert [what for _, what in told] == [
        "timeout is 0",
        "Retry",
        "Retry",
        "parameter '*rows",
        "parameter 'x' names no step",
        "parameter 'y' names no step",
        "'nothing' is no step of this workflow",
        f"its return type {Unknown} can't be carried as JSON (Unable to generate pydantic-core schema for {Unknown}. "
        "Set `arbitrary_types_allowed=True` in the model_config to ignore this error or implement "
        "`__get_pydantic_core_schema__` on your type to fully support it.)",
    ]
    assert {file for file, _ in told} == {__file__}
    lines = sorted({int(mistake.path.split(":")[1]) for mistake in caught.value.issues})
    first = test_all_mistakes_of_a_step_are_told_at_once_each_with_its_line.__code__.co_firstlineno
    assert [line - first for line in lines] == [3, 6]


def test_a_step_that_is_none_may_be_named_by_others() -> None:
    flow = flow_with_read()
    flow.step(id="bad", timeout=0)(lambda_like)

    @flow.step
    def total(bad: int) -> int:
        return bad

    with pytest.raises(DefinitionError) as caught:
        flow.definition()
    assert len(caught.value.issues) == 1
