"""Leads each request to what answers it: the gate first, then the page, the API, or this server itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cascade_flow.console import page
from cascade_flow.console.answers import Answer, Request, document, problem
from cascade_flow.console.engine import Engine
from cascade_flow.console.gate import Gate

API = "/api"
WHOLE = "/whole"
ABOUT = "/about"
"""What the page is told of its server: which stack this is, and whether it may change anything."""


@dataclass(frozen=True)
class Site:
    """All that one console answers. `about` is told to the page."""

    gate: Gate
    engine: Engine
    pages: Mapping[str, bytes]
    read_only: bool = False
    about: Mapping[str, Any] | None = None

    def answer(self, request: Request) -> Answer:
        return self.gate.stranger(request) or self._of_ours(request)

    def _of_ours(self, request: Request) -> Answer:
        if _is_below(request.path, API, WHOLE, ABOUT):
            return self.gate.unknown(request) or self._known(request)
        return self.gate.exchange(request) or page.answer(self.pages, request)

    def _known(self, request: Request) -> Answer:
        if self.read_only and request.method != "GET":
            return problem(403, "read-only", "This console was opened with --read-only: it changes nothing.")
        if _is_below(request.path, API):
            return self.engine.passed_on(request, request.path.removeprefix(API))
        if request.method != "GET":
            return problem(405, "method-not-allowed", "This address can be read only.", allow="GET")
        if _is_below(request.path, WHOLE):
            return self.engine.whole(request.path.removeprefix(WHOLE))
        return document({"readOnly": self.read_only, **(self.about or {})})


def _is_below(path: str, *places: str) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)
