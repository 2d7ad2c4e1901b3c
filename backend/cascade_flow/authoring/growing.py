"""Steps whose work runs of their own do, maps and sub-workflows: how they join a definition, and what is read in them.

Imported where a workflow has some.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, get_args

from cascade_flow.authoring.maps import Items, MapTerms, check_items, resolve_map
from cascade_flow.authoring.mistakes import Mistakes
from cascade_flow.authoring.parameters import Names, Parameter, Source
from cascade_flow.authoring.payloads import ANYTHING, payload_of
from cascade_flow.authoring.receiving import received
from cascade_flow.authoring.results import Results
from cascade_flow.authoring.steps import Declaration, Step
from cascade_flow.authoring.subworkflows import resolve_call
from cascade_flow.errors import DefinitionError, InputInvalidError
from cascade_flow.records import replace


def resolve_growing(
    declared: Declaration, *, names: Names, input_type: Any, declarations: Sequence[Declaration]
) -> Step:
    """The step with what it is given. Raises DefinitionError, with every mistake."""
    if not isinstance(declared.children, MapTerms):
        return resolve_call(declared, names=names, input_type=input_type)
    known = {each.id: each for each in declarations}
    return resolve_map(declared, names=names, input_type=input_type, declarations=known)


def connected(step: Step, steps: Mapping[str, Step]) -> Step:
    """The step, whose parameters take what the maps among `steps` give. Raises DefinitionError, with every mistake."""
    mistakes = Mistakes()
    if isinstance(step.children, Items) and (source := steps.get(step.children.over)):
        with mistakes.noted():
            check_items(step, source)
    parameters = [mistakes.kept(partial(_received, each, steps), each) for each in step.parameters]
    mistakes.check()
    return replace(step, parameters=tuple(parameters))


def _received(parameter: Parameter, steps: Mapping[str, Step]) -> Parameter:
    source = steps.get(parameter.step_id or "")
    if source is None or not isinstance(source.children, Items):
        if parameter.is_lazy:
            raise DefinitionError(f"parameter {parameter.name!r} takes Results, which only a map gives: make it a list")
        return parameter
    tolerant = source.children.terms.tolerate > 0
    return received(parameter, source.id, source.output, tolerant=tolerant)


def lazy_results(parameter: Parameter, text: str, what: str) -> Results[Any]:
    """A map's results, each read when the step comes to it."""
    of = get_args(parameter.payload.annotation)
    each = payload_of(of[0], "a result") if of else ANYTHING
    return Results(text, lambda one: each.load(one, f"{what}, one of its results,"))


def of_item(step: Step, parameter: Parameter, outputs: Mapping[str, str | None], index: int | None) -> Any:
    """What a map's function is given of its item. Raises InputInvalidError where that isn't of the parameter's type."""
    items = step.children
    assert isinstance(items, Items), "only a map's parameters get something of an item"
    if index is None or (text := outputs.get(items.over)) is None:
        raise InputInvalidError(f"step {step.id!r} is a map and was given no item: it is called in the run of one")
    what = f"step {step.id!r}: parameter {parameter.name!r} of item {index}"
    if parameter.source is Source.INDEX:
        return index
    return parameter.payload.load(items.part_of(text, parameter.source), what)
