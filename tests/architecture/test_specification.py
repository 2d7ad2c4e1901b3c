"""What the specification declares is there, with its names, its parameters, their kinds, defaults and types."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

import cascade_flow
import specification
from cascade_flow import Backend, DynamoDBBackend, analytics
from cascade_flow.analytics.scope import AnalyticsOptions
from specification import Operation, operations

LABELS = ("workflow_slug", "step_id")


def parameters(function: Callable[..., Any]) -> list[tuple[str, object, object]]:
    """Each one's name, kind and default."""
    return [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]


def test_our_copy_is_the_specification() -> None:
    if not specification.ORIGINAL.exists():
        pytest.skip("the specification itself is on the machines of those who work on the project")
    assert specification.PATH.read_text(encoding="utf-8") == specification.ORIGINAL.read_text(encoding="utf-8")


def test_every_line_of_it_was_understood() -> None:
    assert [operation.name for operation in operations()] == [
        name for name, value in vars(specification.declared()["Backend"]).items() if inspect.isfunction(value)
    ]
    assert all(operation.group for operation in operations())


BESIDE = frozenset({"schedules", "send_event"})
"""What leads from a backend to what the specification knows nothing of."""


def test_the_contract_has_its_operations_and_no_others() -> None:
    ours = {name for name in dir(Backend) if not name.startswith("_")}
    assert ours - BESIDE == {operation.name for operation in operations()}


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)
def test_an_operation_is_called_as_it_says(operation: Operation) -> None:
    ours = getattr(Backend, operation.name)
    assert parameters(ours) == parameters(operation.function)
    theirs, hints = get_type_hints(operation.function), get_type_hints(ours)
    assert theirs.keys() == hints.keys()
    assert not {name: hints[name] for name in theirs if not _is_as_told(hints[name], theirs[name])}


def test_reports_take_the_options_that_it_names() -> None:
    assert set(AnalyticsOptions.__annotations__) == {"start_us", "end_us", "workflow_slug", "step_id", "run_ids"}
    assert not AnalyticsOptions.__required_keys__


def test_a_backend_is_made_as_it_says() -> None:
    declared = parameters(specification.declared()["DynamoDBBackend"].__init__)
    ours = parameters(DynamoDBBackend.__init__)
    assert ours[: len(declared)] == declared
    assert all(kind is inspect.Parameter.KEYWORD_ONLY for _, kind, _ in ours[len(declared) :])


@pytest.mark.parametrize("name", specification.functions())
def test_a_pure_function_is_called_as_it_says(name: str) -> None:
    assert parameters(getattr(cascade_flow, name)) == parameters(specification.functions()[name])


def test_the_reports_can_be_computed_from_events() -> None:
    assert sorted(specification.reports()) == sorted(analytics.__all__)


@pytest.mark.parametrize("name", [name for name in specification.reports() if name.startswith("compute_")])
def test_a_report_takes_events_then_a_range_then_its_labels(name: str) -> None:
    function = getattr(analytics, name)
    told = parameters(function)
    events = [each for each in ("step_events", "workflow_events", "time_range_us") if each in {n for n, _, _ in told}]
    labels = [label for label in LABELS if label in get_type_hints(function)["return"].model_fields]
    assert [(n, k) for n, k, _ in told if k is not inspect.Parameter.KEYWORD_ONLY] == [
        (each, inspect.Parameter.POSITIONAL_OR_KEYWORD) for each in events
    ]
    assert {n: d for n, k, d in told if k is inspect.Parameter.KEYWORD_ONLY} == dict.fromkeys(labels)


def _is_as_told(ours: Any, theirs: Any) -> bool:
    """The same type; or, for a text, exactly which; or, for any options, exactly which."""
    if theirs is str and get_origin(ours) is Literal:
        return all(isinstance(text, str) for text in get_args(ours))
    return bool(ours == theirs) or (theirs is Any and get_args(ours) == (AnalyticsOptions,))
