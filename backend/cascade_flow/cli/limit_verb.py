"""`limits`: what steps share, who has it and who waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from cascade_flow import clock
from cascade_flow.cli import formatting
from cascade_flow.cli.tables import id_text, plain_table
from cascade_flow.cli.target import Target, targeted

if TYPE_CHECKING:
    from cascade_flow.cli.views import Document


@targeted
def limits(
    target: Target,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Show this one: who has its places, who waits.", show_default=False),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="VALUE", help="Of a limit that is kept by key: that of this value."),
    ] = None,
) -> None:
    """List the limits that steps share, or show one: who has its places, and who waits for one.

    Examples:

      $ cascade limits
      $ cascade limits stripe
      $ cascade limits erp --key C-17
      $ cascade limits stripe --json | jq '.waiters | length'
    """
    with target.client() as client:
        if name is None:
            _list(target, client.limits())
        else:
            _show(target, client.limit(name, key=key))


def _list(target: Target, found: Sequence[Document]) -> None:
    if target.as_json:
        target.screen.data(found)
        return
    table = plain_table("limit", "at most", "by key", "steps")
    for limit in found:
        steps = [f"{slug}: {', '.join(names)}" for slug, names in limit["steps"].items()]
        table.add_row(id_text(limit["name"]), _at_most(limit), limit.get("key", ""), Text("; ".join(steps)))
    target.screen.show(table if found else Text("No step has a limit."))


def _show(target: Target, limit: Document) -> None:
    if target.as_json:
        target.screen.data(limit)
        return
    value = f" of {limit['value']}" if "value" in limit else ""
    target.screen.show(Text(f"{limit['name']}{value}: {_at_most(limit)}"))
    if "nextFreeUs" in limit:
        ahead_us = limit["nextFreeUs"] - clock.now_us()
        target.screen.show(Text(f"the next turn is free {_ahead(ahead_us)}"))
    if limit["holders"]:
        target.screen.show(_holders(limit["holders"]))
    if limit["waiters"]:
        target.screen.show(_waiters(limit["waiters"]))


def _holders(holders: Sequence[Document]) -> Table:
    table = plain_table("place", "run", "step", "attempt", "for")
    for holder in holders:
        since = formatting.duration(max(0, clock.now_us() - int(holder["sinceUs"])))
        number, attempt = str(holder["place"] + 1), str(holder["attemptNumber"])
        table.add_row(number, id_text(holder["runId"]), id_text(holder["stepId"]), attempt, since)
    return table


def _waiters(waiters: Sequence[Document]) -> Table:
    table = plain_table("waits", "run", "step", "attempt")
    for number, waiter in enumerate(waiters, start=1):
        attempt = str(waiter["attemptNumber"])
        table.add_row(f"{number}.", id_text(waiter["runId"]), id_text(waiter["stepId"]), attempt)
    return table


def _at_most(limit: Document) -> str:
    number = int(limit["atMost"])
    return f"{number:,} at once" if "perUs" not in limit else f"{number:,} in {formatting.duration(limit['perUs'])}"


def _ahead(us: int) -> str:
    return f"in {formatting.duration(us)}" if us > 0 else "now"
