"""How a run ended: what it gave, or what went wrong, and what to do next. Long outputs are named, not shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cascade_flow.cli import event_texts, formatting
from cascade_flow.cli.target import Target
from cascade_flow.cli.views import RunView

_MOST_LINES = 14
_MOST_CHARACTERS = 1_000
_STACK_LINES = 12
_KINDS = {
    "<svg": ("SVG", "svg"),
    "<!doctype html": ("HTML", "html"),
    "<html": ("HTML", "html"),
    "<?xml": ("XML", "xml"),
}


def outcome(view: RunView, target: Target) -> Group:
    """What there is to say of a run that is over."""
    parts = {"completed": _completed, "failed": _failed, "cancelled": _cancelled}[view.status](view, target)
    return Group(*parts)


def next_steps(*lines: tuple[str, str]) -> Table:
    """Commands, and what each is for."""
    table = Table.grid(padding=(0, 3, 0, 0))
    for command, purpose in lines:
        table.add_row(Text(f"  {command}", overflow="fold"), Text(purpose, "dim"))
    return table


def _completed(view: RunView, target: Target) -> Iterator[RenderableType]:
    if not view.output:
        yield Text("The run has no output: none of its steps is declared with export=True.", "dim")
        return
    yield Text("output", "bold")
    table = Table.grid(padding=(0, 2))
    for step, value in view.output.items():
        table.add_row(Text(f"  {step}", overflow="fold"), _shown(view, target, step, value))
    yield table


def _failed(view: RunView, target: Target) -> Iterator[RenderableType]:
    error = view.error or {}
    step = error.get("failedStep")
    yield Text(
        f"The run failed{f' in step {step}' if step else ''} ({error.get('failureReason', 'no reason given')}).", "red"
    )
    said = event_texts.error_text(error)
    frames = str(error.get("stack") or "").rstrip().removesuffix(said).rstrip().splitlines()
    if frames:
        yield _indented(Text("\n".join(frames[-_STACK_LINES:]), "dim", overflow="fold"))
    yield _indented(Text(said, overflow="fold"))
    yield Text("next", "bold")
    lines = [(target.command(f"show {view.id}"), "every step, every attempt that failed")]
    if step:
        lines.insert(0, (target.command(f"logs {view.id} {step}"), "what the step wrote"))
    yield next_steps(*lines)


def _indented(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 2))


def _cancelled(view: RunView, target: Target) -> Iterator[RenderableType]:
    reason = view.document.get("cancelReason")
    yield Text(f"The run was cancelled{f': {reason}' if reason else ''}.", "yellow")


def _shown(view: RunView, target: Target, step: str, value: Any) -> Text:
    text = value if isinstance(value, str) else formatting.pretty(value)
    if len(text) <= _MOST_CHARACTERS and text.count("\n") < _MOST_LINES:
        return Text(text.rstrip("\n"), overflow="fold")
    kind, ending = _kind(value)
    command = target.command(f"show {view.id} --output {step}")
    return Text.assemble(
        f"{formatting.size(text)} of {kind}\n", (f"{command} > {step.rpartition('/')[2]}.{ending}", "dim")
    )


def _kind(value: Any) -> tuple[str, str]:
    if not isinstance(value, str):
        return "JSON", "json"
    start = value.lstrip()[:20].lower()
    return next((kind for mark, kind in _KINDS.items() if start.startswith(mark)), ("text", "txt"))
