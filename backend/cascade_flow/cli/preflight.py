"""`preflight`: what a deployment of the code that lies here would do to the runs under way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from cascade_flow.cli import exits, formatting, tables
from cascade_flow.cli.target import Target, targeted

if TYPE_CHECKING:
    from cascade_flow.authoring.inspection import Declared
    from cascade_flow.client import Client, Json
    from cascade_flow.local import Project

_MOST_SHOWN = 20


@targeted
def preflight(target: Target) -> None:
    """Say what deploying the workflows that lie here would do to the runs under way. Nothing is deployed.

    A run goes on by the graph that it began with, each step with the code of the day on which it begins. A run that
    waits for a step that the new code doesn't have would fail with `step-removed`: then this ends with 1.

    Examples:

      $ cascade preflight
      $ cascade preflight --stack production --json | jq -r '.broken[].runId'
    """
    from cascade_flow.local import Project, find_root  # noqa: PLC0415  (it takes half a second to import)

    project = Project(find_root(Path.cwd()))
    with target.client() as client:
        found = effect(client, project)
    if target.as_json:
        target.screen.data(found)
    else:
        for part in told(found):
            target.screen.show(part)
    if found["broken"]:
        raise typer.Exit(exits.NOT_AS_PROMISED)


def effect(client: Client, project: Project) -> dict[str, Any]:
    """What deploying the project would do: `unaffected` and `changed` count runs, `broken` lists those that would fail.

    Raises DefinitionError where the workflows have mistakes, and what the client raises.
    """
    from cascade_flow.local import checking  # noqa: PLC0415  (as above)

    return effect_of(client, checking.require_sound(project))


def effect_of(client: Client, workflows: Sequence[Declared]) -> dict[str, Any]:
    """The same of workflows that were looked at already."""
    planned = [
        {"workflowSlug": each.workflow_slug, "versionId": each.version_id, "stepIds": each.step_ids}
        for each in workflows
    ]
    whole: Json = {"unaffected": 0, "changed": 0, "broken": []}
    for piece in client.preflight(planned):
        whole = {name: whole[name] + piece[name] for name in whole}
    return whole


def told(found: dict[str, Any]) -> list[Any]:
    """The effect as people read it."""
    if not any(found.values()):
        return [Text("No run is under way.")]
    broken = found["broken"]
    lines = [
        Text.assemble(("✓ ", "green"), f"{formatting.count(found['unaffected'], 'run')} unaffected"),
        Text.assemble(
            ("○ ", "cyan"), f"{formatting.count(found['changed'], 'run')} with other code from the next step"
        ),
    ]
    if not broken:
        return lines
    said = f"{formatting.count(len(broken), 'run')} with steps that are gone: they would fail with step-removed"
    more = [Text(f"and {len(broken) - _MOST_SHOWN:,} more", "dim")] if len(broken) > _MOST_SHOWN else []
    return [*lines, Text.assemble(("✗ ", "red"), said), tables.broken(broken[:_MOST_SHOWN]), *more]
