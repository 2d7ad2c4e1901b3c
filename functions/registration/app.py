"""Writes the workflows and their versions to the table: CloudFormation's custom resource, or called by hand with {}."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any
from urllib.request import Request, urlopen

from aws_lambda_powertools import Logger
from pydantic import Field

from cascade_flow.api.problems import shortened
from cascade_flow.api.resources import runtime, workflows_package
from cascade_flow.authoring import discover
from cascade_flow.authoring.notes import notes_of
from cascade_flow.model.workflows import GitInfo
from cascade_flow.settings import Settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

log = Logger(service="cascade_flow")


class Deployment(Settings):
    """`git`: where the workflows come from, as `<commit> <branch> clean|dirty`, where that is known."""

    git: Annotated[str, Field(pattern=r"^\S+ \S+ (clean|dirty)$")] | None = None


@log.inject_lambda_context(clear_state=True)
def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The versions that are registered now, by slug. CloudFormation is told so too; a deletion leaves what there is."""
    if "ResponseURL" not in event:
        return {"workflows": register()}
    try:
        versions = {} if event["RequestType"] == "Delete" else register()
    except Exception as error:
        log.exception("the workflows could not be registered")
        _tell(event, {"Status": "FAILED", "Reason": shortened(f"{type(error).__name__}: {error}")})
        return {"workflows": {}}
    _tell(event, {"Status": "SUCCESS", "Data": {"Workflows": shortened(", ".join(versions))}})
    return {"workflows": versions}


def register() -> dict[str, str]:
    """Register every workflow of the package and retire those that it has no more; again, that changes nothing."""
    workflows = discover(workflows_package())
    commit, branch, state = (Deployment.read().git or "- - -").split()
    git = None if commit == "-" else GitInfo(commit=commit, branch=branch, dirty=state == "dirty")
    runtime().registry.deploy([workflow.registration(git=git) for workflow in workflows.values()], notes_of(workflows))
    return {slug: workflow.definition().version_id for slug, workflow in workflows.items()}


def _tell(event: Mapping[str, Any], outcome: Mapping[str, Any]) -> None:
    known = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    answer = {**known, "PhysicalResourceId": "workflows", **outcome}
    body, headers = json.dumps(answer).encode(), {"content-type": ""}
    urlopen(Request(event["ResponseURL"], body, headers, method="PUT"), timeout=20).close()
