"""`stats`, `errors`, `workers`: what happened in a range of time, what went wrong, and who works."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from cascade_flow import clock
from cascade_flow.cli import charts, exits, filters, formatting, outcome, report_tables
from cascade_flow.cli.run_verbs import WorkflowOption
from cascade_flow.cli.target import Target, targeted
from cascade_flow.cli.tracebacks import here

if TYPE_CHECKING:
    from cascade_flow.client import Client, Json

_DAY = "24h"
_BUCKETS = 48
_MOST_PAGES = 10
_PAGE = 200
_MOST_ERRORS = 5
Grouping = StrEnum("Grouping", ["EXACT", "NORMALIZED", "PORTABLE"])
SinceOption = Annotated[str, typer.Option("--since", metavar="TIME", help="How far back: 90s, 5m, 24h, 7d.")]
GroupingOption = Annotated[
    Grouping,
    typer.Option(
        "--grouping",
        metavar="HOW",
        help="What makes two errors one: exact, normalized (on whatever line) or portable (in whatever folder).",
    ),
]


@targeted
def stats(target: Target, since: SinceOption = _DAY, workflow: WorkflowOption = None) -> None:
    """Sum a range of time up: what ended and how, how long it took, what waits, what failed, who works.

    Examples:

      $ cascade stats
      $ cascade stats --since 7d --workflow orders
      $ cascade stats --since 1h --json | jq .successRate
    """
    range_us = _range(since)
    with target.client() as client:
        summary = client.report("summary", **range_us, workflow_slug=workflow)
        failures = client.errors(**range_us, workflow_slug=workflow, limit=_MOST_ERRORS)
        workers = client.workers()
        submitted = None if target.as_json else _submitted(client, range_us, workflow)
    if target.as_json:
        target.screen.data({**summary, "errors": failures["errors"], "workers": workers["workers"]})
        return
    now_us, whose = clock.now_us(), workflow or "all workflows"
    target.screen.show(
        Text.assemble((f"the last {since}", "bold"), f", {whose}"),
        Text(""),
        report_tables.ended(summary, submitted),
        Text(""),
        report_tables.durations(summary),
        Text(""),
        report_tables.now(summary, workers, now_us),
    )
    if failures["errors"]:
        target.screen.show(Text(""), report_tables.errors(failures["errors"], now_us))
        _more_errors(target, failures["errors"][0], since, workflow)


@targeted
def errors(
    target: Target,
    fingerprint: Annotated[
        str | None,
        typer.Argument(metavar="FINGERPRINT", help="Show this error: where it happened.", show_default=False),
    ] = None,
    since: SinceOption = _DAY,
    workflow: WorkflowOption = None,
    grouping: GroupingOption = Grouping.EXACT,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=200, help="At most so many.")] = 20,
) -> None:
    """List what failed by its fingerprint, the most frequent first, or show one of them with its traceback.

    The beginnings of its three hashes are enough.

    Examples:

      $ cascade errors --since 7d
      $ cascade errors 5c0f:85ad:d49f --since 7d
      $ cascade errors --grouping normalized --json | jq -r '.errors[].fingerprint'
    """
    wish = {**_range(since), "grouping": grouping.value}
    with target.client() as client:
        if fingerprint is not None:
            whole = _whole(client, fingerprint, {**wish, "workflow_slug": workflow})
            _show_error(target, client.error(whole, **wish, limit=limit))
            return
        found = client.errors(**wish, workflow_slug=workflow, limit=limit)
    if target.as_json:
        target.screen.data(found)
    elif not found["errors"]:
        target.screen.show(Text(f"Nothing failed within {since}."))
    else:
        target.screen.show(report_tables.errors(found["errors"], clock.now_us()), Text(""))
        _more_errors(target, found["errors"][0], since, workflow)


@targeted
def workers(
    target: Target,
    all_of_them: Annotated[bool, typer.Option("--all", "-a", help="Those too that were not seen lately.")] = False,
) -> None:
    """List who works on runs that are running: on what, since when, and what was taken from whom.

    Examples:

      $ cascade workers
      $ cascade workers --all --json | jq -r '.workers[].workerId'
    """
    with target.client() as client:
        found = client.workers(include_inactive=all_of_them)
    if target.as_json:
        target.screen.data(found)
    elif not found["workers"]:
        target.screen.show(Text("Nobody is at work."))
    else:
        target.screen.show(report_tables.workers(found["workers"], clock.now_us()))


def _range(since: str) -> dict[str, int]:
    return {"start_us": filters.since_us(since) or 0, "end_us": clock.now_us()}


def _submitted(client: Client, range_us: dict[str, int], workflow: str | None) -> list[int] | None:
    """How many runs were submitted in each part of the range; None where they are too many to be read for that."""
    wish: dict[str, Any] = {"workflow_slug": workflow, "created_after_us": range_us["start_us"], "limit": _PAGE}
    times: list[float] = []
    cursor = None
    for _ in range(_MOST_PAGES):
        page = client.runs(**wish, cursor=cursor)
        times += [run["createdAtUs"] for run in page["runs"]]
        if (cursor := page.get("nextCursor")) is None:
            return charts.buckets(times, since_us=range_us["start_us"], until_us=range_us["end_us"], number=_BUCKETS)
    return None


def _more_errors(target: Target, first: Json, since: str, workflow: str | None) -> None:
    short = report_tables.short_fingerprint(first["fingerprint"])
    of = f" --workflow {workflow}" if workflow else ""
    target.screen.show(
        outcome.Commands((target.command(f"errors {short} --since {since}{of}"), "where it happened, with a traceback"))
    )


def _whole(client: Client, beginning: str, wish: dict[str, Any]) -> str:
    """The fingerprint that begins so. BadParameter where none does, or several."""
    found = [group["fingerprint"] for group in client.errors(**wish, limit=_PAGE)["errors"]]
    fitting = [fingerprint for fingerprint in found if report_tables.is_short_of(beginning, fingerprint)]
    if len(fitting) == 1 or beginning in fitting:
        return beginning if beginning in fitting else fitting[0]
    if not fitting:
        told = f"no error of this range has a fingerprint that begins with {formatting.shortened(beginning, 60)!r}: "
        told += "`cascade errors` lists them, with the same --since"
        raise typer.BadParameter(told, param_hint="FINGERPRINT")
    told = f"{len(fitting)} fingerprints begin with {beginning!r}: give more of it"
    raise typer.BadParameter(told, param_hint="FINGERPRINT")


def _show_error(target: Target, detail: Json) -> None:
    if target.as_json:
        target.screen.data(detail)
        return
    target.screen.show(
        report_tables.error(detail), Text(""), Text(here(detail["sampleStack"]).rstrip(), "dim"), Text("")
    )
    target.screen.show(report_tables.occurrences(detail["occurrences"]))
    if not detail["occurrences"]:
        raise typer.Exit(exits.NOT_THERE)
    first = detail["occurrences"][0]
    step = target.command(f"step {first['runId']} {first['stepId']}")
    target.screen.show(Text(""), outcome.Commands((step, "the newest of them, with its input")))
