"""What a step may take of a map's results: a list of them or `Results`, with `ItemFailed` where items may fail."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import Discriminator, Tag

from cascade_flow.authoring.fits import misfit
from cascade_flow.authoring.parameters import Parameter
from cascade_flow.authoring.payloads import Payload, payload_of
from cascade_flow.authoring.results import FAILED, ItemFailed, Results
from cascade_flow.errors import DefinitionError
from cascade_flow.records import replace


def results_of(result: Payload, *, tolerant: bool) -> Payload:
    """All results of a map, each of which is of this type, or has failed."""
    each = result.annotation
    return payload_of(list[_either(each) if tolerant else each], "the results")  # type: ignore[misc]


def received(parameter: Parameter, source: str, result: Payload, *, tolerant: bool) -> Parameter:
    """The parameter as it takes the results of the map `source`. DefinitionError where it can't."""
    of = _of(parameter.payload.annotation)
    if of is None:
        return parameter
    takes_failed = ItemFailed in _members(of)
    if tolerant and not takes_failed and of is not Any:
        raise DefinitionError(
            f"parameter {parameter.name!r} takes {parameter.payload.type_name}, and items of {source!r} may fail "
            f"(tolerate): make it a list[{_name(of)} | ItemFailed]"
        )
    rest = [member for member in _members(of) if member is not ItemFailed]
    if rest and (reason := misfit(result, payload_of(_union(rest), f"parameter {parameter.name!r}"))):
        raise DefinitionError(
            f"parameter {parameter.name!r} takes {_name(of)} of each item, and {source!r} returns "
            f"{result.type_name} of each: {reason}; mend one of the two types"
        )
    if not (tolerant or takes_failed):
        return parameter
    return replace(parameter, payload=_with(parameter.payload, _either(_union(rest))))


def _with(payload: Payload, each: Any) -> Payload:
    """The same kind of list, of this."""
    bare = _bare(payload.annotation)
    origin = get_origin(bare) or (Results if bare is Results else list)
    listed: Any = tuple.__class_getitem__((each, ...)) if origin is tuple else origin[each]
    may_be_absent = bare is not Any and payload.takes_none()
    return payload_of(listed | None if may_be_absent else listed, "the results")


def _either(result: Any) -> Any:
    """A result, or that the item failed; which of them is told by the key that only the latter has."""
    rest = _union([each for each in _members(result) if each is not ItemFailed])
    return Annotated[Annotated[rest, Tag("result")] | Annotated[ItemFailed, Tag("failed")], Discriminator(_which)]


def _union(members: Sequence[Any]) -> Any:
    return reduce(or_, members) if members else Any


def _which(value: Any) -> str:
    is_failed = isinstance(value, ItemFailed) or (isinstance(value, dict) and FAILED in value)
    return "failed" if is_failed else "result"


def _of(annotation: Any) -> Any:
    """What the list is of; None where it is none that is known here."""
    bare = _bare(annotation)
    if bare in (Any, list, Results):
        return Any
    of = get_args(bare)
    if not of or get_origin(bare) in (Union, UnionType, dict):
        return None
    return of[0]


def _bare(annotation: Any) -> Any:
    """The type without what is said of it, and without None."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    rest = [member for member in _members(annotation) if member is not NoneType]
    return _bare(rest[0]) if len(rest) == 1 and rest[0] is not annotation else annotation


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _name(annotation: Any) -> str:
    return " | ".join(getattr(each, "__name__", str(each)) for each in _members(annotation))
