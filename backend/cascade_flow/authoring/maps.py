"""A map: a step that is called for each item of what another one returned, as its author declares it.

What its calls are given is decided here, and how what it goes over is taken apart; nothing runs here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import cached_property, partial
from typing import Any

from cascade_flow.authoring.fits import inner_of, items_of, misfit_of
from cascade_flow.authoring.mistakes import Mistakes, shown
from cascade_flow.authoring.parameters import (
    INPUT,
    MISSING,
    Names,
    Parameter,
    Source,
    froms,
    is_context,
    type_hints,
)
from cascade_flow.authoring.payloads import ANYTHING, Payload, payload_of
from cascade_flow.authoring.receiving import results_of
from cascade_flow.authoring.steps import Declaration, Function, Reference, Step, resolve
from cascade_flow.errors import DefinitionError
from cascade_flow.model.workflows import ChildrenDefinition
from cascade_flow.records import dataclass, replace

INDEX = "index"
KEY = "key"
MOST_AT_ONCE = 1_000
MOST_IN_A_ROW = 1_000


@dataclass(frozen=True, kw_only=True)
class MapTerms:
    """What `@workflow.map(...)` was told beyond what steps are told."""

    over: Reference
    concurrency: int
    batch: int
    tolerate: float
    kind: str = field(default="map", init=False)

    def check(self) -> None:
        """DefinitionError, with every mistake."""
        mistakes = Mistakes()
        for check in (
            partial(_check_over, self.over),
            partial(_check_number, "concurrency", self.concurrency, MOST_AT_ONCE),
            partial(_check_number, "batch", self.batch, MOST_IN_A_ROW),
            partial(_check_share, self.tolerate),
        ):
            with mistakes.noted():
                check()
        mistakes.check()


@dataclass(frozen=True)
class Items:
    """A map that is ready to be run: what it goes over, and how. `keyed`: what it goes over is a dict."""

    over: str
    terms: MapTerms
    result: Payload
    keyed: bool

    @cached_property
    def gives(self) -> Payload:
        """What steps that name the map receive."""
        return results_of(self.result, tolerant=self.terms.tolerate > 0)

    @property
    def definition(self) -> ChildrenDefinition:
        """As it is registered."""
        terms = self.terms
        return ChildrenDefinition(
            kind="map", over=self.over, concurrency=terms.concurrency, batch=terms.batch, tolerate=terms.tolerate
        )

    def part_of(self, text: str, source: Source) -> str:
        """The item, or its key, as JSON text; a dict's item comes as the pair of its key and value."""
        if not self.keyed:
            return text
        key, value = json.loads(text)
        return json.dumps(key if source is Source.KEY else value, ensure_ascii=False)


def declare_map(function: Function, *, terms: MapTerms, step: Callable[[Function], Declaration]) -> Declaration:
    """The declaration, checked as far as it can be by itself. DefinitionError, with every mistake."""
    mistakes, declared = Mistakes(), None
    with mistakes.noted():
        terms.check()
    with mistakes.noted():
        declared = step(function)
    mistakes.check()
    assert declared is not None, "what is none has mistakes"
    return replace(declared, children=terms)


def resolve_map(
    declared: Declaration, *, names: Names, input_type: Any, declarations: Mapping[str, Declaration]
) -> Step:
    """The map with its parameters' sources. Raises DefinitionError, with every mistake."""
    assert isinstance(declared.children, MapTerms)
    over = names.meant(declared.children.over)
    if over == declared.id:
        raise DefinitionError("it goes over itself: name the step whose list is gone over")
    keyed = over in declarations and _is_dict(declarations[over])
    parts = _OfAnItem(names, over, keyed=keyed)
    step = resolve(declared, names=names, input_type=input_type, special=parts)
    _check_parameters(step, over, parts.item)
    others = tuple(dependency for dependency in step.dependencies if dependency != over)
    items = Items(over, declared.children, step.output, keyed)
    return replace(step, dependencies=(over, *others), children=items)


