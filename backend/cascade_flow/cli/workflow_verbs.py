"""`workflows`: what can be run, and what it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.text import Text

from cascade_flow.cli import formatting, inputs, outcome, tables
from cascade_flow.cli.completion import complete_workflow
from cascade_flow.cli.target import Target, targeted
from cascade_flow.errors import WorkflowNotFoundError

if TYPE_CHECKING:
    from cascade_flow.cli.views import Document
    from cascade_flow.client import Client


@targeted
def workflows(
    target: Target,
    workflow: Annotated[
        str | None,
        typer.Argument(
            metavar="WORKFLOW",
            help="Show this one: its input, its steps.",
            show_default=False,
            callback=inputs.read_slug,
            autocompletion=complete_workflow,
        ),
    ] = None,
) -> None:
    """List the workflows that can be run, or show one of them.

    Examples:

      $ cascade workflows
      $ cascade workflows seattle-weather
      $ cascade workflows --json | jq '.[].workflowSlug'
    """
    with target.client() as client:
        if workflow is None:
            _list(target, client.workflows())
        else:
            _show(target, _found(client, workflow))


def suggest(client: Client, slug: str, error: WorkflowNotFoundError) -> NoReturn:
    """Say what else the slug may have meant."""
    from difflib import get_close_matches  # noqa: PLC0415  (needed for a mistake only)

    slugs = [str(each["workflowSlug"]) for each in client.workflows()]
    close = get_close_matches(slug, slugs, n=1, cutoff=0.5)
    if not slugs:
        cure = "no workflow is registered yet: declare one in your workflows package, and deploy"
    else:
        cure = f"did you mean {close[0]!r}? " if close else ""
        cure += f"there are: {', '.join(slugs)}"
    raise WorkflowNotFoundError(f"there is no workflow {slug!r}: {cure}") from error


def _found(client: Client, slug: str) -> Document:
    try:
        return client.workflow(slug)
    except WorkflowNotFoundError as error:
        suggest(client, slug, error)


def _list(target: Target, found: Sequence[Document]) -> None:
    if target.as_json:
        target.screen.data(found)
    elif not found:
        target.screen.show(Text("No workflow is registered yet: declare one in your workflows package, and deploy."))
    else:
        target.screen.show(
            tables.workflows(found),
            Text(""),
            outcome.Commands(
                (target.command(f"workflows {found[0]['workflowSlug']}"), "what it takes, and its steps"),
                (target.command(f"run {found[0]['workflowSlug']} --watch"), "run it"),
            ),
        )


def _show(target: Target, workflow: Document) -> None:
    if target.as_json:
        target.screen.data(workflow)
        return
    timeout_us, retired_us = workflow.get("timeoutUs"), workflow.get("retiredAtUs")
    retired = f"since {formatting.instant(retired_us)}: the deployment no longer has it" if retired_us else ""
    about: list[tuple[str, str | Text]] = [
        ("workflow", Text(str(workflow["workflowSlug"]), "bold")),
        ("name", str(workflow["name"])),
        ("retired", retired),
        ("declared in", str(workflow.get("location") or "")),
        ("may take", formatting.duration(timeout_us) if timeout_us else ""),
        ("go on at once", tables.run_limit(workflow)),
        ("version", tables.version(workflow)),
        ("versions", str(len(workflow.get("versions", ())))),
    ]
    target.screen.show(tables.facts([(name, value) for name, value in about if value]), Text(""))
    if (fields := tables.fields(workflow.get("inputSchemaJSON"))) is not None:
        target.screen.show(fields, Text(""))
    target.screen.show(tables.definitions(workflow.get("steps", ())))
