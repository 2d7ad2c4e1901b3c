"""The routes that functions declare, and those that the template leads to them."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from cascade_flow.api.routes import Route
from infra.written import RESOURCES, ROOT, of_type, properties


@dataclass(frozen=True)
class Gate:
    """A route of one of the template's two APIs, and the function (`query`) that it leads to."""

    api: str
    key: str
    function: str

    def takes(self, route: Route) -> bool:
        """Whether a request for the route comes in here. Its parameters may be called otherwise."""
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.sub(r"\\\{\w+\\\+\\\}", ".+", re.escape(self.key)))
        return re.fullmatch(pattern, route.name) is not None


@cache
def routes() -> dict[str, list[Route]]:
    """By function, in the order of its source."""
    apps = {path.parent.name: _loaded(path.parent.name) for path in sorted((ROOT / "functions").glob("*/app.py"))}
    found = {name: [value for value in vars(app).values() if isinstance(value, Route)] for name, app in apps.items()}
    return {name: declared for name, declared in found.items() if declared}


@cache
def gates() -> list[Gate]:
    return list(_gates())


def function_of(route: Route, api: str = "Api") -> str | None:
    """Where the API leads who asks for this; None where it takes no such request. The nearest key counts."""
    taking = [gate for gate in gates() if gate.api == api and gate.takes(route)]
    return min(taking, key=lambda gate: gate.key.count("+")).function if taking else None


def _gates() -> Iterator[Gate]:
    for name in of_type("AWS::ApiGatewayV2::Route"):
        told = properties(name)
        integration = re.fullmatch(r"integrations/\$\{(\w+)\}", told["Target"]["Fn::Sub"])
        assert integration
        function, _ = properties(integration[1])["IntegrationUri"]["Fn::GetAtt"]
        yield Gate(told["ApiId"]["Ref"], told["RouteKey"], RESOURCES[function]["Properties"]["CodeUri"].split("/")[1])


def _loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"reference.functions.{name}", ROOT / "functions" / name / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
