"""Deploys a project to AWS, one thing after the other; who asks the user's leave stands between them."""

from __future__ import annotations

from collections.abc import Mapping

from cascade_flow.errors import ConfigurationError
from cascade_flow.local import artifacts, cloud_build, deployment
from cascade_flow.local.artifacts import Artifact
from cascade_flow.local.deployment import Plan
from cascade_flow.local.formation import FAILED_FIRST, Formation
from cascade_flow.local.place import Place, explained
from cascade_flow.local.project import Project


def is_under_way(place: Place) -> bool:
    """Whether somebody deploys to it just now."""
    with explained(f"look for the stack {place.stack_name}"):
        described = Formation(place).describe()
    return described is not None and described["StackStatus"].endswith("_IN_PROGRESS")


def stands(place: Place) -> bool:
    """Whether there is a stack that serves. ConfigurationError where it can't be brought up to date, and why.

    Waits for a deployment that is under way. What a first one left that failed is removed: it never served.
    """
    with explained(f"look for the stack {place.stack_name}"):
        status = Formation(place).settled()
        if status in FAILED_FIRST:
            deployment.make_deployable(place)
            return False
    if status in ("UPDATE_ROLLBACK_FAILED", "DELETE_FAILED"):
        raise ConfigurationError(
            f"The stack {place.stack_name} stands in {status}: an earlier deployment could not be undone. See why: "
            f"aws cloudformation describe-stack-events --stack-name {place.stack_name}; then "
            + ("continue-update-rollback" if status == "UPDATE_ROLLBACK_FAILED" else "delete-stack")
        )
    return status is not None


def build(project: Project) -> dict[str, Artifact]:
    """The zips, for Lambda unless the environment says otherwise."""
    if project.environment.platform == "host":
        return deployment.build(project, artifacts.this_machine(project))
    return {made.place: made.artifact for made in cloud_build.build(project, project.home / "cloud")}


def plan(project: Project, place: Place, code: Mapping[str, Artifact]) -> Plan | None:
    """What it would change; None where that is nothing."""
    with explained("prepare the deployment"):
        return deployment.plan(project, place, code)
