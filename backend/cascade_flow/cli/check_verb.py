"""`check`: what is wrong with the workflows here, before anything of them is deployed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from cascade_flow.cli import exits, formatting, outcome
from cascade_flow.cli.stack_verbs import only_here
from cascade_flow.cli.target import ELSEWHERE, Target, targeted_without

if TYPE_CHECKING:
    from cascade_flow.authoring.inspection import Declared
    from cascade_flow.authoring.mistakes import Mistake


@targeted_without(*ELSEWHERE)
def check(target: Target) -> None:
    """Look for mistakes in your workflows, without deploying or running anything.

    Every module is imported, and every mistake is told, with its file and line. `cascade up` does so too.

    Examples:

      $ cascade check
      $ cascade check --json | jq '.mistakes[].message'
    """
    from cascade_flow.local import Project, checking, find_root  # noqa: PLC0415  (it takes half a second to import)

    only_here(target, "check")
    project = Project(find_root(Path.cwd()))
    if target.as_json:
        _as_json(target, *checking.inspect(project))
        return
    workflows = checking.require_sound(project)
    target.screen.show(
        Text.assemble(("✓ ", "green"), f"No mistakes in {formatting.count(len(workflows), 'workflow')}."),
        *(Text(f"  {each.workflow_slug}: {formatting.count(each.steps, 'step')}") for each in workflows),
        outcome.Commands(("cascade up", "deploy them on this machine")),
    )


def _as_json(target: Target, workflows: Sequence[Declared], mistakes: Sequence[Mistake]) -> None:
    target.screen.data(
        {"workflows": [each.to_wire() for each in workflows], "mistakes": [_document(each) for each in mistakes]}
    )
    if mistakes:
        raise typer.Exit(exits.WRONG_USE)


def _document(mistake: Mistake) -> dict[str, Any]:
    place = mistake.place
    return {"file": place and place.file, "line": place and place.line, "message": mistake.message}
