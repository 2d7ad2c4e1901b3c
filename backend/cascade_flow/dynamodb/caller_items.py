"""Model ↔ item, of the steps that a caller drives."""

from __future__ import annotations

from math import ceil

from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.items import Item
from cascade_flow.engine.caller import CallerStep
from cascade_flow.engine.state import ENDED, Run, within_time
from cascade_flow.model.states import StepState


def caller_step_item(run: Run, step: CallerStep) -> Item:
    """A step of a caller-driven run: its state as one text, and what conditions ask for; in the due index while it is
    live and its run goes on.
    """
    listed = step.live and run.status not in ENDED
    place: Item = {keys.DUE_SHARD: keys.call(run.run_id), keys.DUE_TIME: _due_of(step)} if listed else {}
    marks: Item = {"sq": step.seq, "la": step.last_us, "n": step.starts}
    given_up: Item = {"g": 1} if step.given_up else {}
    state: Item = {"z": items.pack_json(step.state.to_wire())}
    key = items.key_of(keys.branch(run.run_id, step.state.step_id))
    return {**key, **marks, **given_up, **state, **place, keys.EXPIRY: run.expires_s}


def to_caller_step(item: Item) -> CallerStep:
    state = StepState.model_validate(items.unpack_json(items.bytes_of(item, "z")))
    return CallerStep(state, int(item["n"]), "g" in item, int(item["la"]), int(item["sq"]))


def _due_of(step: CallerStep) -> int:
    """When a step is scheduled for; a start leaves its entry where it is, unless that would be too late."""
    times = [step.state.available_at, step.state.start_time if step.state.status == "running" else None]
    return within_time(ceil(min((time for time in times if time is not None), default=step.last_us)))
