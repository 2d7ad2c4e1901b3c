"""What workflows and their versions look like in answers, with what their code says of them. As `representations`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from cascade_flow.api.names import document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cascade_flow.api import replies
    from cascade_flow.dynamodb.registry import Entry
    from cascade_flow.model.workflows import WorkflowVersion
    from cascade_flow.operations.workflow_details import VersionDetails, WorkflowDetails


def workflow(entry: Entry) -> replies.Workflow:
    """A workflow in GET /workflows."""
    return document(entry.metadata, _current(entry))


def workflow_details(details: WorkflowDetails) -> replies.WorkflowDetails:
    """GET /workflows/{slug}: the steps are those of the current version."""
    more: replies.VersionsAndSteps = {
        **_current(details.entry),
        "steps": _noted(details.current),
        "versions": [_in_brief(version) for version in details.versions],
    }
    return document(details.entry.metadata, more)


def versions(found: Iterable[WorkflowVersion]) -> replies.Versions:
    """GET /workflows/{slug}/versions."""
    return {"versions": [_in_brief(version) for version in found]}


def version(found: VersionDetails) -> replies.Version:
    """GET /workflows/{slug}/versions/{versionId}."""
    return document(found.version, {"steps": _noted(found)})


def _noted(version: VersionDetails | None) -> list[replies.Step]:
    """The steps of a version, and what their code says of them."""
    return [document(step, cast(Any, note.to_wire())) for step, note in version.steps] if version else []


def _in_brief(version: WorkflowVersion) -> replies.VersionInBrief:
    return document(version.model_copy(update={"steps": []}), {})


def _current(entry: Entry) -> replies.CurrentVersion:
    told: replies.CurrentVersion = {"versionId": entry.version_id}
    if entry.description is not None:
        told["description"] = entry.description
    if entry.timeout_us is not None:
        told["timeoutUs"] = entry.timeout_us
    if entry.run_limit is not None:
        from cascade_flow.api.limit_representations import of_runs  # noqa: PLC0415  (few workflows have such a limit)

        told["runLimit"] = of_runs(entry.run_limit)
    if entry.retired_us is not None:
        told["retiredAtUs"] = entry.retired_us
    return told
