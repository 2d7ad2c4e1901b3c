"""`dead-letters list|redrive`: messages that no worker could take."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from cascade_flow import clock
from cascade_flow.cli import filters, formatting, outcome, report_tables
from cascade_flow.cli.help import Verb, Verbs
from cascade_flow.cli.target import Target, targeted

dead_letters = typer.Typer(
    name="dead-letters",
    cls=Verbs,
    no_args_is_help=True,
    help="Messages that no worker could take: look at them, or send them again.",
)
_PIECE = 100


@targeted
def show_list(
    target: Target,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=100, help="At most so many.")] = 20,
) -> None:
    """List messages that no worker could take. Their runs go on all the same, by the reaper.

    Examples:

      $ cascade dead-letters list
      $ cascade dead-letters list --json | jq '.deadLetters[].runId'
    """
    with target.client() as client:
        found = client.dead_letters(limit=limit)
    if target.as_json:
        target.screen.data(found)
        return
    if not found["deadLetters"]:
        target.screen.show(Text("There are no dead letters."))
        return
    number = formatting.count(max(found["approximateCount"], len(found["deadLetters"])), "dead letter")
    target.screen.show(
        Text(f"about {number}"),
        report_tables.dead_letters(found["deadLetters"], clock.now_us()),
        Text(""),
        outcome.Commands((target.command("dead-letters redrive"), "send them again, once their cause is mended")),
    )


@targeted
def redrive(
    target: Target,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", metavar="N", min=1, help="At most so many, and not all.")
    ] = None,
    yes: filters.YesOption = False,
) -> None:
    """Send messages again that no worker could take. Do so when their cause is mended.

    Examples:

      $ cascade dead-letters redrive
      $ cascade dead-letters redrive --limit 10 --yes
    """
    count, remaining = 0, 0
    with target.client() as client:
        there = client.dead_letters(limit=1)["approximateCount"]
        if there:
            filters.ask(f"Send about {formatting.count(min(there, limit or there), 'message')} again?", yes=yes)
        with target.screen.busy() as busy:
            while there and count < (limit or there):
                busy.far(f"{count:,} of about {min(there, limit or there):,} sent again")
                sent = client.redrive(limit=min(_PIECE, (limit or there) - count))
                count, remaining = count + sent["count"], sent["remaining"]
                if not sent["count"]:
                    break
            busy.forget()
    if target.as_json:
        target.screen.data({"count": count, "remaining": remaining})
    else:
        left = f", about {remaining:,} are left" if remaining else ""
        target.screen.show(Text.assemble(("✓ ", "green"), f"{formatting.count(count, 'message')} sent again{left}."))


dead_letters.command("list", cls=Verb)(show_list)
dead_letters.command("redrive", cls=Verb)(redrive)
