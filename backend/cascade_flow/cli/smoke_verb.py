"""`smoke`: whether a deployed stack does what only a deployed stack can show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.text import Text

from cascade_flow.cli import exits, formatting
from cascade_flow.cli.target import Target, targeted_without
from cascade_flow.errors import ConfigurationError

if TYPE_CHECKING:
    from cascade_flow.smoke.point import Finding
    from cascade_flow.smoke.stack import Stack

_MARKS = {"pass": ("✓", "green"), "fail": ("✗", "red"), "unseen": ("?", "yellow")}


@targeted_without("url")
def smoke(target: Target) -> None:
    """Look at a deployed stack, point by point: rights, limits, alarms, the API, the table's promises.

    Takes some minutes at most, changes nothing but for four runs of the workflow `smoke`, which expire. What your
    credentials may not look at is told as unseen. Ends with 1 where a point failed.

    Examples:

      $ cascade smoke --stack production --region eu-central-1
      $ cascade smoke --stack production --json | jq 'select(.verdict == "fail")'
    """
    from cascade_flow.smoke.point import look  # noqa: PLC0415  (boto3, a second)
    from cascade_flow.smoke.points import POINTS  # noqa: PLC0415

    findings = []
    for finding in look(POINTS, _stack(target)):
        findings.append(finding)
        _tell(target, finding)
    failed = [finding for finding in findings if finding.verdict == "fail"]
    if not target.as_json:
        seen = formatting.count(sum(finding.verdict == "pass" for finding in findings), "point")
        target.screen.show(Text(f"{seen} of {len(findings)} hold, {len(failed)} failed."))
    if failed:
        raise typer.Exit(exits.NOT_AS_PROMISED)


def _stack(target: Target) -> Stack:
    from cascade_flow.local import endpoints  # noqa: PLC0415  (half a second that --help needn't take)

    if target.url:
        raise ConfigurationError("an address tells nothing of the stack behind it: name the stack with --stack")
    if target.elsewhere:
        return endpoints.deployed_stack(target.elsewhere)
    return endpoints.local_stack(target.here)


def _tell(target: Target, finding: Finding) -> None:
    if target.as_json:
        target.screen.record(finding.to_json())
        return
    mark, style = _MARKS[finding.verdict]
    target.screen.show(Text.assemble((f"{mark} ", style), finding.claim, (f"  {finding.remark}", "dim")))
