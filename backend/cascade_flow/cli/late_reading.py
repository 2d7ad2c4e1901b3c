"""Parameters whose values typer reads only where there is something to read: it imports pydantic for that.

Text as it was typed, an option that wasn't, and a default need no reading. Most commands hold nothing else, and are
done in two thirds of the time.
"""

from __future__ import annotations

from typing import Any


def read_late(param: Any) -> Any:
    """The parameter of typer's, changed."""
    param.get_runtime_param = lambda: _Reader(type(param).get_runtime_param.__get__(param))
    return param


class _Reader:
    """Stands in for typer's own, which `make` makes."""

    def __init__(self, make: Any) -> None:
        self._make = make

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        if type(value) is param.type_descriptor.annotation:
            return value
        if value is None:
            return () if param.multiple else None
        return self._make().coerce(value, param=param, ctx=ctx)
