"""What a step waits for, among what is told of it: limits, the outside, a time, runs of its own (see
`representations`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api.event_answers import event_of_run
from cascade_flow.api.limit_representations import tell as tell_limit

if TYPE_CHECKING:
    from cascade_flow.api.replies import StepOfGraph
    from cascade_flow.operations.details import StepDetails


def tell(told: StepOfGraph, step: StepDetails) -> None:
    """Say of a step what it waits for."""
    tell_limit(told, step)
    if step.event:
        told["event"] = event_of_run(step.event)
    if step.definition.delay_ms:
        told["delayUs"] = step.definition.delay_ms * 1_000
    if step.postponed:
        told["laters"], reason = step.postponed
        if reason is not None:
            told["laterReason"] = reason
    if step.children:
        from cascade_flow.api.children_answers import of_step  # noqa: PLC0415  (most workflows don't grow)

        told["children"] = of_step(step.children)
