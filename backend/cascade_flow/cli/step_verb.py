"""`step`: one step of a run, with what it was given, what it gave, and each of its attempts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from cascade_flow import clock
from cascade_flow.cli import event_texts, families, formatting, outcome, styles, tables
from cascade_flow.cli.completion import complete_step
from cascade_flow.cli.run_verbs import RunArgument
from cascade_flow.cli.tables import facts
from cascade_flow.cli.target import Target, targeted
from cascade_flow.cli.tracebacks import here
from cascade_flow.cli.views import StepView

if TYPE_CHECKING:
    from cascade_flow.client import Json

_LONGEST_VALUE = 2_000
_ATTEMPTS = {
    "running": ("●", "cyan"),
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "reclaimed": ("↯", "yellow"),
    "postponed": ("◔", "cyan"),
}


@targeted
def step(
    target: Target,
    run: RunArgument,
    step: Annotated[
        str,
        typer.Argument(metavar="STEP", help="The step's id.", show_default=False, autocompletion=complete_step),
    ],
) -> None:
    """Show a step of a run: its input, its output, and each attempt with worker, time, memory, CPU and error.

    Examples:

      $ cascade step 3f2a91c07b1d4e55 payment
      $ cascade step 3f2a91c07b1d4e55 payment --json | jq '.attempts[].error.message'
    """
    with target.client() as client:
        run = families.meant(client, run)
        found = client.step(run, step)
        children = families.worth_a_look(client, run, found) if not target.as_json else []
    if target.as_json:
        target.screen.data(found)
        return
    target.screen.show(facts(_about(found)), *_given(found), *_attempts(found))
    if children:
        target.screen.show(Text(""), tables.children(run, found, children))
    target.screen.show(Text(""), outcome.Commands((target.command(f"logs {run} {step}"), "what it wrote")))


def _about(found: Json) -> Iterator[tuple[str, str | Text]]:
    view = StepView(found, run_over=False, now_us=clock.now_us())
    yield "step", Text(view.id, "bold")
    yield "status", Text(f"{styles.sign(view.phase)} {view.phase.value}", styles.style(view.phase))
    if said := styles.state(view):
        yield "", said
    if view.dependencies:
        yield "waits for", ", ".join(view.dependencies)
    if families.is_tried(view):
        yield "tries", f"{view.max_attempts} at most"
    if found.get("timeoutUs"):
        yield "timeout", formatting.duration(found["timeoutUs"])


def _given(found: Json) -> Iterator[RenderableType]:
    """What it was given and what it gave, as far as they are known."""
    given = found.get("input") or {}
    named = {"input": given["input"]} if given.get("input") is not None else {}
    named |= {f"from {step}": value for step, value in (given.get("outputs") or {}).items()}
    if "output" in found and found["output"] is not None:
        named["output"] = found["output"]
    if named:
        yield Text("")
        yield facts((name, _value(value)) for name, value in named.items())
    if left := given.get("leftOut"):
        yield Text(f"too large to be shown: what {', '.join(left)} gave", "dim")


def _attempts(found: Json) -> Iterator[RenderableType]:
    for attempt in found["attempts"]:
        yield Text("")
        yield _head(attempt)
        yield facts(_of_attempt(attempt))
        if error := attempt.get("error"):
            yield outcome.indented(Text(_error(error), "red"))


def _head(attempt: Mapping[str, Any]) -> Text:
    sign, style = _ATTEMPTS.get(attempt["status"], ("○", ""))
    why = f" ({attempt['failureReason']})" if attempt.get("failureReason") else ""
    return Text.assemble((f"{sign} ", style), (f"attempt {attempt['attemptNumber']} ", "bold"), attempt["status"], why)


def _of_attempt(attempt: Mapping[str, Any]) -> Iterator[tuple[str, str | Text]]:
    yield "  worker", attempt["workerId"]
    took = f", took {formatting.duration(attempt['durationUs'])}" if "durationUs" in attempt else ""
    yield "  began", formatting.instant(attempt["startedAtUs"]) + took
    if usage := attempt.get("resourceUsage"):
        yield "  used", _usage(usage)
    if "reclaimedBy" in attempt:
        taken = f"its worker fell silent; {attempt['reclaimedBy']} took the step from it"
        back = event_texts.was_given_back(attempt, "workerId")
        yield "  given up", "its worker gave it back, which is no try" if back else taken
    if "laterReason" in attempt:
        yield "  not ready", attempt["laterReason"]
    if "nextRetryAtUs" in attempt:
        yield "  next attempt", formatting.instant(attempt["nextRetryAtUs"])


def _usage(usage: Mapping[str, Any]) -> str:
    memory, cpu = usage.get("peakMemoryBytes"), usage.get("cpuTimeTotalUs")
    parts = [f"{formatting.bytes_of(memory)} of memory at most"] if memory is not None else []
    parts += [f"{formatting.duration(cpu)} of CPU"] if cpu is not None else []
    return ", ".join(parts)


def _error(error: Mapping[str, Any]) -> str:
    return here(str(error.get("stack") or "")).rstrip() or event_texts.error_text(error)


def _value(value: Any) -> Text:
    text = value if isinstance(value, str) else formatting.pretty(value)
    shown = text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… ({formatting.size(text)})"
    return Text(shown, overflow="fold")
