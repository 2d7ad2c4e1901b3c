"""Lists and details as tables: runs, steps, workflows. Ids are never cut; what doesn't fit goes on below.

A run's id is never broken either, since people copy it: where it doesn't fit, the table is wider than the terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from cascade_flow.cli import event_texts, families, formatting, styles
from cascade_flow.cli.views import Document, Phase, RunView, StepView, Undo

_LONGEST_VALUE = 300


def facts(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """Names and values, one a line."""
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        table.add_row(Text(name, "dim"), value if isinstance(value, Text) else Text(value, overflow="fold"))
    return table


def about_run(view: RunView) -> Table:
    """What is known of a run as a whole."""
    run = view.run
    rows: list[tuple[str, str | Text]] = [
        ("run", Text(view.id, "bold")),
        ("workflow", view.workflow),
        ("status", _status(view)),
        *([("", Text(said, "red"))] if (said := styles.failing(view)) else []),
        *_undoing(view.undo),
        (
            "submitted",
            f"{formatting.instant(run['createdAtUs'])} ({formatting.ago(run['createdAtUs'], now_us=view.now_us)})",
        ),
    ]
    if run.get("availableAtUs", 0) > run["createdAtUs"]:
        rows.append(("starts at", formatting.instant(run["availableAtUs"])))
    if (run.get("workflowAttemptNumber") or 1) > 1:
        rows.append(("run attempt", str(run["workflowAttemptNumber"])))
    if run.get("timeoutUs"):
        rows.append(("may take", formatting.duration(run["timeoutUs"])))
    rows += [(name, _value(run[field])) for name, field in _OPTIONAL if run.get(field)]
    rows.append(("version", version(view.document)))
    table = facts(rows)
    table.columns[1].min_width = cell_len(view.id)
    return table


def _undoing(undo: Undo) -> Iterator[tuple[str, Text]]:
    if undo.undoes is not None:
        yield "undoes", Text(undo.undoes)
    if undo.undone_by is not None and undo.status == "failed":
        yield "", Text(f"UNDO FAILED in run {undo.undone_by}", "bold red")
    elif undo.undone_by is not None:
        yield "undone by", Text(f"{undo.undone_by}: {undo.status}", styles.run_style(undo.status))


_OPTIONAL = [
    ("input", "input"),
    ("tags", "tags"),
    ("metadata", "metadata"),
    ("priority", "priority"),
    ("key", "idempotencyKey"),
]


def steps(views: Sequence[StepView]) -> Table:
    """Each step of a run: where it stands, how often it was tried, how long it took."""
    table = plain_table("step", "status", "attempt", "took", "")
    table.columns[3].justify = "right"
    for step in views:
        tried = families.is_tried(step) and step.phase not in (Phase.WAITING, Phase.NOT_RUN)
        table.add_row(
            id_text(step.id),
            Text(f"{styles.sign(step.phase)} {step.phase.value}", styles.style(step.phase), no_wrap=True),
            styles.tries(step) if tried and step.phase is not Phase.SKIPPED else "",
            "" if step.took_us is None else formatting.duration(step.took_us),
            Text(_remark(step), overflow="fold"),
        )
    return table


def children(run_id: str, step: Document, documents: Iterable[Document]) -> Table:
    """Some of the runs that do a step's work, by the way to each."""
    table = plain_table("runs of it that failed or go on", "status", "")
    for child in documents:
        status = "retrying" if child.get("isRetrying") else child["status"]
        item = f"/{child['firstItem']}" if "firstItem" in child else ""
        table.add_row(
            id_text(f"{run_id}/{step['stepId']}{item}"),
            Text(f"{styles.run_sign(child['status'])} {status}", styles.run_style(child["status"]), no_wrap=True),
            Text(event_texts.error_text(child.get("error")), overflow="fold"),
        )
    return table


def failed_attempts(events: Iterable[Document]) -> Table | None:
    """Each attempt that failed or was lost; None where there is none. `events` are StepFailed and StepReclaimed."""
    table = plain_table("attempts that failed", "", "")
    for event in events:
        table.add_row(id_text(event["stepId"]), str(event["attemptNumber"]), Text(_failure(event), overflow="fold"))
    return table if table.rows else None


