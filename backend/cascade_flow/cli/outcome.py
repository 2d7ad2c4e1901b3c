"""How a run ended: what it gave, or what went wrong, and what to do next. Long outputs are named, not shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from cascade_flow.cli import event_texts, formatting
from cascade_flow.cli.target import Target
from cascade_flow.cli.tracebacks import here
from cascade_flow.cli.views import Phase, RunView, Undo

_MOST_LINES = 14
_MOST_CHARACTERS = 1_000
_KINDS = {
    "<svg": ("SVG", "svg"),
    "<!doctype html": ("HTML", "html"),
    "<html": ("HTML", "html"),
    "<?xml": ("XML", "xml"),
}


class Commands:
    """Commands, and what each is for: beside it, or above it where the terminal is narrow. A command is one line."""

    def __init__(self, *lines: tuple[str, str]) -> None:
        self._lines = lines

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        width = max((cell_len(command) for command, _ in self._lines), default=0)
        fits = all(width + len(purpose) + 5 <= options.max_width for _, purpose in self._lines)
        for command, purpose in self._lines:
            if not fits:
                yield Text(f"  {purpose}:", "dim")
            beside = f"   {purpose}" if fits else ""
            yield Text.assemble(f"  {command.ljust(width)}", (beside, "dim"), no_wrap=True, overflow="ignore")


def outcome(view: RunView, target: Target, *, shown: bool = False) -> Group:
    """What there is to say of a run that is over; `shown` where its steps stand above."""
    parts = {"completed": _completed, "failed": _failed, "cancelled": _cancelled}[view.status](view, target)
    if hints := [*_hints(view, target, shown=shown)]:
        return Group(*parts, Text("next", "bold"), Commands(*hints))
    return Group(*parts)


def _completed(view: RunView, target: Target) -> Iterator[RenderableType]:
    if view.output is None or view.output == {}:
        yield Text("The run has no output: none of its steps is declared with export=True.", "dim")
        return
    yield Text("output", "bold")
    if not view.outputs:
        yield indented(_shown(view.output))
        return
    table = Table.grid(padding=(0, 2))
    for step, value in view.outputs.items():
        table.add_row(Text(f"  {step}", overflow="fold"), _shown(value))
    yield table


def _failed(view: RunView, _: Target) -> Iterator[RenderableType]:
    error = view.error or {}
    step = error.get("failedStep")
    yield Text(
        f"The run failed{f' in step {step}' if step else ''} ({error.get('failureReason', 'no reason given')}).", "red"
    )
    said = event_texts.error_text(error)
    stack = here(str(error.get("stack") or "")).rstrip()
    frames = stack[: _start_of(said, stack)].rstrip()
    if frames:
        yield indented(Text(frames, "dim"))
    yield indented(Text(stack[_start_of(said, stack) :] or said))


def _start_of(said: str, stack: str) -> int:
    """Where the error's own words begin in its traceback: at the line that has them, or at its end."""
    found = stack.rfind(said)
    return len(stack) if found < 0 else stack.rfind("\n", 0, found) + 1


def _hints(view: RunView, target: Target, *, shown: bool) -> Iterator[tuple[str, str]]:
    if view.undo.undone_by is not None:
        yield target.command(f"show {view.undo.undone_by} --watch"), _undoing(view.undo)
    failed = (view.error or {}).get("failedStep")
    if failed:
        yield target.command(f"logs {view.id} {failed}"), "what the step wrote"
    if view.status == "failed" and not shown:
        yield target.command(f"show {view.id}"), "every step, every attempt that failed"
    if view.output is not None and not view.outputs and _is_large(view.output):
        yield target.command(f"show {view.id} --json"), "the output, among the rest"
    for step, value in view.outputs.items():
        if _is_large(value):
            ending = _kind(value)[1]
            yield (
                target.command(f"show {view.id} --output {step}") + f" > {step.rpartition('/')[2]}.{ending}",
                "keep it",
            )
    completed = [step.id for step in view.steps if step.phase is Phase.COMPLETED and step.id not in view.outputs]
    if completed and not view.outputs:
        yield target.command(f"show {view.id} --output {completed[-1]}"), "what a step returned"


def _undoing(undo: Undo) -> str:
    """What is to be said of the run that undoes this one."""
    said = {"failed": "UNDO FAILED: what was not undone", "completed": "how what it had done was undone"}
    return said.get(undo.status, "how what it had done is undone")


def indented(text: Text) -> Text:
    """The lines of a text a little to the right, each as long as it is."""
    lines = Text("\n").join(Text("  ").append_text(line) for line in text.split("\n", allow_blank=True))
    lines.no_wrap, lines.overflow = True, "ignore"
    return lines


def _cancelled(view: RunView, target: Target) -> Iterator[RenderableType]:
    reason = view.document.get("cancelReason")
    yield Text(f"The run was cancelled{f': {reason}' if reason else ''}.", "yellow")


def _shown(value: Any) -> Text:
    text = _text(value)
    return Text(
        f"{formatting.size(text)} of {_kind(value)[0]}" if _is_large(value) else text.rstrip("\n"), overflow="fold"
    )


def _is_large(value: Any) -> bool:
    text = _text(value)
    return len(text) > _MOST_CHARACTERS or text.count("\n") >= _MOST_LINES


def _text(value: Any) -> str:
    return value if isinstance(value, str) else formatting.pretty(value)


def _kind(value: Any) -> tuple[str, str]:
    if not isinstance(value, str):
        return "JSON", "json"
    start = value.lstrip()[:20].lower()
    return next((kind for mark, kind in _KINDS.items() if start.startswith(mark)), ("text", "txt"))
