"""What each state of a step or run looks like: its sign, its colour, its words. One look for trees and tables."""

from __future__ import annotations

from collections.abc import Sequence

from cascade_flow.cli import event_texts, families, formatting
from cascade_flow.cli.views import Phase, RunView, StepView
from cascade_flow.engine.findings import nth

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAME_US = 80_000
_MOST_NAMED = 3

_LOOKS = {
    Phase.WAITING: ("○", "dim"),
    Phase.AWAITED: ("◇", "yellow"),
    Phase.DELAYED: ("○", "cyan"),
    Phase.QUEUED: ("◌", "cyan"),
    Phase.RUNNING: ("●", "cyan"),
    Phase.RETRYING: ("↻", "yellow"),
    Phase.NOT_READY: ("◔", "cyan"),
    Phase.COMPLETED: ("✓", "green"),
    Phase.FAILED: ("✗", "red"),
    Phase.SKIPPED: ("⊘", "magenta"),
    Phase.STOPPED: ("■", "yellow"),
    Phase.NOT_RUN: ("○", "dim"),
}
_RUN_LOOKS = {
    "pending": ("○", "cyan"),
    "running": ("●", "cyan"),
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("■", "yellow"),
}
_URGENCY = {
    Phase.FAILED: 0,
    Phase.RETRYING: 1,
    Phase.STOPPED: 1,
    Phase.AWAITED: 1,
    Phase.RUNNING: 2,
    Phase.QUEUED: 3,
    Phase.NOT_READY: 3,
    Phase.DELAYED: 3,
}


def sign(phase: Phase, *, now_us: int | None = None) -> str:
    """The sign of a phase; with a time, that of a running step turns."""
    if phase is Phase.RUNNING and now_us is not None:
        return spinner(now_us)
    return _LOOKS[phase][0]


def step_sign(step: StepView, *, now_us: int | None = None) -> str:
    """The sign of a step; an event that is still to come has one of its own."""
    is_to_come = step.event is not None and step.phase is Phase.WAITING
    return sign(Phase.AWAITED if is_to_come else step.phase, now_us=now_us)


def style(phase: Phase) -> str:
    return _LOOKS[phase][1]


def run_sign(status: str, *, now_us: int | None = None) -> str:
    if now_us is not None and status == "running":
        return spinner(now_us)
    return _RUN_LOOKS.get(status, ("○", ""))[0]


def run_style(status: str) -> str:
    return _RUN_LOOKS.get(status, ("", ""))[1]


def spinner(now_us: int) -> str:
    return _FRAMES[now_us // _FRAME_US % len(_FRAMES)]


def urgency(phase: Phase) -> int:
    """How much a step in this phase must be seen, 0 the most; `arrangement.QUIET` and more: not at all."""
    return _URGENCY.get(phase, 4 if phase is Phase.COMPLETED else 5)


def failing(view: RunView) -> str:
    """That a run is going to fail, for which steps, and what it still waits for; nothing of any other run."""
    if not view.failing_steps:
        return ""
    waits = f", and the run ends when {_listed(view.running_steps)} is done" if view.running_steps else ""
    return f"failing: {_listed(view.failing_steps)} failed{waits}"


def _listed(steps: Sequence[StepView]) -> str:
    named = [step.id for step in steps[:_MOST_NAMED]]
    rest = [f"{len(steps) - _MOST_NAMED} more"] if len(steps) > _MOST_NAMED else []
    *first, last = [*named, *rest]
    return f"{', '.join(first)} and {last}" if first else last


def attempts(step: StepView) -> str:
    return f"attempt {tries(step)}"


def tries(step: StepView) -> str:
    """`2 of 3`; where the run has been tried again, and so its steps more often than that, the number alone."""
    return f"{step.tried} of {step.max_attempts}" if step.tried <= step.max_attempts else str(step.tried)


def error_line(step: StepView) -> str:
    """The step's error on one line, or nothing."""
    return event_texts.error_text(step.error)


def state(step: StepView) -> str:
    """What there is to say of a step beside its phase and its time, but for its error."""
    if step.phase is Phase.RETRYING:
        return f"{attempts(step)}, next retry {formatting.countdown((step.due_us or 0) - step.now_us)}"
    if step.phase is Phase.SKIPPED:
        return f"skipped with {step.skipped_with}" if step.skipped_with else f"skipped: {step.skip_reason}"
    if step.phase is Phase.NOT_READY:
        return f"{step.later_reason}: {asking(step)}"
    if step.phase is Phase.DELAYED:
        return f"starts {formatting.when(step.due_us or 0, now_us=step.now_us)}"
    if step.phase is Phase.AWAITED:
        return f"waits{_until(step)}: cascade send {step.run_id} {step.id} --data …"
    if step.phase is Phase.WAITING and step.event and "sentAtUs" in step.event:
        return "was sent already"
    if step.phase in (Phase.WAITING, Phase.NOT_RUN):
        return ""
    if step.phase is Phase.QUEUED and (waits := waits_for(step)):
        return waits
    if families.children_of(step) and step.phase is Phase.RUNNING and (told := families.said(step)):
        return told
    word = step.phase.value if step.phase in (Phase.QUEUED, Phase.STOPPED) else ""
    again = attempts(step) if families.is_tried(step) and (step.tried > 1 or step.phase is Phase.FAILED) else ""
    lost = "the worker before it was lost" if step.was_reclaimed and not step.error and again else ""
    return ", ".join(part for part in (word, again, lost) if part)


def waits_for(step: StepView) -> str:
    """What a limited step waits for, while that is what keeps it."""
    waits = step.document.get("waitsFor")
    if waits is None:
        return ""
    if (turn_us := waits.get("turnAtUs")) is not None:
        return f"waits for its turn at {waits['limit']}, {formatting.countdown(turn_us - step.now_us)}"
    before = f"{waits['before']} before it" if "before" in waits else "many before it"
    return f"waits for a place of {waits['limit']} ({waits.get('taken', 0)} of {waits['atMost']} taken, {before})"


def asking(step: StepView) -> str:
    """When a step that isn't ready comes again, and the how manieth time that is."""
    when = formatting.when(step.due_us or 0, now_us=step.now_us)
    return f"asks again {when}, {nth(step.laters + 1)} time"


def _until(step: StepView) -> str:
    until_us = step.event and step.event.get("waitsUntilUs")
    return f" until {formatting.moment(until_us, now_us=step.now_us)}" if until_us else ""


def trouble(step: StepView) -> str:
    """The error that a step ended with, or is tried again after, or those of its items, on one line."""
    if families.children_of(step) and step.phase in (Phase.RUNNING, Phase.COMPLETED):
        return families.failures(step)
    return error_line(step) if step.phase in (Phase.RETRYING, Phase.FAILED, Phase.STOPPED) else ""
