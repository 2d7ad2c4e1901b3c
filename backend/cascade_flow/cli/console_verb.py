"""`console`: the page of a stack, served on this machine until Ctrl-C."""

from __future__ import annotations

import webbrowser
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.text import Text

from cascade_flow.cli import outcome
from cascade_flow.cli.command_verbs import OptionalRun
from cascade_flow.cli.target import Target, targeted
from cascade_flow.release import VERSION


@targeted
def console(
    target: Target,
    run: OptionalRun = None,
    port: Annotated[
        int | None,
        typer.Option(help="The port to answer on. By default 4580, or a free one.", min=1, max=65_535),
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Refuse every action: only look.")] = False,
    open_it: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in your browser.")] = True,
) -> None:
    """Open the page of the stack: every run, why it is late, and what puts it right.

    A small server on this machine passes what the page asks on to the API, signed with your credentials. Whoever has
    the link that is told may do what you may; nobody else can ask anything. Ctrl-C ends it, and it leaves nothing.

    Examples:

      $ cascade console
      $ cascade console 3f2a91c07b1d4e55
      $ cascade console --stack production --read-only
      $ cascade console --no-open --port 5001
    """
    from cascade_flow.console import Console, Wishes  # noqa: PLC0415  (what --help doesn't need)

    with target.client() as client:
        about = _about(target, client.url, client.region)
    with Console(target.client, Wishes(port, read_only, about)) as served:
        link = served.link(f"/runs/{quote(run, safe='')}" if run else "/runs")
        _tell(target, link)
        if open_it:
            webbrowser.open(link)
        served.serve()


def _about(target: Target, url: str, region: str) -> dict[str, Any]:
    """What the page says of the stack that it shows."""
    where = "local" if target.is_local else "aws"
    name = target.elsewhere.stack if target.elsewhere else target.url or "this machine"
    return {"where": where, "name": name, "env": target.env, "region": region, "apiUrl": url, "version": VERSION}


def _tell(target: Target, link: str) -> None:
    if target.as_json:
        target.screen.record({"url": link})
        return
    target.screen.show(
        Text.assemble(("✓ ", "green"), "The console is open, here and for you alone:"),
        outcome.Commands((link, "")),
        Text("Ctrl-C ends it.", "dim"),
    )
