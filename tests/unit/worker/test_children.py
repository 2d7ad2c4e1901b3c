"""A step whose work children did, in the hands of who collects it: that worker goes on, and tells what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from unittest.mock import Mock

import pytest

from cascade_flow import StepContext, clock
from cascade_flow.authoring import StepInputs
from cascade_flow.engine.commands import Command, Complete, Fail, SkipStep
from cascade_flow.engine.state import Branch, Claimant, Facts, Run
from cascade_flow.errors import (
    BackendUnavailableError,
    CascadeFlowError,
    InputInvalidError,
    PayloadLostError,
    PayloadTooLargeError,
    StaleAttemptError,
)
from cascade_flow.model.parts import StepError
from cascade_flow.model.workflows import ChildrenDefinition
from cascade_flow.operations.collection import Collection
from cascade_flow.operations.expansion import Expansion
from cascade_flow.operations.outputs import Inputs
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.worker.children import Parent, of_item

NEXT = Claimant("w", 7)
START_US = 1_700_000_000_000_000
Collecting = Callable[..., Any]


@pytest.fixture
def collecting(monkeypatch: pytest.MonkeyPatch) -> Collecting:
    """What a parent reports where this comes of it to collect, and the clock says that it took so long."""

    def command(collect: Callable[..., str], passed_us: int = 5) -> Any:
        branch = Branch("a", "running", "a", attempt=1, family=cast(Any, "children"))
        held = HeldAttempt(cast(Facts, None), cast(Run, None), branch)
        monkeypatch.setattr(Collection, "collect", collect)
        monkeypatch.setattr(clock, "now_us", iter([START_US, START_US + passed_us]).__next__)
        return Parent(Mock(), held, ChildrenDefinition(kind="map", over="items")).command(NEXT, pytest.fail)

    return command


@pytest.mark.parametrize(("passed_us", "duration_us"), [(5, 5), (-5, 0)])
def test_who_collects_goes_on_with_the_branch_and_says_how_long_it_took(
    collecting: Collecting, passed_us: int, duration_us: int
) -> None:
    assert collecting(lambda *_: "[1, 2]", passed_us) == Complete("[1, 2]", duration_us, claimant=NEXT)


def test_what_cannot_be_collected_is_the_steps_failure_in_words_alone(collecting: Collecting) -> None:
    failed = collecting(raising(PayloadTooLargeError("too large")))
    assert isinstance(failed, Fail)
    assert (failed.error.message, failed.duration_us, failed.retryable) == ("too large", 5, False)
    assert "File" not in (failed.error.stack or "")


@pytest.mark.parametrize("error", [StaleAttemptError(), BackendUnavailableError()], ids=repr)
def test_what_is_no_fault_of_the_step_is_not_its_failure(collecting: Collecting, error: CascadeFlowError) -> None:
    with pytest.raises(type(error)):
        collecting(raising(error))


@pytest.mark.parametrize("error", [PayloadLostError("gone"), InputInvalidError("no list", issues=[])], ids=repr)
def test_whatever_else_keeps_it_from_being_collected_is_its_failure(
    collecting: Collecting, error: CascadeFlowError
) -> None:
    assert collecting(raising(error)).error.name == type(error).__name__


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What is reported of a step whose work is still to be handed out, of which this comes; a list of it is `over`."""

    def command(definition: ChildrenDefinition, run: Callable[[], Any] = pytest.fail) -> Any:
        branch = Branch("a", "running", "a", attempt=2)
        held = HeldAttempt(cast(Facts, None), cast(Run, None), branch)
        given = Inputs(None, {"items": "[1]", "more": "[2]"})
        monkeypatch.setattr(Steps, "inputs", lambda *_: given)
        monkeypatch.setattr(Expansion, "command", lambda _, by, text: ("handed out", by, text))
        said = Parent(Mock(), held, definition).command(NEXT, run)
        return said[2] if isinstance(said, tuple) and said[:2] == ("handed out", held) else said

    return command


def test_a_map_hands_out_what_it_goes_over(handed: Callable[..., Any]) -> None:
    assert handed(ChildrenDefinition(kind="map", over="more")) == "[2]"


@pytest.mark.parametrize(
    ("called", "said"),
    [
        (Complete("[3]", 1), "[3]"),
        (Fail(StepError(name="ValueError", message="no"), "execution-error", 1), None),
        (SkipStep("nothing to do", 1), None),
        (None, None),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_run_of_another_workflow_is_given_what_its_step_made_and_else_the_step_ends_as_it_says(
    handed: Callable[..., Any], called: Command | None, said: str | None
) -> None:
    assert handed(ChildrenDefinition(kind="workflow", workflow="flow"), lambda: called) == (said or called)


def test_the_work_of_a_batch_is_a_list_of_what_its_map_goes_over() -> None:
    given = StepInputs(input_json=None, outputs={}, context=StepContext())
    _, work = of_item(ChildrenDefinition(kind="map", over="items", batch=2), 0, given)
    assert cast(Any, work).args == ("items",)


@pytest.mark.parametrize(("batch", "index"), [(1, 2), (20, 40)])
def test_an_item_has_its_place_among_all_and_a_batch_that_of_its_first(batch: int, index: int) -> None:
    given = StepInputs(input_json=None, outputs={}, context=StepContext())
    placed, work = of_item(ChildrenDefinition(kind="map", over="items", batch=batch), 2, given)
    assert (placed.index, work is not None) == (index, batch > 1)


def raising(error: CascadeFlowError) -> Callable[..., str]:
    def collect(*_: object) -> str:
        raise error

    return collect
