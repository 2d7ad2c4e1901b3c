"""How a route is declared: a function under `@route`, whose signature says what is asked and what is answered.

    @route("GET /runs/{runId}", errors=[RunNotFoundError])
    def get_run(address: RunAddress, query: ShowRun) -> Answer[RunDetails]:
        "What it does, for who reads the API's documentation."

What a request may hold is asked by these names: `address` (the path), `query`, `headers`, `body`. What isn't named is
not taken: a query field that nobody asks for is refused, a body too. The document of the whole API (docs/openapi.json)
is made of these declarations alone; nothing here knows of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from types import FunctionType
from typing import Any, cast

from cascade_flow.api.answers import Answer
from cascade_flow.api.problems import AnswerTooLargeError, RequestInvalidError
from cascade_flow.api.requests import Request
from cascade_flow.api.shapes import Query, Shape
from cascade_flow.errors import (
    BackendUnavailableError,
    CascadeFlowError,
    ConflictError,
    PayloadTooLargeError,
    ThrottledError,
)
from cascade_flow.records import dataclass

Act = Callable[..., Answer[Any]]
_READERS: Mapping[str, Callable[[Request, Any], Shape]] = {
    "address": Request.address,
    "query": Request.query,
    "headers": Request.header_fields,
    "body": Request.document,
}
_NONE: Mapping[str, type[Shape]] = {"query": Query, "body": Shape}
_ANYWHERE = frozenset({RequestInvalidError, AnswerTooLargeError, ThrottledError, BackendUnavailableError})
_WHERE_SOMETHING_IS_SAID = frozenset({PayloadTooLargeError, ConflictError})


@dataclass(frozen=True)
class Route:
    """What a function does for one method and path: `GET /runs/{runId}`, or `{stepId+}` for what may hold slashes.

    `answers` are its statuses where all is well, and when each is given; `errors` are those that are its own, beside
    those that every route may give. `shapes` is a module that has those of the signature which its own module hasn't.
    """

    name: str
    act: FunctionType
    answers: Mapping[int, str]
    errors: frozenset[type[CascadeFlowError]]
    shapes: str | None = None

    @property
    def method(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.name.partition(" ")[2]

    @property
    def problems(self) -> frozenset[type[CascadeFlowError]]:
        """All errors that it may answer with, but for a mistake of ours."""
        return self.errors | _ANYWHERE | (frozenset() if self.method == "GET" else _WHERE_SOMETHING_IS_SAID)

    def shape(self, part: str) -> type[Shape] | None:
        """The shape in which the function takes a part of the request; None where it doesn't."""
        named = self.act.__annotations__.get(part)
        if named is None or isinstance(named, type):
            return named
        known = self.act.__globals__
        shape: type[Shape] = known[named] if named in known else getattr(import_module(self.shapes or ""), named)
        return shape

    def answer(self, request: Request) -> Answer[Any]:
        """Raises RequestInvalidError, PayloadTooLargeError, and whatever the function raises."""
        asked = {part: read(request, shape) for part, read in _READERS.items() if (shape := self._taken(part))}
        answered: Answer[Any] = self.act(**{part: asked[part] for part in asked if self.shape(part)})
        return answered

    def _taken(self, part: str) -> type[Shape] | None:
        if part == "body" and self.method == "GET":
            return None
        return self.shape(part) or _NONE.get(part)


def route(
    name: str,
    *,
    answers: Mapping[int, str] | None = None,
    errors: Collection[type[CascadeFlowError]] = (),
    shapes: str | None = None,
) -> Callable[[Act], Route]:
    """Declare what a function answers to: 200 where nothing else is said."""

    def declared(act: Act) -> Route:
        return Route(name, cast(FunctionType, act), answers or {200: ""}, frozenset(errors), shapes)

    return declared