def runs(documents: Sequence[Document], *, now_us: int) -> Table:
    """A list of runs."""
    table = plain_table("run", "workflow", "status", "submitted", "took")
    table.columns[0].no_wrap = True
    table.columns[0].min_width = max((cell_len(str(run["runId"])) for run in documents), default=0)
    table.columns[4].justify = "right"
    if any("undoes" in run or "undoneBy" in run for run in documents):
        table.add_column()
    for run in documents:
        view = RunView({"run": run}, now_us)
        table.add_row(
            id_text(view.id),
            id_text(view.workflow),
            Text(f"{styles.run_sign(view.status)} {view.status}", styles.run_style(view.status), no_wrap=True),
            formatting.ago(run["createdAtUs"], now_us=now_us),
            "" if view.took_us is None else formatting.duration(view.took_us),
            *([_linked(view.undo)] if len(table.columns) > 5 else []),
        )
    return table


def _linked(undo: Undo) -> Text:
    if undo.undoes is not None:
        return Text(f"undo of {undo.undoes}", overflow="fold")
    return Text("" if undo.undone_by is None else f"undone by {undo.undone_by}", "dim", overflow="fold")


def plan(plan: Document, kind: str) -> Table:
    """What a new run keeps of an old one, and what runs again."""
    keeps, again = (", ".join(plan[name]) or "nothing" for name in ("keeps", "runsAgain"))
    kept, anew = Text(keeps, "green", overflow="fold"), Text(again, "cyan", overflow="fold")
    return facts([(kind, f"by version {version(plan)}"), ("keeps", kept), ("runs again", anew)])


def refusals(documents: Iterable[Document]) -> Table:
    """Runs with which something could not be done."""
    table = plain_table("run", "")
    table.columns[0].no_wrap = True
    for refused in documents:
        table.add_row(id_text(refused["runId"]), Text(refused["detail"], overflow="fold"))
    return table


def rows_refused(kinds: Iterable[Sequence[Document]]) -> Table:
    """Lines of a file that became no run: which, what is wrong there, and how; a row for all that are wrong alike."""
    table = plain_table("line", "field", "")
    for rows in kinds:
        words = (Text("\n".join(words), overflow="fold") for words in zip(*wrong_with(rows[0]), strict=True))
        more = "" if len(rows) == 1 else f" and {len(rows) - 1:,} more"
        table.add_row(f"{rows[0]['line']}{more}", *words)
    return table


def wrong_with(row: Document) -> tuple[tuple[str, str], ...]:
    """Each field of a refused row that is wrong, and how."""
    problem = row.get("problem") or {"detail": "the service is busy: the same command sends it again"}
    issues = problem.get("issues") or [{"path": "", "message": problem["detail"]}]
    return tuple((issue["path"], issue["message"]) for issue in issues)


def broken(documents: Iterable[Document]) -> Table:
    """Runs that wait for steps that are gone."""
    table = plain_table("run", "workflow", "steps that are gone")
    table.columns[0].no_wrap = True
    for run in documents:
        steps = Text(", ".join(run["stepIds"]), overflow="fold")
        table.add_row(id_text(run["runId"]), id_text(run["workflowSlug"]), steps)
    return table


def workflows(documents: Sequence[Document]) -> Table:
    """A list of workflows."""
    limited = any("runLimit" in workflow for workflow in documents)
    table = plain_table("workflow", "name", "declared in", *(["go on at once"] if limited else []))
    for workflow in documents:
        told = [workflow["name"], workflow.get("location") or "", *([run_limit(workflow)] if limited else [])]
        table.add_row(id_text(workflow["workflowSlug"]), *told)
    return table


def run_limit(workflow: Document) -> str:
    """How many runs of a workflow go on at once, and what becomes of more; nothing where as many do as there are."""
    limit = workflow.get("runLimit")
    if limit is None:
        return ""
    by_key = f" for each {limit['key']}" if "key" in limit else ""
    return f"{limit['atMost']}{by_key}{', a further one is that one' if limit['skips'] else ''}"


