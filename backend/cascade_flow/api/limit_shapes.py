"""What a question about a limit may hold."""

from __future__ import annotations

from cascade_flow.api.shapes import LimitName, Name, Query, Shape


class LimitAddress(Shape):
    """/limits/{name}."""

    name: LimitName


class ShowLimit(Query):
    """GET /limits/{name}: of a limit that is kept by key, that of one value."""

    key: Name | None = None
    """The value of the input's field by which the limit is kept."""
