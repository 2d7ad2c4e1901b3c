"""Waiting for a time (protocol.md §12): who brings a step there, and when somebody must look at it. Pure.

Within a quarter of an hour the message that wakes a worker carries the whole wait. Beyond that the due index holds it,
until a message can carry the rest.

A step that isn't ready says when it wants to come again, within what its declaration allows; the events tell it as the
last line of the attempt's log.
"""

from __future__ import annotations

from cascade_flow.engine.commands import Postpone
from cascade_flow.engine.state import LONGEST_DELAY_US, Branch, Timing, within_time
from cascade_flow.model.workflows import StepDefinition

_LEAST_US = 1_000_000
"""Between two questions: who asks ever again costs a request each time."""
_LATER = "later"


def again_us(step: StepDefinition, branch: Branch, command: Postpone, now_us: int) -> int | None:
    """When a postponed step comes again: once more when its patience ends, and then no more (None)."""
    delay_us = command.delay_us or (step.poll_every_ms or 0) * 1_000
    wanted_us = now_us + delay_us if command.at_us is None else command.at_us
    wanted_us = within_time(max(wanted_us, now_us + _LEAST_US))
    if step.give_up_after_ms is None:
        return wanted_us
    until_us = asking_since_us(branch) + step.give_up_after_ms * 1_000
    return None if now_us >= until_us else min(wanted_us, until_us)


def asking_since_us(branch: Branch) -> int:
    """When the attempt was due that said first that it isn't ready."""
    return branch.later_since_us or branch.available_at_us or 0


def line_of(reason: str) -> str:
    """What the log of a postponed attempt ends with."""
    return f"{_LATER}: {reason}" if reason else _LATER


def reason_in(line: str) -> str | None:
    """Why an attempt was postponed whose log ends so; None where that is no such line."""
    word, colon, reason = line.partition(": ")
    return reason if word == _LATER and (colon or not reason) else None


def is_carried(branch: Branch) -> bool:
    """Whether the message that was sent when the step was scheduled comes at its time."""
    return (branch.available_at_us or 0) - branch.last_us <= LONGEST_DELAY_US


def is_far(branch: Branch, now_us: int) -> bool:
    """Whether no message can carry what is left of the wait."""
    return (branch.available_at_us or 0) - now_us > LONGEST_DELAY_US


def look_us(branch: Branch, timing: Timing) -> int:
    """When a scheduled step must be looked at: to send the message that carries the rest, or a grace after it came."""
    available_us = branch.available_at_us or 0
    return available_us + timing.grace_us if is_carried(branch) else available_us - LONGEST_DELAY_US
