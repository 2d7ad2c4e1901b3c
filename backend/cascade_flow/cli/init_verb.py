"""`init`: a new project, or one made of a package that is there."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cascade_flow.cli import outcome
from cascade_flow.cli.stack_verbs import only_here
from cascade_flow.cli.target import ELSEWHERE, Target, targeted_without
from cascade_flow.errors import ConfigurationError


@targeted_without(*ELSEWHERE)
def init(
    target: Target,
    name: Annotated[str | None, typer.Argument(help="The folder to make.", metavar="NAME")] = None,
    here: Annotated[bool, typer.Option("--here", help="Take up the package that lies in this folder.")] = False,
    package: Annotated[
        str | None, typer.Option(metavar="PACKAGE", help="With --here: which one, if there are several.")
    ] = None,
) -> None:
    """Make a project: a workflow, its test, and `cascade.toml`, which says what is deployed. Nothing is written over.

    Examples:

      $ cascade init my-flows
      $ cascade init --here
      $ cascade init --here --package orders
    """
    from cascade_flow.local import starting  # noqa: PLC0415  (only when it is needed)

    only_here(target, "init")
    if bool(name) == here:
        raise ConfigurationError("Say what to make: cascade init NAME; or take up what is here: cascade init --here")
    if package and not here:
        raise ConfigurationError("--package goes with --here: a new project's package is called like its folder")
    written = starting.take_up(Path.cwd(), package) if here else starting.new(Path(str(name)))
    if target.as_json:
        target.screen.data({"files": [str(path) for path in written]})
        return
    _report(target, written, None if here else str(name))


def _report(target: Target, written: list[Path], folder: str | None) -> None:
    told = (
        f"{folder} is made: a workflow, its test, and what cascade needs to know."
        if folder
        else "cascade.toml is made."
    )
    run = "hello" if folder else "WORKFLOW"
    target.screen.show(
        Text.assemble(("✓ ", "green"), told if folder else "cascade.toml is made."),
        *(Text(f"  {os.path.relpath(path)}", "dim") for path in written),
        outcome.Commands(
            *([(f"cd {shlex.quote(folder)}", "go there")] if folder else []),
            ("cascade up", "start the stack on this machine"),
            (f"cascade run {run} --watch", "run a workflow, and watch it"),
            ("cascade dev", "deploy here what you save, as soon as you save it"),
        ),
    )