def check_items(step: Step, source: Step) -> None:
    """What a map goes over must have items, which its function can take. DefinitionError."""
    given = items_of(source.gives)
    if given is None:
        raise DefinitionError(
            f"it goes over {source.id!r}, which {source.returns} {source.gives.type_name}: that has no items; "
            "let it return a list or a dict"
        )
    taken = next(each for each in step.parameters if each.source is Source.ITEM)
    if reason := misfit_of(given, taken.payload.adapter.core_schema):
        raise DefinitionError(
            f"parameter {taken.name!r} takes {taken.payload.type_name}, and the items of {source.id!r}, which "
            f"{source.returns} {source.gives.type_name}, are none: {reason}; mend one of the two types"
        )


@dataclass
class _OfAnItem:
    """Which parameters get something of the item: its number, a dict's key, and the first that nothing else fills."""

    names: Names
    over: str
    keyed: bool
    item: str | None = field(default=None, init=False)

    def __call__(self, name: str, hint: Any, default: Any) -> Parameter | None:
        if is_context(hint) or froms(hint) or name == INPUT:
            return None
        if name == INDEX:
            return _checked(Parameter(name, Source.INDEX, payload_of(int if hint is Any else hint, "index")), _NUMBER)
        if name == KEY and self.keyed:
            return Parameter(name, Source.KEY, payload_of(hint, f"parameter {name!r}"))
        if self.names.named(name) or default is not MISSING:
            return None
        if self.item is not None:
            raise DefinitionError(
                f"parameter {name!r} names no step, and {self.item!r} gets the item already: "
                f"{self.names.advice(name)} (`index` is the item's number; the first parameter that nothing else fills "
                "gets the item)"
            )
        self.item = name
        return Parameter(name, Source.ITEM, payload_of(hint, f"parameter {name!r}"))


_NUMBER = Payload(int, payload_of(int, "a number").adapter)


def _check_parameters(step: Step, over: str, item: str | None) -> None:
    mistakes = Mistakes()
    for parameter in step.parameters:
        with mistakes.noted():
            _check_source(parameter, over)
    with mistakes.noted():
        if item is None:
            raise DefinitionError(
                f"none of its parameters gets the item: name one as no step is named, as in def {step.id}(item: Item), "
                f"and it receives what {over!r} returned, one item a call"
            )
    mistakes.check()


def _check_source(parameter: Parameter, over: str) -> None:
    if parameter.step_id == over:
        raise DefinitionError(
            f"parameter {parameter.name!r} names what the map goes over, of which a call gets one item: call it "
            "otherwise, and it receives that"
        )
    if parameter.step_id is not None:
        raise DefinitionError(
            f"parameter {parameter.name!r} names step {parameter.step_id!r}, whose output a map's calls don't get: put "
            f"what they need of it into what {over!r} returns"
        )


def _checked(parameter: Parameter, given: Payload) -> Parameter:
    if reason := misfit_of(given.adapter.core_schema, parameter.payload.adapter.core_schema):
        raise DefinitionError(
            f"parameter {parameter.name!r} gets the item's number and takes {parameter.payload.type_name}: {reason}; "
            "annotate it as int, or rename it"
        )
    return parameter


def _is_dict(over: Declaration) -> bool:
    """Whether the step returns a dict, whose keys are read, as far as its types tell."""
    if over.children is not None:
        return not isinstance(over.children, MapTerms)
    annotation = over.event.payload if over.event is not None else type_hints(over.function).get("return", Any)
    payload = ANYTHING if annotation is None else payload_of(annotation, "what it goes over")
    return bool(inner_of(payload)["type"] == "dict")


def _check_over(over: object) -> None:
    if not isinstance(over, str) and not callable(over):
        raise DefinitionError(f'over is {shown(over)}: name the step whose list is gone over, as in over="lines"')


def _check_number(what: str, value: object, most: int) -> None:
    if type(value) is not int or not 1 <= value <= most:
        raise DefinitionError(f"{what} is {shown(value)}: give a whole number from 1 to {most:,}")


def _check_share(tolerate: object) -> None:
    if isinstance(tolerate, bool) or not isinstance(tolerate, int | float) or not 0 <= tolerate <= 1:
        raise DefinitionError(
            f"tolerate is {shown(tolerate)}: give the share of the items that may fail, from 0 to 1, such as 0.02"
        )
