"""Questions about the runs that do a step's work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field

from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.query_shapes import parts
from cascade_flow.api.resources import runtime
from cascade_flow.api.routes import route
from cascade_flow.api.shapes import Query, StepAddress
from cascade_flow.errors import RunNotFoundError, StepNotFoundError
from cascade_flow.model.states import RunStatus
from cascade_flow.model.wire import LARGEST_WHOLE

if TYPE_CHECKING:
    from cascade_flow.api.children_replies import ChildPage

MOST_CHILDREN = 1_000


class ListChildren(Query):
    """GET /runs/{runId}/children/{stepId}."""

    repeatable = frozenset({"status"})
    status: Annotated[list[RunStatus], BeforeValidator(parts)] | None = None
    """Only runs in one of these states; `a,b` means the same as naming both."""
    limit: Annotated[int, Field(ge=1, le=MOST_CHILDREN)] = 100
    cursor: Annotated[int, Field(ge=-1, le=LARGEST_WHOLE)] = -1
    """An earlier answer's `nextCursor`: only runs behind that place."""


@route("GET /runs/{runId}/children/{stepId+}", errors=[RunNotFoundError, StepNotFoundError])
def list_children(address: StepAddress, query: ListChildren) -> Answer[ChildPage]:
    """List the runs that do a step's work, by number: of a map one for each item, or for each batch of them.

    With a filter a page may hold fewer than there are, or none; `nextCursor` goes on.
    """
    from cascade_flow.api.children_answers import page  # noqa: PLC0415  (few workflows grow)
    from cascade_flow.operations.family_views import FamilyViews  # noqa: PLC0415

    wanted, views = query.status or (), FamilyViews(runtime())
    found = views.page(address.run_id, address.step_id, status=wanted, after=query.cursor, limit=query.limit)
    return ok(page(found))
