"""Limits as answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cascade_flow.api import limit_replies as replies
    from cascade_flow.api.replies import StepOfGraph
    from cascade_flow.engine.limits import Holder, Waiting
    from cascade_flow.model.workflows import RunLimit, StepLimit
    from cascade_flow.operations.details import StepDetails
    from cascade_flow.operations.limit_views import Declared, LimitDetails


def of_step(limit: StepLimit) -> replies.LimitOfStep:
    told: replies.LimitOfStep = {"name": limit.name, "atMost": limit.at_most}
    if limit.per_ms:
        told["perUs"] = limit.per_ms * 1_000
    if limit.key:
        told["key"] = limit.key
    return told


def of_runs(limit: RunLimit) -> replies.LimitOfRuns:
    told: replies.LimitOfRuns = {"atMost": limit.at_most, "skips": limit.skips}
    if limit.key:
        told["key"] = limit.key
    return told


def tell(told: StepOfGraph, step: StepDetails) -> None:
    """Say of a step what it must get, and what it waits for."""
    if step.definition.limit:
        told["limit"] = of_step(step.definition.limit)
    if step.waiting:
        told["waitsFor"] = waits_for(step.waiting)


def waits_for(waiting: Waiting) -> replies.WaitsFor:
    limit = waiting.limit
    told: replies.WaitsFor = {"limit": limit.id, "atMost": limit.at_most}
    if limit.per_us is None:
        told["taken"] = waiting.taken
        if waiting.before is not None:
            told["before"] = waiting.before
    else:
        told["perUs"] = limit.per_us
        if waiting.turn_us is not None:
            told["turnAtUs"] = waiting.turn_us
    return told


def named(declared: Declared) -> replies.NamedLimit:
    return {**of_step(declared.limit), "steps": declared.steps}


def details(found: LimitDetails) -> replies.LimitDetails:
    told: replies.LimitDetails = {
        "name": found.declared.limit.name,
        "atMost": found.declared.limit.at_most,
        "steps": found.declared.steps,
        "holders": [
            {**_attempt(place.holder), "place": number, "sinceUs": place.since_us, "untilUs": place.until_us}
            for number, place in sorted(found.places.items())
            if place.holder is not None
        ],
        "waiters": [_attempt(waiter.holder) for waiter in found.line],
    }
    if per_us := of_step(found.declared.limit).get("perUs"):
        told["perUs"] = per_us
    if found.declared.limit.key:
        told["key"] = found.declared.limit.key
    if found.key is not None:
        told["value"] = found.key
    if found.next_free_us is not None:
        told["nextFreeUs"] = found.next_free_us
    return told


def _attempt(holder: Holder) -> replies.AttemptOfLimit:
    return {"runId": holder.run_id, "stepId": holder.step, "attemptNumber": holder.attempt}
