"""`send`: tells a run that something has happened that it waits for, or will."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from cascade_flow.cli import families, inputs, outcome
from cascade_flow.cli.completion import complete_event
from cascade_flow.cli.run_verbs import RunArgument
from cascade_flow.cli.target import Target, targeted


@targeted
def send(
    target: Target,
    run: RunArgument,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="The event's name.", autocompletion=complete_event)],
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", metavar="JSON|@FILE|-", help="What it brings: JSON, @file, or - for stdin."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="TEXT", help="Your own for this: the same with the same key changes nothing."),
    ] = None,
) -> None:
    """Send an event to a run, such as an approval. It may come before the run waits for it; the first counts.

    Examples:

      $ cascade send 3f2a91c07b1d4e55 approval --data '{"ok": true}'
      $ cascade send 3f2a91c07b1d4e55 delivery --data @delivery.json --key parcel-17
    """
    given = None if data is None else inputs.read_data(data)
    with target.client() as client:
        run = families.meant(client, run)
        sent = client.send(run, event, given, idempotency_key=key)
    if target.as_json:
        target.screen.data(sent)
        return
    said = f"{event} was sent to run {run}" if sent["isNew"] else f"run {run} has had this {event} already"
    target.screen.show(
        Text.assemble(("✓ ", "green"), said),
        outcome.Commands((target.command(f"show {run} --watch"), "watch it")),
    )
