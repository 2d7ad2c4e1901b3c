"""Questions about workflows and their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api import workflow_representations as representations
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.resources import details
from cascade_flow.api.routes import route
from cascade_flow.api.shapes import WorkflowAddress
from cascade_flow.api.workflow_shapes import VersionAddress
from cascade_flow.errors import VersionNotFoundError, WorkflowNotFoundError

if TYPE_CHECKING:
    from cascade_flow.api.replies import Version, Versions, WorkflowDetails, Workflows


@route("GET /workflows")
def list_workflows() -> Answer[Workflows]:
    """List the workflows that are registered, those that were retired left out."""
    return ok({"workflows": [representations.workflow(entry) for entry in details().workflows()]})


@route("GET /workflows/{slug}", errors=[WorkflowNotFoundError])
def get_workflow(address: WorkflowAddress) -> Answer[WorkflowDetails]:
    """Read a workflow, with its versions and the steps of the current one."""
    return ok(representations.workflow_details(details().workflow(address.slug)))


@route("GET /workflows/{slug}/versions", errors=[WorkflowNotFoundError])
def list_versions(address: WorkflowAddress) -> Answer[Versions]:
    """List the versions of a workflow, oldest first, without their steps."""
    return ok(representations.versions(details().workflow(address.slug).versions))


@route("GET /workflows/{slug}/versions/{versionId}", errors=[WorkflowNotFoundError, VersionNotFoundError])
def get_version(address: VersionAddress) -> Answer[Version]:
    """Read a version of a workflow, with its steps."""
    return ok(representations.version(details().version(address.slug, address.version_id)))
