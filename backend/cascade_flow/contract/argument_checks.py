"""The door of the contract: what every operation is given is looked at here, before anything is read or written.

Types are those that the signatures name, and strict: nothing is coerced. Ids and names are checked by what their
parameter is called, since the contract calls each of them the same everywhere. What a value means is not asked here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, wraps
from itertools import starmap, takewhile
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError, validate_call

from cascade_flow.contract.whole_values import check_whole
from cascade_flow.errors import ArgumentInvalidError
from cascade_flow.model.events import EVENT_TYPES
from cascade_flow.model.ids import check_name, check_run_id, check_slug, check_step_id
from cascade_flow.model.parts import ValidationIssue
from cascade_flow.model.wire import LARGEST_WHOLE

Operation = Callable[..., Any]
Arguments = dict[str, Any]
Contract = TypeVar("Contract", bound=type)

_STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True)
_NO_EVENT = "Input should be an event (parse_event makes one of data)"
_RUNS = ("parent_run_id", "source_run_id", "target_run_id")
_NAMES = ("worker_id", "original_worker_id", "reclaimed_by", "version_id", "idempotency_key")


def checked(contract: Contract) -> Contract:
    """Let every public operation of a class look at its arguments first.

    It raises then ArgumentInvalidError, naming each argument that is wrong, and InvalidIdError. An argument that is
    missing or unknown is a TypeError, as of any function.
    """
    for name, operation in list(vars(contract).items()):
        if inspect.isfunction(operation) and not name.startswith("_"):
            setattr(contract, name, _behind_the_door(operation))
    return contract


def _behind_the_door(operation: Operation) -> Operation:
    signature = inspect.signature(operation)

    @wraps(operation)
    def call(self: object, /, *args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(self, *args, **kwargs)
        given = dict(zip(list(signature.parameters)[1:], bound.args[1:], strict=False)) | bound.kwargs
        return operation(self, **_looked_at(operation, given))

    return call


def _looked_at(operation: Operation, given: Arguments) -> Arguments:
    try:
        typed: Arguments = _typed(operation)(None, **given)
    except ValidationError as error:
        raise ArgumentInvalidError(issues=_issues(error)) from None
    fitting = {name: _read(name, typed.get(name, value), value) for name, value in given.items()}
    for name in _CHECKS.keys() & fitting.keys():
        if fitting[name] is not None:
            _CHECKS[name](name, fitting[name])
    return fitting


@cache
def _typed(operation: Operation) -> Operation:
    """A function of the same signature that answers its arguments; built when it is first needed."""

    @wraps(operation)
    def arguments(_self: object, /, **given: Any) -> Arguments:
        return given

    typed: Operation = validate_call(config=_STRICT)(arguments)
    return typed


def _read(name: str, value: Any, given: Any) -> Any:
    """An iterable is read to its end here, so that what is wrong with its last is known before its first is used."""
    if not isinstance(value, Iterator):
        return value
    if isinstance(given, str | bytes | Mapping):
        raise _wrong(name, f"Input should be several values, not one {type(given).__name__}")
    try:
        return list(value)
    except ValidationError as error:
        raise ArgumentInvalidError(issues=_issues(error, name)) from None


def _issues(error: ValidationError, *at: str) -> Iterator[ValidationIssue]:
    """One for each place; what every kind of event has to say of a value that is none is one issue."""
    told: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        place = tuple(takewhile(lambda part: part not in EVENT_TYPES, detail["loc"]))
        is_event = len(place) < len(detail["loc"])
        told.setdefault(".".join(map(str, (*at, *place))), _NO_EVENT if is_event else detail["msg"])
    return starmap(_issue, told.items())


def _issue(path: str, message: str) -> ValidationIssue:
    return ValidationIssue(path=path, message=message)


def _wrong(name: str, message: str) -> ArgumentInvalidError:
    return ArgumentInvalidError(issues=[_issue(name, message)])


def _count(name: str, value: int) -> None:
    if not 0 <= value <= LARGEST_WHOLE:
        raise _wrong(name, f"Input should be from 0 to {LARGEST_WHOLE}, not {value}")


def _run_ids(_name: str, values: Sequence[str]) -> None:
    for value in values:
        check_run_id(value)


_CHECKS: Mapping[str, Callable[[str, Any], object]] = {
    **dict.fromkeys(("slug", "workflow_slug"), lambda _name, value: check_slug(value)),
    **dict.fromkeys(("run_id", *_RUNS), lambda _name, value: check_run_id(value)),
    "run_ids": _run_ids,
    **dict.fromkeys(("step_id", "from_step_id"), lambda _name, value: check_step_id(value)),
    **dict.fromkeys(_NAMES, check_name),
    **dict.fromkeys(("limit", "offset", "sequence_number"), _count),
    **dict.fromkeys(("input", "output"), check_whole),
    "submission": lambda _name, value: check_whole("input", value.input),
}
