"""`run`, `runs`, `show`, `cancel`: runs, from their submission to their end."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from cascade_flow import clock
from cascade_flow.cli import exits, inputs, outcome, tables, words
from cascade_flow.cli.place import Place, placed
from cascade_flow.cli.views import RunView
from cascade_flow.cli.watching import watched
from cascade_flow.cli.workflow_verbs import suggest
from cascade_flow.errors import StepNotFoundError, WorkflowNotFoundError

if TYPE_CHECKING:
    from cascade_flow.client import Client, Json

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="The run's id.", show_default=False, callback=inputs.read_run_id)
]
WatchOption = Annotated[bool, typer.Option("--watch", "-w", help="Watch the run until it is over.")]
Status = StrEnum("Status", ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"])
_FAILURES = ("StepFailed", "StepReclaimed")


@placed
def run(
    place: Place,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="The workflow's slug.", show_default=False)],
    given: Annotated[
        str | None,
        typer.Option(
            "--input", "-i", metavar="FILE|JSON|-", help="The input: a file's name, JSON itself, or - for stdin."
        ),
    ] = None,
    watch: WatchOption = False,
    key: Annotated[
        str | None, typer.Option("--key", metavar="TEXT", help="Submit once: the same key again is the same run.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="TEXT", help="A tag; may be repeated.")] = None,
    priority: Annotated[int | None, typer.Option("--priority", metavar="N", help="Higher goes first.")] = None,
    delay: Annotated[str | None, typer.Option("--delay", metavar="TIME", help="Start later: 90s, 5m, 2h, 1d.")] = None,
    timeout: Annotated[str | None, typer.Option("--timeout", metavar="TIME", help="How long the run may take.")] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", metavar="NAME=VALUE|JSON", help="Facts to keep with the run; may be repeated."),
    ] = None,
) -> None:
    """Submit a run of a workflow. It runs on, whatever becomes of this command.

    With --watch the exit status tells how it ended: 0 completed, 1 failed or cancelled.

    Examples:

      $ cascade run seattle-weather --watch
      $ cascade run seattle-weather --input '{"first_year": 2014}' --tag nightly
      $ cascade run mishaps --input journey.json --key order-17 --delay 5m
    """
    wish = {
        "input": None if given is None else inputs.read_input(given),
        "idempotency_key": key,
        "tags": tag or None,
        "priority": priority,
        "delay_s": inputs.read_seconds(delay, "--delay"),
        "timeout_s": inputs.read_seconds(timeout, "--timeout"),
        "metadata": inputs.read_metadata(metadata or ()),
    }
    with place.client() as client:
        submitted = _submitted(client, workflow, wish)
        if watch:
            _watch(place, client, submitted["runId"])
            return
    if place.as_json:
        place.screen.data(submitted)
        return
    _announce(place, workflow, submitted)


@placed
def runs(
    place: Place,
    workflow: Annotated[
        str | None, typer.Option("--workflow", metavar="SLUG", help="Only runs of this workflow.")
    ] = None,
    status: Annotated[
        list[Status] | None,
        typer.Option("--status", metavar="STATUS", help="Only pending, running, completed, failed or cancelled ones."),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TEXT", help="Only with this tag; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=200, help="At most so many.")] = 20,
    offset: Annotated[int, typer.Option("--offset", metavar="N", min=0, help="Leave out so many of the newest.")] = 0,
) -> None:
    """List runs, newest first.

    Examples:

      $ cascade runs
      $ cascade runs --workflow mishaps --status failed --status cancelled
      $ cascade runs --tag nightly --json | jq -r '.runs[].runId'
    """
    with place.client() as client:
        page = client.runs(workflow_slug=workflow, status=status or (), tags=tag or (), limit=limit, offset=offset)
    if place.as_json:
        place.screen.data(page)
        return
    found, total = page["runs"], page["total"]
    if not found:
        place.screen.show(Text("No run matches." if workflow or status or tag or offset else "There are no runs yet."))
        return
    place.screen.show(tables.runs(found, now_us=clock.now_us()))
    if total > offset + len(found):
        more = f"{total - offset - len(found)} more: --offset {offset + len(found)}"
        place.screen.show(Text(f"\n{more}", "dim"))


@placed
def show(
    place: Place,
    run: RunArgument,
    watch: WatchOption = False,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="STEP", help="Print this exported step's output alone, as it is."),
    ] = None,
) -> None:
    """Show a run: its steps, attempts, errors, and its output.

    Examples:

      $ cascade show 3f2a91c07b1d4e55
      $ cascade show 3f2a91c07b1d4e55 --watch
      $ cascade show 3f2a91c07b1d4e55 --output chart > chart.svg
    """
    with place.client() as client:
        if watch:
            _watch(place, client, run)
            return
        view = RunView(client.run(run), clock.now_us())
        if output is not None:
            _print_output(place, view, output)
        elif place.as_json:
            place.screen.data(view.document)
        else:
            _show(place, client, view)


@placed
def cancel(
    place: Place,
    run: RunArgument,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; it is kept with the run.")
    ] = None,
) -> None:
    """Stop a run. What is under way is told to stop, and nothing of the run starts any more.

    Example:

      $ cascade cancel 3f2a91c07b1d4e55 --reason 'wrong input'
    """
    with place.client() as client:
        state = client.cancel(run, reason)
    if place.as_json:
        place.screen.data(state)
        return
    place.screen.show(Text.assemble(("■ ", "yellow"), f"run {run} of {state['workflowSlug']} is {state['status']}"))


def _submitted(client: Client, workflow: str, wish: dict[str, Any]) -> Json:
    try:
        return client.submit(workflow, **wish)
    except WorkflowNotFoundError as error:
        suggest(client, workflow, error)


def _announce(place: Place, workflow: str, submitted: Json) -> None:
    id = submitted["runId"]
    word = "submitted" if submitted["isNew"] else "known already, by its key"
    place.screen.show(
        Text.assemble(("✓ ", "green"), "run ", (id, "bold"), f" of {workflow} is {word}"),
        outcome.next_steps(
            (place.command(f"show {id} --watch"), "watch it"),
            (place.command(f"logs {id} --follow"), "read what its steps write"),
        ),
    )


def _watch(place: Place, client: Client, id: str) -> None:
    try:
        view = watched(client, id, place.screen.stage)
    except KeyboardInterrupt:
        place.screen.say(f"The run goes on. Watch it again: {place.command(f'show {id} --watch')}")
        place.screen.say(f"            Or cancel it: {place.command(f'cancel {id}')}")
        raise typer.Exit(exits.INTERRUPTED) from None
    if place.as_json:
        place.screen.data(view.document)
    place.screen.show(Text(""), outcome.outcome(view, place))
    if view.status != "completed":
        raise typer.Exit(exits.RUN_NOT_COMPLETED)


def _show(place: Place, client: Client, view: RunView) -> None:
    tried_again = any(step.attempt > 1 or step.error for step in view.steps)
    failures = client.events(view.id, types=_FAILURES) if tried_again else []
    place.screen.show(tables.about_run(view), Text(""), tables.steps(view.steps))
    if (failed := tables.failed_attempts(failures)) is not None:
        place.screen.show(Text(""), failed)
    place.screen.show(Text(""))
    if view.is_over:
        place.screen.show(outcome.outcome(view, place))
    else:
        place.screen.show(outcome.next_steps((place.command(f"show {view.id} --watch"), "watch it")))


def _print_output(place: Place, view: RunView, step: str) -> None:
    if step not in view.output:
        known = ", ".join(view.output) or f"none{'' if view.is_over else ' yet: the run is not over'}"
        raise StepNotFoundError(f"run {view.id!r} has no output of a step {step!r}; there are: {known}")
    value = view.output[step]
    if place.as_json:
        place.screen.data(value)
    else:
        place.screen.raw(value if isinstance(value, str) else words.pretty(value))
