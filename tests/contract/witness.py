"""What the contract promises, read from its docstrings, and what the suite has seen of it, written down by server.

An operation's errors are the class names in the sentence of its docstring that begins with "Raises"; those of the
class docstring of `Backend` may come of any operation.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import pytest

from cascade_flow import Backend
from cascade_flow.errors import CascadeFlowError

Pair = tuple[str, str]
"""An operation and the name of an error."""

_RAISES = re.compile(r"(?<![a-z] )\bRaises (?P<errors>.*?)\.(?=\s|$)", re.DOTALL)
_EXPLAINED = re.compile(r"\([^)]*\)")

OPERATIONS: Mapping[str, Callable[..., Any]] = {
    name: method for name, method in inspect.getmembers(Backend, inspect.isfunction) if not name.startswith("_")
}


def errors_in(docstring: str | None) -> frozenset[str]:
    """The error classes that a docstring names."""
    found = _RAISES.findall(docstring or "")
    assert len(found) <= 1, f"more than one sentence begins with Raises: {docstring}"
    names = _EXPLAINED.sub("", found[0]).split(",") if found else []
    return frozenset(name.strip() for name in names)


COMMON = errors_in(Backend.__doc__)
DOCUMENTED: frozenset[Pair] = frozenset(
    (name, error) for name, method in OPERATIONS.items() for error in errors_in(method.__doc__)
)


@dataclass
class Witness:
    """Stands beside every operation while the suite runs on a server."""

    server: str = ""
    called: set[tuple[str, str]] = field(default_factory=set)
    raised: set[tuple[str, Pair]] = field(default_factory=set)

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        for name, method in OPERATIONS.items():
            patch.setattr(Backend, name, self._beside(name, method))

    def operations(self, server: str) -> set[str]:
        """The operations that were called on a server."""
        return {name for where, name in self.called if where == server}

    def errors(self, server: str) -> set[Pair]:
        """The errors that operations have raised on a server."""
        return {pair for where, pair in self.raised if where == server}

    def told(self, server: str) -> str:
        """The suite's reach on a server, for people."""
        seen = self.errors(server) & DOCUMENTED
        operations = f"{len(self.operations(server))} of {len(OPERATIONS)} operations"
        return f"contract on {server}: {operations}, {len(seen)} of {len(DOCUMENTED)} documented errors"

    def _beside(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def watched(*arguments: Any, **named: Any) -> Any:
            self.called.add((self.server, name))
            try:
                return method(*arguments, **named)
            except Exception as error:
                kind = (
                    type(error).__name__
                    if isinstance(error, CascadeFlowError)
                    else f"{type(error).__name__} (not ours)"
                )
                self.raised.add((self.server, (name, kind)))
                raise

        return watched
