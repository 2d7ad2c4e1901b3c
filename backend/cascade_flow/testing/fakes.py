"""What stands in for a step's code: a value to return, an error to raise, or a function of the step's parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from cascade_flow.authoring import Workflow
from cascade_flow.authoring.parameters import Names
from cascade_flow.authoring.steps import Function, Reference, Step
from cascade_flow.errors import DefinitionError
from cascade_flow.testing.inside import Spot, Workflows, spot_meant

Fakes = Mapping[Reference, Any]
"""By step: its id, its name as a parameter, or its function; `pack/17` for an item, `refunds/charge` for what is in a
sub-workflow.
"""


class InTurn:
    """One fake an attempt; the last of them goes on."""

    def __init__(self, fakes: tuple[Any, ...]) -> None:
        self.fakes = fakes

    def of(self, attempt: int) -> Any:
        return self.fakes[min(attempt, len(self.fakes)) - 1]


def in_turn(*fakes: Any) -> InTurn:
    """A fake for each attempt of a step: `in_turn(ConnectionError("busy"), "receipt")`. The last one goes on."""
    if not fakes:
        raise DefinitionError("in_turn() has nothing to give: name at least one fake")
    return InTurn(fakes)


def step_meant(workflow: Workflow, reference: Reference) -> str:
    """The id of a step, or of what undoes one. Raises DefinitionError, naming those that it could have been."""
    steps = workflow.definition().codes
    return Names({step_id: step.function for step_id, step in steps.items()}).meant(reference)


def by_spot(workflow: Workflow, fakes: Fakes, known: Workflows) -> dict[Spot, Any]:
    """The fakes by where they stand in. DefinitionError for what is no step, and for parameters that it has not."""
    found: dict[Spot, Any] = {}
    for reference, fake in fakes.items():
        spot, step = spot_meant(workflow, reference, known)
        for each in fake.fakes if isinstance(fake, InTurn) else (fake,):
            _check(step, each)
        found[spot] = fake
    return found


def function_of(step: Step, fake: Any, attempt: int) -> Function:
    """What is called in place of the step's function, with the same arguments."""
    if isinstance(fake, InTurn):
        return function_of(step, fake.of(attempt), attempt)
    if is_error(fake):
        return _raising(fake)
    if not callable(fake):
        return lambda **_: fake
    return _taking_what_it_names(fake)


def _taking_what_it_names(fake: Callable[..., Any]) -> Function:
    names = _names_taken(fake)
    if names is None:
        return fake
    return lambda **given: fake(**{name: value for name, value in given.items() if name in names})


def is_error(fake: Any) -> bool:
    return isinstance(fake, BaseException) or (isinstance(fake, type) and issubclass(fake, BaseException))


def _raising(error: Any) -> Function:
    def fail(**_: Any) -> None:
        raise error.with_traceback(None) if isinstance(error, BaseException) else error

    return fail


def _check(step: Step, fake: Any) -> None:
    if step.declared.event is not None:
        raise DefinitionError(f"event {step.id!r} has no code to be faked: send it, with engine.send({step.id!r}, ...)")
    if is_error(fake) or not callable(fake):
        return
    has = {each.name for each in step.parameters}
    if unknown := [name for name in _names_needed(fake) if name not in has]:
        raise DefinitionError(
            f"the fake of step {step.id!r} takes {', '.join(map(repr, unknown))}, which the step does not: "
            f"its parameters are {', '.join(map(repr, sorted(has))) or 'none'}"
        )


def _parameters(fake: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(fake).parameters.values())
    except (TypeError, ValueError):  # a builtin that does not tell
        return []


def _names_taken(fake: Callable[..., Any]) -> set[str] | None:
    """Which arguments it takes by name; None for all of them."""
    parameters = _parameters(fake)
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return None
    return {each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)}


def _names_needed(fake: Callable[..., Any]) -> list[str]:
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in _parameters(fake) if each.default is each.empty and each.kind not in variable]
