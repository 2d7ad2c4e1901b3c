"""Questions about limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.limit_shapes import LimitAddress, ShowLimit
from cascade_flow.api.resources import runtime
from cascade_flow.api.routes import route
from cascade_flow.errors import LimitNotFoundError

if TYPE_CHECKING:
    from cascade_flow.api.limit_replies import LimitDetails, Limits
    from cascade_flow.operations.limit_views import LimitViews


@route("GET /limits")
def list_limits() -> Answer[Limits]:
    """List the limits that steps of the workflows name, and which steps these are."""
    from cascade_flow.api.limit_representations import named  # noqa: PLC0415  (few ask for that)

    return ok({"limits": [named(declared) for declared in _views().all()]})


@route("GET /limits/{name}", errors=[LimitNotFoundError])
def get_limit(address: LimitAddress, query: ShowLimit) -> Answer[LimitDetails]:
    """Read a limit: who has its places, and who waits for one."""
    from cascade_flow.api.limit_representations import details  # noqa: PLC0415

    return ok(details(_views().one(address.name, query.key)))


def _views() -> LimitViews:
    from cascade_flow.operations.limit_views import LimitViews  # noqa: PLC0415

    return LimitViews(runtime())
