"""`schedules`: when runs begin by themselves; pauses, runs now, runs for times that are past."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cascade_flow import clock
from cascade_flow.cli import filters, formatting, inputs, outcome, schedule_tables
from cascade_flow.cli.completion import complete_schedule, complete_workflow
from cascade_flow.cli.help import Verb, Verbs
from cascade_flow.cli.target import EnvOption, JsonOption, RegionOption, StackOption, Target, UrlOption, targeted

if TYPE_CHECKING:
    from cascade_flow.client import Json

schedules = typer.Typer(name="schedules", cls=Verbs, invoke_without_command=True)
WorkflowArgument = Annotated[
    str,
    typer.Argument(
        metavar="WORKFLOW",
        help="The workflow that declares it.",
        show_default=False,
        callback=inputs.read_slug,
        autocompletion=complete_workflow,
    ),
]
NameArgument = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The schedule's name.", show_default=False, autocompletion=complete_schedule),
]


@schedules.callback()
def of_schedules(
    context: typer.Context,
    stack: StackOption = None,
    env: EnvOption = None,
    region: RegionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """When runs begin by themselves: next times, pauses, runs now, runs for times that are past.

    Without a verb, list them all.

    Examples:

      $ cascade schedules
      $ cascade schedules show orders nightly
      $ cascade schedules pause orders nightly
    """
    before = context.obj if isinstance(context.obj, Target) else Target()
    context.obj = Target(stack, env, region, url, as_json).under(before)
    if context.invoked_subcommand is None:
        _list(context.obj, None)


@targeted
def show_list(
    target: Target,
    workflow: Annotated[
        str | None,
        typer.Argument(
            metavar="WORKFLOW",
            help="Those of this workflow.",
            show_default=False,
            callback=inputs.read_slug,
            autocompletion=complete_workflow,
        ),
    ] = None,
) -> None:
    """List the schedules that workflows declare, with what comes next.

    Examples:

      $ cascade schedules list
      $ cascade schedules list orders
      $ cascade schedules list --json | jq '.[] | select(.pausedAtUs) | .name'
    """
    _list(target, workflow)


@targeted
def show(target: Target, workflow: WorkflowArgument, name: NameArgument) -> None:
    """Show a schedule: its next three times, its last run, what went wrong.

    Examples:

      $ cascade schedules show orders nightly
      $ cascade schedules show orders nightly --json | jq '.nextTimesUs'
    """
    with target.client() as client:
        _show(target, client.schedule(workflow, name))


@targeted
def pause(target: Target, workflow: WorkflowArgument, name: NameArgument) -> None:
    """Let no run begin by a schedule until it is resumed. What was submitted for the coming minute does begin.

    Examples:

      $ cascade schedules pause orders nightly
    """
    with target.client() as client:
        found = client.pause_schedule(workflow, name)
    _done(target, found, f"{name} of {workflow} is paused.")
    if not target.as_json and found.get("lastTimeUs", 0) > clock.now_us():
        last = f"its run of {schedule_tables.moment(found, found['lastTimeUs'])} is on its way already"
        target.screen.show(Text(last), outcome.Commands((target.command(f"cancel {found['lastRunId']}"), "stop it")))


@targeted
def resume(target: Target, workflow: WorkflowArgument, name: NameArgument) -> None:
    """Take a schedule up again. What it says of missed times is done about those meanwhile.

    Examples:

      $ cascade schedules resume orders nightly
    """
    with target.client() as client:
        found = client.resume_schedule(workflow, name)
    _done(target, found, f"{name} of {workflow} goes on: {schedule_tables.moment(found, found['nextTimesUs'][0])}.")


@targeted
def trigger(target: Target, workflow: WorkflowArgument, name: NameArgument) -> None:
    """Submit a run with a schedule's input, now, paused or not. Its times stay as they are.

    Examples:

      $ cascade schedules trigger orders nightly
      $ cascade show "$(cascade schedules trigger orders nightly --json | jq -r .runId)" --watch
    """
    with target.client() as client:
        run = client.trigger_schedule(workflow, name)
    if target.as_json:
        target.screen.data(run)
        return
    target.screen.show(
        Text.assemble(("✓ ", "green"), "submitted ", (run["runId"], "bold")),
        outcome.Commands((target.command(f"show {run['runId']} --watch"), "watch it")),
    )


@targeted
def backfill(
    target: Target,
    workflow: WorkflowArgument,
    name: NameArgument,
    since: Annotated[
        str, typer.Option("--from", metavar="TIME", help="The first time that counts: 2026-11-01, 2026-11-01T03:00.")
    ],
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="The last one; of a day, its end. By default now."),
    ] = None,
    yes: filters.YesOption = False,
) -> None:
    """Submit a run for each of a schedule's times in a range that is past. A time that has a run keeps it.

    Times without an offset are those of the schedule's zone. The same again goes on where it was interrupted.

    Examples:

      $ cascade schedules backfill orders nightly --from 2026-11-01
      $ cascade schedules backfill orders nightly --from 2026-11-01 --yes
    """
    with target.client() as client:
        schedule = client.schedule(workflow, name)
        from_us, until_us = _range(since, until, schedule_tables.zone_of(schedule))
        between = f"{schedule_tables.moment(schedule, from_us)} to {schedule_tables.moment(schedule, until_us)}"
        filters.ask(f"Submit a run for each time of {name} of {workflow} from {between}?", yes=yes)
        pieces = client.backfill_schedule(workflow, name, from_us=from_us, until_us=until_us)
        runs = _filled(target, pieces)
    if target.as_json:
        target.screen.data({"runs": runs})
        return
    new = sum(run["isNew"] for run in runs)
    there = f", {len(runs) - new:,} were there already" if new < len(runs) else ""
    target.screen.show(Text.assemble(("✓ ", "green"), f"{formatting.count(new, 'run')} submitted{there}."))
    if runs:
        target.screen.show(schedule_tables.filled(runs, schedule))


def _list(target: Target, workflow: str | None) -> None:
    with target.client() as client:
        found = client.schedules(workflow)
    if target.as_json:
        target.screen.data(found)
    elif not found:
        target.screen.show(Text('No schedule is declared: orders.schedule("nightly", cron="0 3 * * *") declares one.'))
    else:
        named = f"{found[0]['workflowSlug']} {found[0]['name']}"
        target.screen.show(
            schedule_tables.many(found, now_us=clock.now_us()),
            Text(""),
            outcome.Commands((target.command(f"schedules show {named}"), "its next times, its last run")),
        )


def _show(target: Target, schedule: Json) -> None:
    if target.as_json:
        target.screen.data(schedule)
        return
    named = f"{schedule['workflowSlug']} {schedule['name']}"
    tag = f"runs --workflow {schedule['workflowSlug']} --tag schedule:{schedule['name']}"
    target.screen.show(
        schedule_tables.about(schedule, now_us=clock.now_us()),
        Text(""),
        outcome.Commands(
            (target.command(tag), "its runs"), (target.command(f"schedules trigger {named}"), "a run of it, now")
        ),
    )


def _done(target: Target, schedule: Json, said: str) -> None:
    if target.as_json:
        target.screen.data(schedule)
    else:
        target.screen.show(Text.assemble(("✓ ", "green"), said))


def _filled(target: Target, pieces: Iterator[Json]) -> list[Json]:
    runs: list[Json] = []
    with target.screen.busy() as busy:
        for piece in pieces:
            runs += piece["runs"]
            busy.far(f"{formatting.count(len(runs), 'run')} submitted")
        busy.forget()
    return runs


def _range(since: str, until: str | None, zone: tzinfo) -> tuple[int, int]:
    """What a person means by two times, in microseconds; nothing later than now."""
    now_us = clock.now_us()
    first, last = _read(since, zone, "--from"), None if until is None else _read(until, zone, "--until")
    if last is not None and until is not None and len(until) == len("2026-11-07"):
        last += timedelta(days=1) - timedelta(microseconds=1)
    begin_us, end_us = _us(first), now_us if last is None else min(_us(last), now_us)
    if begin_us > end_us:
        raise typer.BadParameter("the range is empty: it ends before it begins, or lies ahead", param_hint="--from")
    return begin_us, end_us


def _read(given: str, zone: tzinfo, option: str) -> datetime:
    try:
        read = datetime.fromisoformat(given)
    except ValueError:
        meant = f"{formatting.shortened(given, 60)!r} is no time: 2026-11-01 and 2026-11-01T03:00 are some"
        raise typer.BadParameter(meant, param_hint=option) from None
    return read if read.tzinfo else read.replace(tzinfo=zone)


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


for verb, function in [
    ("list", show_list),
    ("show", show),
    ("pause", pause),
    ("resume", resume),
    ("trigger", trigger),
    ("backfill", backfill),
]:
    schedules.command(verb, cls=Verb)(function)
