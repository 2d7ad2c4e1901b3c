"""A run as a picture: a heading, and a tree with a line for each step. Made anew for each moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.text import Text

from cascade_flow.cli import formatting, styles
from cascade_flow.cli.graph_layout import Line, fitted, laid_out
from cascade_flow.cli.views import Phase, RunView, StepView

_TIME_WIDTH = 12
_LEAST_NOTE = 12


def picture(view: RunView, *, width: int, height: int, moving: bool) -> Text:
    """The run on lines of this width, as few as `height` where that can be; `moving` makes what runs turn."""
    steps = {step.id: step for step in view.steps}
    lines = _lines(steps, height - (3 if view.failing_steps else 2))
    rows = [_heading(view, moving=moving)]
    if said := styles.failing(view):
        rows.append(Text(formatting.shortened(said, width), "red"))
    column = _column(lines, width)
    spare = height - 1 - len(rows) - len(lines)
    for line in lines:
        found = _rows(line, steps, width=width, column=column, moving=moving)
        rows += found[: 1 + max(0, spare)]
        spare -= len(found) - 1
    return Text("\n").join(rows)


def _lines(steps: Mapping[str, StepView], most: int) -> list[Line]:
    def urgency(step: str) -> int:
        return styles.urgency(steps[step].phase)

    dependencies = {id: step.dependencies for id, step in steps.items()}
    return fitted(laid_out(dependencies, urgency=urgency), most, urgency=urgency)


def _heading(view: RunView, *, moving: bool) -> Text:
    style = styles.run_style(view.status)
    sign = styles.run_sign(view.status, now_us=view.now_us if moving else None)
    parts = [view.status]
    if view.took_us is not None:
        parts.append(formatting.duration(view.took_us))
    if view.starts_us is not None:
        parts = [f"starts {formatting.countdown(view.starts_us - view.now_us)}"]
    heading = Text.assemble((f"{sign} ", style), (view.workflow, "bold"), "  ", (view.id, "dim"), "  ")
    return heading.append("  ".join(parts), style)


def _column(lines: Sequence[Line], width: int) -> int:
    """Where the times begin: right of all ids, but not so far that nothing fits beside them."""
    longest = max((len(line.indent) + 2 + len(line.steps[0]) for line in lines if not line.folded), default=0)
    return min(longest + 2, width // 2)


def _rows(line: Line, steps: Mapping[str, StepView], *, width: int, column: int, moving: bool) -> list[Text]:
    """A step's line, and a second one for its error where that doesn't fit beside it."""
    if line.folded:
        return [_folded(line, [steps[id] for id in line.steps])]
    step = steps[line.steps[0]]
    style = styles.style(step.phase)
    row = _start(line, step, column=column, moving=moving)
    said, trouble = styles.state(step), styles.trouble(step)
    room = max(_LEAST_NOTE, width - column - _TIME_WIDTH)
    together = formatting.first_line(": ".join(part for part in (said, trouble) if part))
    calm = "dim" if step.phase is Phase.COMPLETED else style
    if not trouble or len(together) <= room:
        return [_with(row, formatting.shortened(together, room), calm, column + _TIME_WIDTH)]
    below = Text.assemble((line.below, "dim"), "  ")
    below.append(formatting.shortened(trouble, width - below.cell_len), style)
    return [_with(row, said, calm, column + _TIME_WIDTH), below]


def _start(line: Line, step: StepView, *, column: int, moving: bool) -> Text:
    phase, style = step.phase, styles.style(step.phase)
    sign = styles.step_sign(step, now_us=step.now_us if moving else None)
    row = Text.assemble((line.indent, "dim"), (f"{sign} ", style), (step.id, style if style == "dim" else ""))
    took = "" if step.took_us is None else formatting.duration(step.took_us)
    return _with(row, took.rjust(_TIME_WIDTH - 2), "dim" if phase is Phase.COMPLETED else "", column)


def _with(row: Text, text: str, style: str, column: int) -> Text:
    if text.strip():
        row.append(" " * max(1, column - row.cell_len))
        row.append(text, style)
    return row


def _folded(line: Line, steps: Sequence[StepView]) -> Text:
    phases = Counter(step.phase for step in steps)
    row = Text.assemble((line.indent, "dim"), (f"… {len(steps)} more: ", "dim"))
    listed = sorted(phases, key=lambda phase: (styles.urgency(phase), phase.value))
    for index, phase in enumerate(listed):
        row.append(", " if index else "")
        row.append(f"{phases[phase]} {phase.value}", styles.style(phase))
    return row
