"""`cancel`, `retry`, `resume`, `rerun`: what is done with runs that are there, one of them or many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from cascade_flow import clock
from cascade_flow.cli import families, filters, formatting, inputs, outcome, tables
from cascade_flow.cli.completion import complete_run, complete_step
from cascade_flow.cli.run_verbs import RunArgument, WatchOption, watch_run
from cascade_flow.cli.target import Target, targeted
from cascade_flow.cli.views import RunView

if TYPE_CHECKING:
    from cascade_flow.client import Client, Json

OptionalRun = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="The run's id.",
        show_default=False,
        callback=lambda given: given and inputs.read_run_id(given),
        autocompletion=complete_run,
    ),
]
ReasonOption = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; it is kept with the run.")]


@targeted
def cancel(
    target: Target,
    run: OptionalRun = None,
    reason: ReasonOption = None,
    yes: filters.YesOption = False,
    workflow: filters.WorkflowFilter = None,
    status: filters.StatusFilter = None,
    tag: filters.TagFilter = None,
    since: filters.SinceFilter = None,
) -> None:
    """Stop a run, or all that a filter names. What is under way is told to stop, and nothing of it starts any more.

    Of many it is told first how many there are.

    Examples:

      $ cascade cancel 3f2a91c07b1d4e55 --reason 'wrong input'
      $ cascade cancel --workflow orders --status pending
      $ cascade cancel --tag nightly --since 2h --yes
    """
    selection = filters.Selection.of(workflow, status, tag, since)
    filters.one_or_many(run, selection)
    with target.client() as client:
        if run is None:
            chosen = _chosen(selection, "pending", "running")
            said = ("cancel", "cancelled")
            filters.all_of(target, client, chosen, client.cancel_many, said, reason=reason, yes=yes)
            return
        state = client.cancel(families.meant(client, run), reason)
    if target.as_json:
        target.screen.data(state)
        return
    target.screen.show(Text.assemble(("■ ", "yellow"), f"run {run} of {state['workflowSlug']} is {state['status']}"))


@targeted
def retry(
    target: Target,
    run: OptionalRun = None,
    reason: ReasonOption = None,
    watch: WatchOption = False,
    yes: filters.YesOption = False,
    workflow: filters.WorkflowFilter = None,
    status: filters.StatusFilter = None,
    tag: filters.TagFilter = None,
    since: filters.SinceFilter = None,
) -> None:
    """Try a failed or cancelled run again, or all failed ones that a filter names: the same run, from where it stopped.

    It goes on by the graph that it began with. For the graph and input of today, see `resume` and `rerun`.

    Examples:

      $ cascade retry 3f2a91c07b1d4e55 --watch
      $ cascade retry --workflow orders --status failed --since 24h
      $ cascade retry --tag nightly --reason 'the card service is back' --yes
    """
    selection = filters.Selection.of(workflow, status, tag, since)
    filters.one_or_many(run, selection)
    with target.client() as client:
        if run is None:
            _no_watching(watch=watch)
            chosen = _chosen(selection, "failed", "cancelled") if status else _chosen(selection, "failed")
            said = ("retry", "tried again")
            filters.all_of(target, client, chosen, client.retry_many, said, reason=reason, yes=yes)
            return
        state = client.retry(families.meant(client, run), reason)
        _going_on(target, client, state, f"run {run} of {state['workflowSlug']} is tried again", watch=watch)


@targeted
def resume(target: Target, run: RunArgument, watch: WatchOption = False, yes: filters.YesOption = False) -> None:
    """Make a new run that keeps what a failed or cancelled one has completed, on the workflow of today.

    Which steps are kept and which run again is shown first.

    Examples:

      $ cascade resume 3f2a91c07b1d4e55
      $ cascade resume 3f2a91c07b1d4e55 --yes --watch
    """
    with target.client() as client:
        run = families.meant(client, run)
        _show_plan(target, client.rerun_preview(run), "resume")
        filters.ask("Make this run?", yes=yes)
        _made(target, client, client.resume(run), run, watch=watch)


@targeted
def rerun(
    target: Target,
    run: RunArgument,
    step: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="The step to begin with.", autocompletion=complete_step),
    ] = None,
    given: Annotated[
        str | None,
        typer.Option(
            "--input", "-i", metavar="FILE|JSON|-", help="Another input: a file's name, JSON itself, or - for stdin."
        ),
    ] = None,
    watch: WatchOption = False,
    yes: filters.YesOption = False,
) -> None:
    """Make a new run in which a step and all that depend on it run again, on the workflow of today.

    The other steps that the old run has completed are kept. Which these are is shown first.

    Examples:

      $ cascade rerun 3f2a91c07b1d4e55 --from payment
      $ cascade rerun 3f2a91c07b1d4e55 --from total --input order.json --watch
      $ cascade rerun 3f2a91c07b1d4e55 --from payment --yes --json | jq -r .runId
    """
    again = {} if given is None else {"input": inputs.read_input(given)}
    with target.client() as client:
        run = families.meant(client, run)
        if step is None:
            _name_steps(client, run)
        _show_plan(target, client.rerun_preview(run, step), "rerun")
        filters.ask("Make this run?", yes=yes)
        _made(target, client, client.rerun(run, str(step), **again), run, watch=watch)


def _chosen(selection: filters.Selection | None, *statuses: str) -> filters.Selection:
    assert selection is not None
    return selection.meaning(*statuses)


def _no_watching(*, watch: bool) -> None:
    if watch:
        raise typer.BadParameter("watches one run; many are listed by `cascade runs`", param_hint="--watch")


def _name_steps(client: Client, run: str) -> None:
    """Raises BadParameter, with the steps that there are."""
    steps = RunView(client.run(run, payloads=False), clock.now_us()).steps
    known = ", ".join(step.id for step in steps)
    raise typer.BadParameter(f"name the step to begin with; there are: {known}", param_hint="--from")


def _show_plan(target: Target, plan: Json, kind: str) -> None:
    """What a new run keeps, where people look: with --json beside the answer."""
    if target.as_json:
        target.screen.stage.print(tables.plan(plan, kind))
    else:
        target.screen.show(tables.plan(plan, kind), Text(""))


def _made(target: Target, client: Client, made: Json, old: str, *, watch: bool) -> None:
    if watch or target.as_json:
        _answered(target, client, made, made["runId"], watch=watch)
        return
    kept = f"{formatting.count(len(made['keeps']), 'step')} kept"
    _announce(target, f"run {made['runId']} goes on from {old}: {kept}", made["runId"])


def _going_on(target: Target, client: Client, state: Json, said: str, *, watch: bool) -> None:
    if watch or target.as_json:
        _answered(target, client, state, state["runId"], watch=watch)
        return
    _announce(target, said, state["runId"])


def _answered(target: Target, client: Client, answer: Any, run: str, *, watch: bool) -> None:
    if watch:
        watch_run(target, client, run)
    else:
        target.screen.data(answer)


def _announce(target: Target, said: str, run: str) -> None:
    target.screen.show(
        Text.assemble(("✓ ", "green"), said),
        outcome.Commands((target.command(f"show {run} --watch"), "watch it")),
    )
