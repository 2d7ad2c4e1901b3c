"""From stored JSON text to the arguments of a step's function. What can't be read is an error that names the step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cascade_flow.authoring.context import StepContext
from cascade_flow.authoring.parameters import Parameter, Source
from cascade_flow.authoring.steps import Step
from cascade_flow.errors import InputInvalidError
from cascade_flow.records import dataclass

NO_INPUT = "{}"
"""What a workflow with an input type reads where the run was submitted without any."""


@dataclass(frozen=True, kw_only=True)
class StepInputs:
    """What a step is given: JSON texts, and None in the place of a dependency that was skipped.

    `tried` is the attempt's number as the retry policy counts it; None: as the context has it. A map is called with an
    item in the place of what it goes over; `index` is the item's number.
    """

    input_json: str | None
    outputs: Mapping[str, str | None]
    context: StepContext
    tried: int | None = None
    index: int | None = None


def bind(
    step: Step,
    *,
    input_json: str | None,
    outputs: Mapping[str, str | None],
    context: StepContext,
    index: int | None = None,
) -> dict[str, Any]:
    """The arguments of the step's function, by name.

    `outputs` holds, for every dependency, its output as JSON text, or None where it was skipped: its parameter then
    gets its default, or None where its type allows that; `index` is as that of StepInputs. Raises InputInvalidError for
    what is missing or doesn't fit.
    """
    given = StepInputs(input_json=input_json, outputs=outputs, context=context, index=index)
    arguments = {parameter.name: _argument(step, parameter, given) for parameter in step.parameters}
    return {name: value for name, value in arguments.items() if value is not _LEFT_OUT}


_LEFT_OUT = object()


def _argument(step: Step, parameter: Parameter, given: StepInputs) -> Any:
    match parameter.source:
        case Source.CONTEXT:
            return given.context
        case Source.DEFAULT:
            return _LEFT_OUT
        case Source.INPUT:
            return _input(step, parameter, given.input_json)
        case Source.STEP:
            return _output(step, parameter, given.outputs)
        case Source.ITEM | Source.INDEX | Source.KEY:
            from cascade_flow.authoring.growing import of_item  # noqa: PLC0415  (most steps are no maps)

            return of_item(step, parameter, given.outputs, given.index)


def _input(step: Step, parameter: Parameter, text: str | None) -> Any:
    what = f"step {step.id!r}: the run's input"
    if text is not None:
        return parameter.payload.load(text, what)
    if parameter.may_be_absent:
        return parameter.if_absent
    return parameter.payload.load(NO_INPUT, f"{what}, which is empty,")


def _output(step: Step, parameter: Parameter, outputs: Mapping[str, str | None]) -> Any:
    source = parameter.step_id or ""
    what = f"step {step.id!r}: parameter {parameter.name!r} (the output of {source!r})"
    if source not in outputs:
        raise InputInvalidError(f"{what} was not given: load the outputs of {', '.join(step.dependencies)}")
    text = outputs[source]
    if text is not None and parameter.is_lazy:
        from cascade_flow.authoring.growing import lazy_results  # noqa: PLC0415  (few steps read some)

        return lazy_results(parameter, text, what)
    if text is not None:
        return parameter.payload.load(text, what)
    if not parameter.may_be_absent:
        raise InputInvalidError(f"{what} is absent, since {source!r} was skipped: give it a default")
    return parameter.if_absent