def definitions(documents: Iterable[Document]) -> Table:
    """The steps that a workflow declares."""
    table = plain_table("step", "waits for", "tries", "timeout", "")
    for step in documents:
        tries = sum(tier.get("maxAttempts", 1) for tier in step.get("retry") or [{}])
        timeout_us = step.get("timeoutUs")
        table.add_row(
            id_text(step["stepId"]),
            Text(", ".join(step.get("dependencies") or ()), overflow="fold"),
            str(tries),
            formatting.duration(timeout_us) if timeout_us else "",
            ", ".join(_marks(step)),
        )
    return table


def _marks(step: Document) -> Iterator[str]:
    if "event" in step:
        yield "an event from outside"
    if "children" in step:
        yield families.declared(step["children"])
    if step.get("executor"):
        yield f"for pool {step['executor']}"
    if step.get("limit"):
        yield f"limit {step['limit']['name']}"
    if step.get("delayUs"):
        yield f"starts {formatting.duration(step['delayUs'])} later"
    if step.get("pollEveryUs"):
        until = f" for {formatting.duration(step['giveUpAfterUs'])}" if step.get("giveUpAfterUs") else ""
        yield f"asks every {formatting.duration(step['pollEveryUs'])}{until}"
    if step.get("exportOutput"):
        yield "exported"


def fields(schema: Any) -> Table | None:
    """The fields of an input's JSON Schema; None where it names none."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not properties:
        return None
    table = plain_table("input", "type", "default", "")
    required = schema.get("required", ())
    for name, field in properties.items():
        default = "required" if name in required else formatting.compact(field.get("default"))
        table.add_row(id_text(name), _type(field), default, Text(field.get("description", ""), overflow="fold"))
    return table


def plain_table(*columns: str) -> Table:
    """A table with these heads, as all of them look."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim", expand=False)
    for column in columns:
        table.add_column(column)
    return table


def version(document: Document) -> str:
    """A version's id, without the name of the hash, so that it fits on a line."""
    return str(document.get("versionId", "")).removeprefix("sha256:")


def id_text(text: str) -> Text:
    """An id, which is never cut."""
    return Text(text, overflow="fold")


def _status(view: RunView) -> Text:
    text = f"{styles.run_sign(view.status)} {view.status}"
    if view.took_us is not None:
        text += f" {'in' if view.is_over else 'for'} {formatting.duration(view.took_us)}"
    if view.starts_us is not None:
        text += f", starts {formatting.countdown(view.starts_us - view.now_us)}"
    return Text(text, styles.run_style(view.status))


def _remark(step: StepView) -> str:
    if step.phase is Phase.SKIPPED or (step.event is not None and step.phase in (Phase.WAITING, Phase.AWAITED)):
        return styles.state(step)
    if step.phase is Phase.RETRYING:
        return f"next retry {formatting.countdown((step.due_us or 0) - step.now_us)}"
    if step.phase is Phase.QUEUED and (waits := styles.waits_for(step)):
        return waits
    if step.phase is Phase.DELAYED:
        return styles.state(step)
    if step.phase is Phase.NOT_READY:
        return f"{step.later_reason}: {styles.asking(step)}"
    if step.phase is Phase.QUEUED and (pool := step.document.get("executor")):
        return f"waits for a worker of pool {pool}"
    if "children" in step.document and (told := _grown(step)):
        return told
    return "exported" if step.document.get("exportOutput") else ""


def _grown(step: StepView) -> str:
    return ": ".join(part for part in (styles.state(step), styles.trouble(step)) if part)


def _failure(event: Document) -> str:
    if event["type"] == "StepReclaimed":
        if event_texts.was_given_back(event, "originalWorkerId"):
            return "its worker gave it back, which is no try"
        silent = formatting.duration(event.get("staleDurationUs", 0))
        return f"its worker fell silent and was given up after {silent}"
    return event_texts.error_text(event.get("error"))


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else formatting.compact(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… ({formatting.size(text)})"


def _type(field: Document) -> str:
    options = field.get("anyOf") or [field]
    named = [
        str(option.get("type") or option.get("const") or option.get("$ref", "").rpartition("/")[2])
        for option in options
    ]
    return " or ".join(name for name in named if name) or "any"
