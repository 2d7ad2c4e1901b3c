"""Waiting for a time (protocol.md §12): who brings a step there, and when somebody must look at it. Pure.

Within a quarter of an hour the message that wakes a worker carries the whole wait. Beyond that the due index holds it,
until a message can carry the rest.
"""

from __future__ import annotations

from cascade_flow.engine.state import LONGEST_DELAY_US, Branch, Timing


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
