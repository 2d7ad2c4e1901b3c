"""What a diagnosis says of what limits ask to wait. Words only."""

from __future__ import annotations

from cascade_flow.engine.findings import Finding, instant, span
from cascade_flow.engine.limits import Waiting
from cascade_flow.engine.state import Branch, Run


def step_waits(branch: Branch, waiting: Waiting, now_us: int) -> Finding:
    """A step that waits as its limit asks for: nobody is to do anything."""
    code = "waits-for-place" if waiting.limit.per_us is None else "waits-for-turn"
    said = f"`{branch.step}` waits for {waited_for(waiting, now_us)}"
    return Finding(code, "waits", said, step_id=branch.step, until_us=waiting.turn_us)


def waited_for(waiting: Waiting, now_us: int) -> str:
    """What a limited step waits for."""
    limit = waiting.limit
    if limit.per_us is not None:
        turn_us = waiting.turn_us or now_us
        when = f"{instant(turn_us, now_us)} (in {span(turn_us - now_us)})"
        return f"its turn at {limit.id} ({limit.at_most} in {span(limit.per_us)}), {when}"
    before = "many before it" if waiting.before is None else f"{waiting.before} before it"
    return f"a place of {limit.id} ({waiting.taken} of {limit.at_most} taken, {before})"


def run_waits(run: Run, waiting: Waiting) -> Finding:
    """A run of a workflow of which only so many go on at once."""
    others = f"another run of {run.workflow_slug!r} to end"
    before = "many before it" if waiting.before is None else f"{waiting.before} before it"
    said = f"the run waits for {others} ({waiting.taken} of {waiting.limit.at_most} go on, {before})"
    return Finding("waits-for-runs", "waits", said)
