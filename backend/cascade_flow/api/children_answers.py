"""Runs that do a step's work as answers (see `representations`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api.names import document

if TYPE_CHECKING:
    from cascade_flow.api import children_replies as replies
    from cascade_flow.model.workflows import ChildrenDefinition
    from cascade_flow.operations.details import FamilyDetails
    from cascade_flow.operations.family_views import ChildPage, ChildState


def page(found: ChildPage) -> replies.ChildPage:
    """GET /runs/{runId}/children/{stepId}: `nextCursor` is what to ask for as `cursor` where there may be more."""
    told: replies.ChildPage = {"children": [_child(child) for child in found.children]}
    if found.more is not None:
        told["nextCursor"] = str(found.more)
    return told


def of_step(details: FamilyDetails) -> replies.ChildrenOfStep:
    """The children of a step of a run."""
    told = _declared(details.declared)
    if details.items is not None:
        told["items"], told["runs"] = details.items, details.children
        told["begun"], told["ended"] = details.made, details.ended
        told["failedItems"] = details.lost
    return told


def _declared(declared: ChildrenDefinition) -> replies.ChildrenOfStep:
    told: replies.ChildrenOfStep = {"kind": declared.kind}
    if declared.workflow is not None:
        told["workflowSlug"] = declared.workflow
    if declared.over is not None:
        told["over"], told["concurrency"] = declared.over, declared.concurrency
        told["batch"], told["tolerate"] = declared.batch, declared.tolerate
    return told


def _child(child: ChildState) -> replies.Child:
    told: replies.Child = {"number": child.number, "runId": child.run_id, "status": child.status}
    if child.first_item is not None:
        told["firstItem"] = child.first_item
    if child.attempt is not None:
        told["attemptNumber"], told["isRetrying"] = child.attempt, child.is_retrying
    if child.failed_items is not None:
        told["failedItems"] = child.failed_items
    if child.error is not None:
        told["error"] = document(child.error, {})
    return told
