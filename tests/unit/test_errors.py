"""The error tree: what a class says, carries and tells its reader to do."""

from __future__ import annotations

import inspect
import pickle

import pytest

from cascade_flow import errors
from cascade_flow.errors import CascadeFlowError, GraphInvalidError, RunNotFoundError, StaleAttemptError
from cascade_flow.model.parts import ValidationIssue

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CascadeFlowError)]


def test_the_message_is_the_docstring_and_the_facts() -> None:
    error = RunNotFoundError(run_id="r-1")
    assert str(error).startswith("There is no such run: ")
    assert str(error).endswith("(run_id='r-1')")
    assert error.facts == {"run_id": "r-1"}


def test_a_given_message_is_taken_as_it_is() -> None:
    assert StaleAttemptError("attempt 1 is over", attempt_number=2).message == "attempt 1 is over"


def test_issues_are_listed() -> None:
    error = GraphInvalidError(issues=[ValidationIssue(path="steps.a", message="waits for itself")])
    assert "steps.a: waits for itself" in str(error)
    assert [issue.path for issue in error.issues] == ["steps.a"]


def test_errors_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(GraphInvalidError(issues=[ValidationIssue(path="p", message="m")], steps=2)))
    assert (error.issues[0].message, error.facts) == ("m", {"steps": 2})


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_has_a_code_and_a_sentence(kind: type[CascadeFlowError]) -> None:
    assert "code" in vars(kind)
    assert str(kind())


def test_no_two_classes_share_a_code() -> None:
    assert len({kind.code for kind in CLASSES}) == len(CLASSES)


def test_the_tree_in_the_header_is_the_tree() -> None:
    assert errors.__doc__ is not None
    drawn = [line.split("── ")[-1].split()[0] for line in errors.__doc__.splitlines() if "── " in line]
    assert sorted(["CascadeFlowError", "IssuesError", *drawn]) == sorted(kind.__name__ for kind in CLASSES)
