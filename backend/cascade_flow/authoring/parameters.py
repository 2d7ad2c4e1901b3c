"""Where a step's parameters get their values from: read off the signature, once, when the workflow is complete.

A parameter receives the workflow's input, the context, or the output of the step whose name it bears. How the values
are brought there is `binding`'s.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from cascade_flow.authoring.context import StepContext
from cascade_flow.authoring.mistakes import Mistakes
from cascade_flow.authoring.payloads import ANYTHING, Payload, payload_of
from cascade_flow.errors import DefinitionError
from cascade_flow.records import dataclass

INPUT = "input"
MISSING: Any = inspect.Parameter.empty

_NEAR = 0.75


@dataclass(frozen=True)
class From:
    """Names the step that a parameter receives where its own name can't: `Annotated[Rows, From("a/read")]`."""

    step: str | Callable[..., Any]


class Source(Enum):
    """Where a parameter's value comes from."""

    INPUT = "input"
    CONTEXT = "context"
    STEP = "step"
    DEFAULT = "default"
    ITEM = "item"
    """Of a map: the item that it is called for, with its number, and its key where it is a dict's."""
    INDEX = "index"
    KEY = "key"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a step; `step_id` is set where its source is a step."""

    name: str
    source: Source
    payload: Payload
    default: Any = MISSING
    step_id: str | None = None

    @property
    def may_be_absent(self) -> bool:
        return self.default is not MISSING or self.payload.takes_none()

    @property
    def if_absent(self) -> Any:
        return None if self.default is MISSING else self.default

    @property
    def is_lazy(self) -> bool:
        """Whether it reads a map's results when it is asked for them, and not before."""
        return getattr(get_origin(self.payload.annotation) or self.payload.annotation, "is_lazy", False) is True


Special = Callable[[str, Any, Any], Parameter | None]
"""Says of a parameter (its name, annotation and default) that it gets something else than others do."""


class Names:
    """The steps of a workflow, found by what people call them."""

    def __init__(self, steps: Mapping[str, Callable[..., Any]]) -> None:
        self._steps = steps

    def named(self, parameter: str) -> list[str]:
        """The steps that a parameter of this name may mean: those whose id, or last part of it, reads like that."""
        return [step_id for step_id in self._steps if bare_name(step_id) == parameter]

    def meant(self, reference: str | Callable[..., Any]) -> str:
        """The id of a step given by id or by its function. DefinitionError where there is none, or more than one."""
        found = self._by_name(reference) if isinstance(reference, str) else self._by_function(reference)
        if len(found) == 1:
            return found[0]
        if found:
            raise DefinitionError(f"{_called(reference)!r} may mean several steps: name one of {_quoted(found)}")
        raise DefinitionError(f"{_called(reference)!r} is no step of this workflow: {self.advice(_called(reference))}")

    def is_step(self, reference: object) -> bool:
        """Whether this is the function of a step, or what stands for one."""
        return bool(self._by_function(reference))

    def advice(self, name: str) -> str:
        """The cure for a name that no step bears."""
        by_function = [step_id for step_id, function in self._steps.items() if function.__name__ == name]
        if by_function:
            return f"the function {name} is step {by_function[0]!r}: call it {bare_name(by_function[0])!r}"
        close = self.near(name)
        if close:
            return f"did you mean {' or '.join(map(repr, close))}?"
        return f"the steps are {_quoted(self._steps)}"

    def near(self, name: str) -> list[str]:
        from difflib import get_close_matches  # noqa: PLC0415  (only a mistake needs it)

        known = dict.fromkeys([*map(bare_name, self._steps), *self._steps, INPUT])
        return get_close_matches(name, known, n=2, cutoff=_NEAR)

    def _by_name(self, name: str) -> list[str]:
        return [name] if name in self._steps else self.named(name)

    def _by_function(self, function: object) -> list[str]:
        return [step_id for step_id, known in self._steps.items() if known is function]


def bare_name(step_id: str) -> str:
    """A step's name as a parameter bears it: the last part of its id, with `_` for what no name in Python can hold."""
    return re.sub(r"[.-]", "_", step_id.rpartition("/")[2])


def type_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a step. DefinitionError where one can't be evaluated, such as for a missing import."""
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as error:
        raise DefinitionError(
            f"an annotation can't be read ({error}): import the type, or define it at the top of the module"
        ) from error


def parameters_of(
    function: Callable[..., Any], *, names: Names, input_type: Any, special: Special | None = None
) -> tuple[Parameter, ...]:
    """Every parameter of a step with its source, in order. DefinitionError that names all those that have none."""
    hints, mistakes = type_hints(function), Mistakes()
    found: list[Parameter] = []
    for name, declared in inspect.signature(function).parameters.items():
        with mistakes.noted():
            hint = hints.get(name, Any)
            other = special(name, hint, declared.default) if special else None
            found.append(other or _parameter(name, hint, declared.default, names=names, input_type=input_type))
    mistakes.check()
    return tuple(found)


def _parameter(name: str, hint: Any, default: Any, *, names: Names, input_type: Any) -> Parameter:
    if is_context(hint):
        return Parameter(name, Source.CONTEXT, ANYTHING)
    if name == INPUT and not froms(hint):
        annotation = input_type if hint is Any and input_type is not None else hint
        return _checked(Parameter(name, Source.INPUT, payload_of(annotation, f"parameter {name!r}"), default))
    step_id = _step_of(name, hint, default, names)
    if step_id is None:
        return Parameter(name, Source.DEFAULT, ANYTHING, default)
    return _checked(Parameter(name, Source.STEP, payload_of(hint, f"parameter {name!r}"), default, step_id))


def _step_of(name: str, hint: Any, default: Any, names: Names) -> str | None:
    for source in froms(hint):
        return names.meant(source.step)
    found = names.named(name)
    if len(found) > 1:
        raise DefinitionError(
            f"parameter {name!r} may mean {_quoted(found)}: say which with Annotated[..., From({found[0]!r})]"
        )
    if found:
        return found[0]
    if default is MISSING:
        raise DefinitionError(f"parameter {name!r} names no step: {names.advice(name)} {_OTHER_SOURCES}")
    if close := names.near(name):
        raise DefinitionError(
            f"parameter {name!r} names no step and would always get its default, but looks like {close[0]!r}: rename it"
        )
    return None


_OTHER_SOURCES = "(`input` is the workflow's input; the context is annotated StepContext)"


def _checked(parameter: Parameter) -> Parameter:
    if parameter.default is not MISSING:
        parameter.payload.dump(parameter.default, f"the default of parameter {parameter.name!r}")
    return parameter


def froms(hint: Any) -> list[From]:
    return [mark for mark in get_args(hint)[1:] if isinstance(mark, From)] if get_origin(hint) is Annotated else []


def is_context(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return is_context(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return any(is_context(part) for part in get_args(hint) if part is not NoneType)
    return isinstance(hint, type) and issubclass(hint, StepContext)


def _called(reference: object) -> str:
    return reference if isinstance(reference, str) else getattr(reference, "__name__", repr(reference))


def _quoted(steps: Iterable[str]) -> str:
    return ", ".join(map(repr, steps))
