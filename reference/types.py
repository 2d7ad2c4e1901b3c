"""Types as the API's documents have them: a translated state becomes a TypedDict with the words of `api/names`.

What comes out holds nothing but TypedDicts and what pydantic knows, so that pydantic can write its JSON Schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Never, NotRequired, Union, get_args, get_origin, get_type_hints

from pydantic import Field
from pydantic.fields import FieldInfo
from typing_extensions import TypedDict

from cascade_flow.api import (
    batch_replies,
    children_replies,
    diagnosis_replies,
    event_replies,
    limit_replies,
    names,
    replies,
    report_replies,
    schedule_replies,
    worker_replies,
)
from cascade_flow.api.names import AsWritten, Document
from cascade_flow.model.wire import WireModel
from reference import docstrings

REPLIES = (
    replies,
    batch_replies,
    report_replies,
    children_replies,
    diagnosis_replies,
    event_replies,
    schedule_replies,
    worker_replies,
    limit_replies,
)
NAMED = {name: known for module in REPLIES for name, known in vars(module).items()}
"""What answers hold, by name."""


@dataclass(frozen=True)
class Part:
    """A field of a document."""

    type: Any
    is_there: bool
    """Whether it always is."""
    said: str


Parts = dict[str, Part]


@cache
def documented(kind: Any) -> Any:
    """The type, with every document in it spelt out."""
    if get_origin(kind) is Document:
        return _document(kind, *get_args(kind))
    if get_origin(kind) is AsWritten:
        return _as_written(*get_args(kind))
    if hasattr(kind, "__total__"):
        return _built(kind.__name__, docstrings.of(kind), _of_typed_dict(kind))
    return _changed(kind, documented)


def _document(kind: Any, state: type[WireModel], more: type) -> Any:
    """The fields of the state in the API's words, and more, or others in their place."""
    name = next((name for name, known in NAMED.items() if known == kind), "")
    assert name, f"{kind} has no name: give it one in api/replies, and say what it is"
    said = next((said for module in REPLIES if (said := docstrings.of_names(module).get(name))), "")
    return _built(name, said, _of_model(state, is_translated=True) | _of_typed_dict(more))


def _as_written(kinds: Any, more: type) -> Any:
    """One of several documents of the contract; a field for which there is an address need not be there."""
    written = [_built(kind.__name__, docstrings.of(kind), _elsewhere(kind, more)) for kind in get_args(kinds)]
    return Annotated[reduce(or_, written), Field(discriminator="type")]


def _elsewhere(kind: type[WireModel], more: type) -> Parts:
    parts = _of_model(kind, is_translated=False)
    for name, part in _of_typed_dict(more).items():
        if (instead := name.removesuffix("Url")) in parts:
            parts |= {instead: replace(parts[instead], is_there=False), name: part}
    return parts


@cache
def _state(model: type[WireModel], *, is_translated: bool) -> Any:
    """A model inside of another one."""
    return _built(model.__name__, docstrings.of(model), _of_model(model, is_translated=is_translated))


def _of_model(model: type[WireModel], *, is_translated: bool) -> Parts:
    said = docstrings.of_fields(model)
    fields = {name: _field(field, is_translated=is_translated) for name, field in model.model_fields.items()}
    words = {name: str(model.model_fields[name].alias) for name in fields}
    told = {name: names.told(word) if is_translated else word for name, word in words.items()}
    return {told[name]: replace(part, said=said.get(name, "")) for name, part in fields.items()}


def _field(field: FieldInfo, *, is_translated: bool) -> Part:
    """None means absent, on the wire."""

    def inside(kind: Any) -> Any:
        if isinstance(kind, type) and issubclass(kind, WireModel):
            return _state(kind, is_translated=is_translated and _is_changed(kind))
        return _changed(kind, inside)

    may_be_absent = not field.is_required() and field.default is None
    kind = _without_none(field.annotation) if may_be_absent else field.annotation
    limits = tuple(field.metadata)
    return Part(Annotated[(inside(kind), *limits)] if limits else inside(kind), not may_be_absent, "")


def _is_changed(model: type[WireModel]) -> bool:
    """Whether the API calls something in it otherwise."""
    words = [str(field.alias) for field in model.model_fields.values()]
    within = [kind for field in model.model_fields.values() for kind in _models_in(field.annotation)]
    return any(names.told(word) != word for word in words) or any(map(_is_changed, within))


def _models_in(kind: Any) -> list[type[WireModel]]:
    if isinstance(kind, type) and issubclass(kind, WireModel):
        return [kind]
    return [model for inner in get_args(kind) for model in _models_in(inner)]


def _of_typed_dict(kind: Any) -> Parts:
    said, parts = docstrings.of_fields(kind), {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        may_be_absent = get_origin(hint) is NotRequired
        inner = get_args(hint)[0] if may_be_absent else hint
        is_there = not may_be_absent and name not in kind.__optional_keys__
        parts[name] = Part(inner if inner is Never else documented(inner), is_there, said.get(name, ""))
    return parts


def _built(name: str, said: str, parts: Mapping[str, Part]) -> Any:
    """A TypedDict of these parts; one that can never be there is left out."""
    fields = {name: _told(part) for name, part in parts.items() if part.type is not Never}
    built = TypedDict(name, fields)  # type: ignore[misc]
    built.__doc__ = said or None
    return built


def _told(part: Part) -> Any:
    described = Annotated[part.type, Field(description=part.said)] if part.said else part.type
    return described if part.is_there else NotRequired[described]


def _without_none(kind: Any) -> Any:
    return _changed(kind, lambda inner: Never if inner is NoneType else inner)


def _changed(kind: Any, change: Callable[[Any], Any]) -> Any:
    """A union, a list or the like, with what it is made of changed."""
    if get_origin(kind) in (Union, UnionType):
        return reduce(or_, (inner for each in get_args(kind) if (inner := change(each)) is not Never))
    if get_origin(kind) in (list, dict):
        return get_origin(kind)[tuple(map(change, get_args(kind)))]
    return kind
