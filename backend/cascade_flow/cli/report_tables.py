"""Reports as people read them: what ended, how long it took, what failed, who works."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from cascade_flow.cli import formatting
from cascade_flow.cli.charts import sparkline
from cascade_flow.cli.tables import facts, id_text, plain_table
from cascade_flow.cli.views import Document

_LONGEST_ERROR = 200
_SHORT = 4


def ended(summary: Document, submitted: Sequence[int] | None) -> Table:
    """How runs and steps ended; `submitted`, how many began in each part of the range."""
    rate, flow = summary["successRate"], summary["throughput"]
    runs, steps = flow["runsPerHour"], flow["stepsPerHour"]
    rows: list[tuple[str, str | Text]] = [
        ("runs", _of_runs(rate)),
        ("", f"{formatting.number(runs)} runs and {formatting.number(steps)} steps an hour"),
    ]
    if submitted and any(submitted):
        rows.insert(1, ("submitted", Text.assemble((sparkline(submitted), "cyan"), f"  {sum(submitted):,}")))
    return facts([*rows, ("steps", _of_steps(rate)), ("retries", _of_retries(summary["retryAnalysis"]))])


def durations(summary: Document) -> Table:
    """How long things took, at the middle and at the far end."""
    table = plain_table("", "count", "p50", "p95", "p99", "longest")
    for column in table.columns[1:]:
        column.justify = "right"
    rows = {"runs took": "workflowDuration", "steps took": "stepDuration", "waited for a worker": "schedulingLatency"}
    for name, key in rows.items():
        times = summary[key]
        values = [times[part] for part in ("medianUs", "p95Us", "p99Us", "maxUs")]
        told = [formatting.duration(value) for value in values] if times["count"] else [""] * len(values)
        table.add_row(name, f"{times['count']:,}", *told)
    return table


def now(summary: Document, workers: Document, now_us: int) -> Table:
    """What waits and what is under way at this moment."""
    depth = summary["queueDepth"]
    oldest_us = depth.get("oldestScheduledStepUs")
    since = f", the oldest since {formatting.duration(now_us - oldest_us)}" if oldest_us and oldest_us < now_us else ""
    runs = f"{depth['runningRuns']:,} running, {depth['pendingRuns']:,} pending"
    steps = f"{depth['runningSteps']:,} running, {depth['scheduledSteps']:,} scheduled{since}"
    at_work = f"{workers['totalActiveWorkers']:,} at work"
    lost = summary["workerStability"]["totalReclamations"]
    silent = f"; {formatting.count(lost, 'step')} taken from workers that fell silent" if lost else ""
    return facts([("runs now", runs), ("steps now", steps), ("workers", at_work + silent)])


def errors(groups: Sequence[Document], now_us: int, *, most: int | None = None) -> Table:
    """Errors by fingerprint, the most frequent first."""
    table = plain_table("failures", "runs", "last", "error", "fingerprint")
    table.columns[0].justify = table.columns[1].justify = "right"
    table.columns[4].no_wrap = True
    table.columns[4].min_width = 3 * _SHORT + 2
    for group in groups[:most]:
        said = f"{group['errorName']}: {group['errorMessage']}"
        table.add_row(
            f"{group['count']:,}",
            f"{group['affectedRuns']:,}",
            formatting.ago(group["lastSeenUs"], now_us=now_us),
            Text(formatting.shortened(said, _LONGEST_ERROR), "red", overflow="fold"),
            short_fingerprint(group["fingerprint"]),
        )
    return table


def short_fingerprint(fingerprint: str) -> str:
    """Enough of it to name it by: it is made of hashes, of which each may be cut."""
    return ":".join(part[:_SHORT] for part in fingerprint.split(":"))


def is_short_of(beginning: str, fingerprint: str) -> bool:
    """Whether this is short for the fingerprint: the beginning of its hashes, as many as were given."""
    given, whole = beginning.lower().split(":"), fingerprint.split(":")
    return len(given) <= len(whole) and all(part.startswith(short) for short, part in zip(given, whole, strict=False))


def error(detail: Document) -> Table:
    """One group of errors."""
    return facts(
        [
            ("fingerprint", Text(detail["fingerprint"], "bold")),
            ("error", Text(f"{detail['errorName']}: {detail['errorMessage']}", "red", overflow="fold")),
            ("failures", f"{detail['totalCount']:,}, of {formatting.count(detail['affectedRuns'], 'run')}"),
            ("first", formatting.instant(detail["firstSeenUs"])),
            ("last", formatting.instant(detail["lastSeenUs"])),
        ]
    )


def occurrences(documents: Iterable[Document]) -> Table:
    """Where and when an error happened."""
    table = plain_table("at", "run", "step", "attempt", "workflow")
    table.columns[1].no_wrap = True
    for each in documents:
        step, attempt = id_text(each["stepId"]), str(each["attemptNumber"])
        at = formatting.instant(each["timestampUs"])
        table.add_row(at, id_text(each["runId"]), step, attempt, id_text(each["workflowSlug"]))
    return table


def workers(documents: Iterable[Document], now_us: int) -> Table:
    """Who works, on what, and what became of it."""
    table = plain_table("worker", "seen", "steps", "failed", "lost", "at work on")
    for column in table.columns[2:5]:
        column.justify = "right"
    for worker in documents:
        table.add_row(
            id_text(worker["workerId"]),
            formatting.ago(worker["lastSeenUs"], now_us=now_us),
            f"{worker['totalStepsProcessed']:,}",
            f"{worker['failedSteps']:,}",
            f"{worker['reclaimedFromCount']:,}",
            Text("\n").join(_at_work(step, now_us) for step in worker["activeSteps"]),
        )
    return table


def dead_letters(documents: Iterable[Document], now_us: int) -> Table:
    """Messages that nobody could take."""
    table = plain_table("sent", "run", "step", "attempt", "message")
    table.columns[1].no_wrap = True
    for letter in documents:
        body = "" if "runId" in letter else formatting.shortened(letter["body"], _LONGEST_ERROR)
        table.add_row(
            formatting.ago(letter["sentAtUs"], now_us=now_us),
            id_text(letter.get("runId", "")),
            id_text(letter.get("stepId", "")),
            str(letter.get("attemptNumber", "")),
            Text(body or letter["messageId"], overflow="fold"),
        )
    return table


def _of_runs(rate: Document) -> Text:
    total = rate["totalRuns"]
    if not total:
        return Text("none ended", "dim")
    parts = [
        (f"{total:,} ended: ", ""),
        (f"{rate['successfulRuns']:,} completed ({rate['successRate']:.1f} %)", "green"),
    ]
    parts += [(f", {rate['failedRuns']:,} failed", "red" if rate["failedRuns"] else "dim")]
    return Text.assemble(*parts, (f", {rate['cancelledRuns']:,} cancelled", "" if rate["cancelledRuns"] else "dim"))


def _of_steps(rate: Document) -> Text:
    if not rate["totalSteps"]:
        return Text("none ended", "dim")
    done, failed, skipped = (f"{rate[name]:,}" for name in ("successfulSteps", "failedSteps", "skippedSteps"))
    return Text(f"{rate['totalSteps']:,} ended: {done} completed, {failed} failed, {skipped} skipped")


def _of_retries(retries: Document) -> Text:
    if not retries["totalRetries"]:
        return Text("none", "dim")
    rate = f"{retries['retryEffectivenessRate']:.1f} % of what was retried came to a good end"
    return Text(f"{retries['totalRetries']:,}; {rate}")


def _at_work(step: Document, now_us: int) -> Text:
    took = formatting.duration(now_us - step["startedAtUs"])
    return Text(f"{step['stepId']} of {step['runId']}, for {took}", overflow="fold")
