"""`run`, `runs`, `show`: runs, from their submission to their end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from cascade_flow import clock
from cascade_flow.cli import exits, families, filters, formatting, inputs, outcome, tables
from cascade_flow.cli.completion import complete_run, complete_workflow
from cascade_flow.cli.target import Target, targeted
from cascade_flow.cli.views import RunView
from cascade_flow.cli.watching import watched
from cascade_flow.cli.workflow_verbs import suggest
from cascade_flow.errors import StepNotFoundError, WorkflowNotFoundError

if TYPE_CHECKING:
    from cascade_flow.client import Client, Json

RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="The run's id; RUN/STEP/ITEM is the run of a map's item, RUN/STEP that of a sub-workflow.",
        show_default=False,
        callback=inputs.read_run_id,
        autocompletion=complete_run,
    ),
]
WorkflowArgument = Annotated[
    str,
    typer.Argument(
        metavar="WORKFLOW",
        help="The workflow's slug.",
        show_default=False,
        callback=inputs.read_slug,
        autocompletion=complete_workflow,
    ),
]
WatchOption = Annotated[bool, typer.Option("--watch", "-w", help="Watch the run until it is over.")]
Status = StrEnum("Status", ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"])
StatusOption = Annotated[
    list[Status] | None,
    typer.Option("--status", metavar="STATUS", help="Only pending, running, completed, failed or cancelled ones."),
]
WorkflowOption = Annotated[
    str | None,
    typer.Option("--workflow", metavar="SLUG", help="Only runs of this workflow.", autocompletion=complete_workflow),
]
MetadataOption = Annotated[
    list[str] | None,
    typer.Option("--metadata", metavar="NAME=VALUE|JSON", help="Facts to keep with the run; may be repeated."),
]
EachOption = Annotated[
    str | None,
    typer.Option(
        "--each", metavar="FILE|-", help="A run for each line of a file: JSON objects, as the API takes them."
    ),
]
_MOST_PAGES = 25
"""Pages that are asked for in one list: some 50,000 runs, of which a filter may pass none."""
_PRIORITY = "Above 0 it overtakes what waits; in a pool, higher goes first."
_FAILURES = ("StepFailed", "StepReclaimed")


@targeted
def run(
    target: Target,
    workflow: WorkflowArgument,
    given: Annotated[
        str | None,
        typer.Option(
            "--input", "-i", metavar="FILE|JSON|-", help="The input: a file's name, JSON itself, or - for stdin."
        ),
    ] = None,
    each: EachOption = None,
    watch: WatchOption = False,
    key: Annotated[
        str | None, typer.Option("--key", metavar="TEXT", help="Submit once: the same key again is the same run.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="TEXT", help="A tag; may be repeated.")] = None,
    priority: Annotated[int | None, typer.Option("--priority", metavar="N", help=_PRIORITY)] = None,
    delay: Annotated[str | None, typer.Option("--delay", metavar="TIME", help="Start later: 90s, 5m, 2h, 1d.")] = None,
    timeout: Annotated[str | None, typer.Option("--timeout", metavar="TIME", help="How long the run may take.")] = None,
    metadata: MetadataOption = None,
) -> None:
    """Submit a run of a workflow. It runs on, whatever becomes of this command.

    With --watch the exit status tells how it ended: 0 completed, 1 failed or cancelled.

    Examples:

      $ cascade run seattle-weather --watch
      $ cascade run seattle-weather --input '{"first_year": 2014}' --tag nightly
      $ cascade run mishaps --input journey.json --key order-17 --delay 5m

      $ cascade run orders --each rows.jsonl --tag monday

    A line of such a file: {"input": {"order": 17}, "priority": 5, "tags": ["a"]}. Sent again, none is submitted twice:
    a line without "idempotencyKey" has one made of the file's name (or of --key) and of what it says.
    """
    wish: dict[str, Any] = {
        "tags": tag or None,
        "priority": priority,
        "delay_s": inputs.read_seconds(delay, "--delay"),
        "timeout_s": inputs.read_seconds(timeout, "--timeout"),
        "metadata": inputs.read_metadata(metadata or ()),
    }
    if each is not None:
        _submit_each(target, workflow, each, key, wish, is_alone=given is None and not watch)
        return
    wish |= {"input": None if given is None else inputs.read_input(given), "idempotency_key": key}
    with target.client() as client:
        submitted = _submitted(client, workflow, wish)
        if watch:
            watch_run(target, client, submitted["runId"])
            return
    if target.as_json:
        target.screen.data(submitted)
        return
    _announce(target, workflow, submitted)


@targeted
def runs(
    target: Target,
    workflow: WorkflowOption = None,
    status: StatusOption = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TEXT", help="Only with this tag; may be repeated.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only runs submitted within 90s, 5m, 2h, 1d.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=200, help="At most so many.")] = 20,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="TEXT", help="Go on from where the last list ended.")
    ] = None,
    total: Annotated[bool, typer.Option("--total", help="Count them too, up to 10,000.")] = False,
) -> None:
    """List runs, newest first.

    Examples:

      $ cascade runs
      $ cascade runs --workflow mishaps --status failed --status cancelled --since 24h
      $ cascade runs --tag nightly --json | jq -r '.runs[].runId'
    """
    wanted = {
        "workflow_slug": workflow,
        "status": status or (),
        "tags": tag or (),
        "created_after_us": filters.since_us(since),
    }
    with target.client() as client:
        page = _listed(client, wanted, limit, cursor, total=total)
    if target.as_json:
        target.screen.data(page)
        return
    if page["runs"]:
        target.screen.show(tables.runs(page["runs"], now_us=clock.now_us()))
    elif "nextCursor" not in page:
        target.screen.show(Text("No run matches." if any((*wanted.values(), cursor)) else "There are no runs yet."))
    for line in _beyond(page):
        target.screen.show(Text(f"\n{line}", "dim"))


@targeted
def show(
    target: Target,
    run: RunArgument,
    watch: WatchOption = False,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="STEP", help="Print what this step returned, alone, as it is."),
    ] = None,
) -> None:
    """Show a run: its steps, attempts, errors, and its output.

    Examples:

      $ cascade show 3f2a91c07b1d4e55
      $ cascade show 3f2a91c07b1d4e55 --watch
      $ cascade show 3f2a91c07b1d4e55 --output chart > chart.svg
      $ cascade show 3f2a91c07b1d4e55/pack/17
    """
    with target.client() as client:
        run = families.meant(client, run)
        if watch:
            watch_run(target, client, run)
            return
        view = RunView(client.run(run), clock.now_us())
        if output is not None:
            _print_output(target, view, output, client)
        elif target.as_json:
            target.screen.data(view.document)
        else:
            _show(target, client, view)


def _listed(client: Client, wanted: dict[str, Any], limit: int, cursor: str | None, *, total: bool) -> Json:
    """The first page with all that fits in: a filter that passes few runs finds some of them on each."""
    page = client.runs(**wanted, limit=limit, cursor=cursor, total=total)
    for _ in range(_MOST_PAGES):
        if len(page["runs"]) >= limit or "nextCursor" not in page:
            break
        more = client.runs(**wanted, limit=limit - len(page["runs"]), cursor=page.pop("nextCursor"))
        page = {**page, **more, "runs": [*page["runs"], *more["runs"]]}
    return page


def _beyond(page: Json) -> Iterator[str]:
    if "nextCursor" in page:
        yield f"There may be more: --cursor {page['nextCursor']}"
    if "total" in page:
        yield f"{page['total']:,}{'' if page['totalIsExact'] else '+'} in all"


def _submitted(client: Client, workflow: str, wish: dict[str, Any]) -> Json:
    try:
        return client.submit(workflow, **wish)
    except WorkflowNotFoundError as error:
        suggest(client, workflow, error)


def _submit_each(
    target: Target, workflow: str, each: str, key: str | None, wish: dict[str, Any], *, is_alone: bool
) -> None:
    from cascade_flow.cli.each import Source, submit_each  # noqa: PLC0415
    from cascade_flow.client.submissions import wish_for_run  # noqa: PLC0415  (the client takes long to import)

    if not is_alone:
        raise typer.BadParameter(
            "each line has its own input, and one run is watched: leave the other out", param_hint="--each"
        )
    submit_each(target, workflow, Source.of(each, key), wish_for_run(**wish))


def _announce(target: Target, workflow: str, submitted: Json) -> None:
    id = submitted["runId"]
    word = "submitted" if submitted["isNew"] else "known already, by its key"
    target.screen.show(
        Text.assemble(("✓ ", "green"), "run ", (id, "bold"), f" of {workflow} is {word}"),
        outcome.Commands(
            (target.command(f"show {id} --watch"), "watch it"),
            (target.command(f"logs {id} --follow"), "read what its steps write"),
            (target.command(f"console {id}"), "see it in your browser"),
        ),
    )


def watch_run(target: Target, client: Client, id: str) -> None:
    """Watch a run until it is over; Exit where it has not completed."""
    try:
        view = watched(client, id, target.screen.stage)
    except KeyboardInterrupt:
        target.screen.say(f"The run goes on. Watch it again: {target.command(f'show {id} --watch')}")
        target.screen.say(f"            Or cancel it: {target.command(f'cancel {id}')}")
        raise typer.Exit(exits.INTERRUPTED) from None
    if target.as_json:
        target.screen.data(view.document)
    target.screen.show(Text(""), outcome.outcome(view, target))
    if view.status != "completed":
        raise typer.Exit(exits.RUN_NOT_COMPLETED)


def _show(target: Target, client: Client, view: RunView) -> None:
    view = replace(view, document=families.looked_into(client, view.document))
    tried_again = any(step.attempt > 1 or step.error for step in view.steps)
    failures = client.events(view.id, types=_FAILURES) if tried_again else []
    target.screen.show(tables.about_run(view), Text(""), tables.steps(view.steps))
    if (failed := tables.failed_attempts(failures)) is not None:
        target.screen.show(Text(""), failed)
    target.screen.show(Text(""))
    if view.is_over:
        target.screen.show(outcome.outcome(view, target, shown=True))
    else:
        target.screen.show(outcome.Commands((target.command(f"show {view.id} --watch"), "watch it")))


def _print_output(target: Target, view: RunView, step: str, client: Client) -> None:
    value = view.outputs[step] if step in view.outputs else _returned(view, step, client)
    if target.as_json:
        target.screen.data(value)
    else:
        target.screen.raw(value if isinstance(value, str) else formatting.pretty(value))


def _returned(view: RunView, step: str, client: Client) -> Any:
    """What a step returned, exported or not, in a run that goes on or has failed. Raises StepNotFoundError."""
    found = next((each for each in view.steps if each.id == step), None)
    if found is None:
        known = ", ".join(dict.fromkeys([*(each.id for each in view.steps), *view.outputs])) or "none"
        raise StepNotFoundError(f"--output: run {view.id!r} has no step {step!r}; there are: {known}")
    completions = client.events(view.id, types=["StepCompleted"], step_id=step)
    if not completions:
        raise StepNotFoundError(f"--output: step {step!r} has returned nothing: it is {found.phase.value}")
    text = completions[-1].get("output") or "null"
    try:
        return json.loads(text)
    except ValueError:
        return text  # as an engine of somebody else's has stored it
