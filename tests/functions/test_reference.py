"""docs/openapi.json says what is true: it is made of the routes, it names every route of the template, it is sound."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from reference import conformance
from reference.__main__ import documents
from reference.declared import function_of, gates, routes
from reference.document import TAGS, document, operation_id, path_of

from cascade_flow.api.routes import Route
from cascade_flow.api.shapes import Query

DECLARED = [(function, route) for function, declared in routes().items() for route in declared]
OPERATIONS = {
    told["operationId"]: told
    for methods in conformance.published()["paths"].values()
    for method, told in methods.items()
    if method in conformance.METHODS
}

each_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
each_route = pytest.mark.parametrize(("function", "route"), DECLARED, ids=lambda told: getattr(told, "name", told))


def test_the_documents_are_what_the_code_says() -> None:
    for path, text in documents().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is out of date: run make docs"


def test_the_page_needs_no_network_and_its_links_lead_somewhere() -> None:
    html = (conformance.PATH.parent / "api.html").read_text(encoding="utf-8")
    assert re.findall(r"""(?:src=|@import|url\(|<link|<iframe)""", html) == []
    leads_to = set(re.findall(r'href="([^"]+)"', html))
    ids = {f"#{id}" for id in re.findall(r' id="([^"]+)"', html)}
    assert leads_to - ids == {"api.md"}
    assert {f"#{name}" for name in OPERATIONS} <= ids


def test_the_document_is_sound() -> None:
    assert list(OpenAPIV31SpecValidator(conformance.published()).iter_errors()) == []


def test_the_template_leads_to_every_route_and_to_none_else() -> None:
    """But for the addresses that steps give away: who calls one has it, and needs no document."""
    declared = [route for _, route in DECLARED]
    signed = [gate for gate in gates() if gate.api != "CallbackApi"]
    idle = [gate for gate in signed if not any(gate.takes(route) for route in declared)]
    assert idle == []
    assert {path_of(route) for route in declared} == set(conformance.published()["paths"])


@each_route
def test_the_template_leads_a_request_to_the_function_that_declares_its_route(function: str, route: Route) -> None:
    assert function_of(route) == function
    assert function_of(route, "TokenApi") in (function, None)


@each_route
def test_a_route_asks_for_its_paths_parameters(function: str, route: Route) -> None:
    shape = route.shape("address")
    asked = [str(field.alias) for field in shape.model_fields.values()] if shape else []
    assert sorted(asked) == sorted(part[1:].rstrip("+}") for part in route.path.split("/") if part.startswith("{"))


@each_route
def test_a_route_asks_only_for_what_its_signature_names(function: str, route: Route) -> None:
    assert set(route.act.__annotations__) <= {"address", "query", "headers", "body", "return"}
    query = route.shape("query")
    assert query is None or issubclass(query, Query)
    assert route.method != "GET" or route.shape("body") is None


def test_operations_have_names_of_their_own() -> None:
    assert len({operation_id(route) for _, route in DECLARED}) == len(DECLARED) == len(OPERATIONS)


@each_operation
def test_an_operation_says_what_it_does(operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert set(operation["tags"]) <= set(TAGS)
    for response in operation["responses"].values():
        resolved = conformance.resolved(response)
        assert resolved
        assert resolved["description"]


@each_operation
def test_examples_are_what_they_are_examples_of(operation: dict[str, Any]) -> None:
    for schema, example in examples(operation):
        assert conformance.faults(schema, example) == [], json.dumps(example)


def examples(operation: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    for parameter in operation.get("parameters", []):
        if "example" in parameter:
            yield parameter["schema"], parameter["example"]
    for told in (operation.get("requestBody"), *map(conformance.resolved, operation["responses"].values())):
        for content in (told or {}).get("content", {}).values():
            yield from ((content["schema"], example) for example in _examples(content))


def _examples(content: dict[str, Any]) -> Iterator[Any]:
    if "example" in content:
        yield content["example"]
    for named in content.get("examples", {}).values():
        yield conformance.published()["components"]["examples"][named["$ref"].rpartition("/")[2]]["value"]


LEASE = next(_examples(OPERATIONS["heartbeat"]["responses"]["200"]["content"]["application/json"]))


@pytest.mark.parametrize(
    ("status", "value"),
    [(200, dict.fromkeys(LEASE, "soon")), (200, {**LEASE, "more": 1}), (200, {}), (201, LEASE)],
    ids=["another type", "a field too many", "a field too few", "another status"],
)
def test_an_answer_that_is_not_documented_is_noticed(status: int, value: Any) -> None:
    asked = "POST", "/runs/r/steps/a/b/heartbeat"
    conformance.check(*asked, 200, "application/json", LEASE)
    with pytest.raises(AssertionError, match=f"heartbeat answered {status}"):
        conformance.check(*asked, status, "application/json", value)


def test_a_problem_of_another_route_is_noticed() -> None:
    problem = {**conformance.published()["components"]["examples"]["run-not-found"]["value"], "status": 404}
    conformance.check("GET", "/runs/r", 404, "application/problem+json", problem)
    with pytest.raises(AssertionError, match="getWorkflow answered 404"):
        conformance.check("GET", "/workflows/w", 404, "application/problem+json", problem)


def test_the_document_changes_where_the_code_does() -> None:
    told = document()
    assert told["paths"]["/runs"]["post"]["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/SubmitRun"
    }
    fields = told["components"]["schemas"]["Run"]["properties"]
    assert {"runId", "createdAtUs", "endedAtUs"} <= set(fields)
    assert {"createdAt", "completedAt", "input"}.isdisjoint(fields)
