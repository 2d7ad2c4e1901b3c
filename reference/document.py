"""The OpenAPI document of all routes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

from pydantic.alias_generators import to_camel

from cascade_flow.api import replies
from cascade_flow.api.problems import INTERNAL, MEDIA_TYPE, internal_problem, problem, status_of
from cascade_flow.api.routes import Route
from cascade_flow.errors import CascadeFlowError
from reference import docstrings
from reference.declared import function_of, routes
from reference.samples import sample
from reference.schemas import Schema, Schemas, parameters
from reference.types import NAMED, REPLIES

DESCRIPTION = """Runs of durable workflows. [api.md](api.md) says how to sign a request, what errors mean, and how to go
on with a list; this document is made of the code that checks requests and makes answers.

Times are microseconds since 1970 (`...Us`), lengths of time microseconds. What an answer holds beyond what is described
here may be ignored; what a request holds beyond it is refused. Step ids may hold slashes, which are sent as they are.
"""
TAGS: Mapping[str, str] = {
    "runs": "Submit runs, look at them, stop them and set them going again.",
    "workflows": "What can be run, in which version.",
    "schedules": "When runs begin by themselves: next times, pauses, runs for times that are past.",
    "worker protocol": "For workers that are no Lambda: take a step, stay alive, say how it went.",
    "analytics": "How the service does: numbers out of events.",
    "workers": "Who works.",
    "dead-letters": "Wake-ups that were tried in vain.",
    "diagnosis": "Which runs are late or stuck, and why.",
    "preflight": "What a deployment would do to the runs under way.",
    "service": "Whether it is up, and which release it is.",
}
_OF_THE_SERVICE = ("health", "version")
_REQUEST_ID = "JKJaXmPLvHcESHA="
_JSON = "application/json"
_SECURITY = {
    "sigv4": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "A Signature of Version 4, for the service `execute-api`, by whom IAM allows the request.",
        "x-amazon-apigateway-authtype": "awsSigv4",
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the stack's JwtIssuer, at TokenApiUrl; only for what people do.",
    },
}
_GATEWAY = {
    "403": "API Gateway refuses: the signature is wrong or missing, or no policy of the caller's allows the request.",
    "429": "API Gateway refuses: more requests than the stack's RequestsPerSecond. Send it again, later.",
}
"""What is answered before any function is asked."""


def document() -> dict[str, Any]:
    declared = [route for function in routes().values() for route in function]
    schemas = Schemas([replies.Problem, *(kind for route in declared for kind in _kinds(route))])
    used = {_tag(route) for route in declared}
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "cascade-flow",
            "version": version("cascade-flow"),
            "description": docstrings.text(DESCRIPTION),
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "https://api.example.com", "description": "The stack's output ApiUrl, or TokenApiUrl."}],
        "tags": [{"name": name, "description": said} for name, said in TAGS.items() if name in used],
        "security": [{"sigv4": []}],
        "paths": _paths(declared, schemas),
        "components": {
            "schemas": schemas.components,
            "responses": {**_gateway_responses(), **_problem_responses(declared)},
            "examples": _problem_examples(declared),
            "securitySchemes": _SECURITY,
        },
    }


def path_of(route: Route) -> str:
    return route.path.replace("+}", "}")


def operation_id(route: Route) -> str:
    return to_camel(route.act.__name__)


def answered(route: Route) -> Any:
    """The type of what it answers."""
    told = SimpleNamespace(__annotations__={"return": route.act.__annotations__["return"]})
    known = NAMED | {module.__name__.rpartition(".")[2]: module for module in REPLIES}
    [kind] = get_args(get_type_hints(told, route.act.__globals__, known)["return"])
    return kind


def _kinds(route: Route) -> Iterator[Any]:
    yield answered(route)
    if body := route.shape("body"):
        yield body


def _paths(declared: Iterable[Route], schemas: Schemas) -> dict[str, Any]:
    order = list(TAGS)
    paths: dict[str, Any] = defaultdict(dict)
    for route in sorted(declared, key=lambda route: (order.index(_tag(route)), route.path, route.method)):
        paths[path_of(route)][route.method.lower()] = _operation(route, schemas)
    return dict(paths)


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    said = docstrings.of(route.act)
    body = route.shape("body")
    told: dict[str, Any] = {
        "operationId": operation_id(route),
        "tags": [_tag(route)],
        "summary": re.split(r"[.:;](?:\s|$)", said)[0],
        "description": said,
        "parameters": list(_parameters(route)),
        "requestBody": body and _body(schemas.of(body), schemas),
        "responses": {**_successes(route, schemas), **_refusals(route)},
        "security": [{"sigv4": []}, *([{"token": []}] if function_of(route, "TokenApi") else [])],
    }
    return {name: value for name, value in told.items() if value}


def _tag(route: Route) -> str:
    head = route.path.split("/")[1]
    if route.method == "POST" and "steps" in route.path.split("/"):
        return "worker protocol"
    if "/schedules/" in route.path:
        return "schedules"
    return "service" if head in _OF_THE_SERVICE else head


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for part, place in (("address", "path"), ("query", "query"), ("headers", "header")):
        shape = route.shape(part)
        for name, schema in (parameters(shape) if shape else {}).items():
            yield _parameter(name.title() if place == "header" else name, place, schema)


def _parameter(name: str, place: str, schema: Schema) -> dict[str, Any]:
    required, said = schema.pop("required"), schema.pop("description", "")
    told = {"name": name, "in": place, "required": required, "description": said, "schema": schema}
    shown = {} if "default" in schema else {"example": sample(schema, {}, name)}
    return {key: value for key, value in (told | shown).items() if value != ""}


def _body(schema: Schema, schemas: Schemas) -> dict[str, Any]:
    needed = bool(schemas.components[schema["$ref"].rpartition("/")[2]].get("required"))
    return {"required": needed, "content": _content(schema, schemas)}


def _content(schema: Schema, schemas: Schemas) -> dict[str, Any]:
    return {_JSON: {"schema": schema, "example": sample(schema, schemas.components)}}


def _successes(route: Route, schemas: Schemas) -> dict[str, Any]:
    schema = schemas.of(answered(route))
    return {
        str(status): {
            "description": said or schemas.components[schema["$ref"].rpartition("/")[2]]["description"],
            **({} if status == 204 else {"content": _content(schema, schemas)}),
        }
        for status, said in sorted(route.answers.items())
    }


def _refusals(route: Route) -> dict[str, Any]:
    own = {str(status): _name(status, kinds) for status, kinds in _by_status(route).items()}
    named = {status: f"gateway-{status}" for status in _GATEWAY} | own | {"500": "500-internal"}
    return {status: {"$ref": f"#/components/responses/{name}"} for status, name in sorted(named.items())}


def _by_status(route: Route) -> dict[int, list[type[CascadeFlowError]]]:
    found: dict[int, list[type[CascadeFlowError]]] = defaultdict(list)
    for kind in sorted(route.problems, key=lambda kind: kind.code):
        found[status_of(kind())].append(kind)
    return found


def _name(status: int, kinds: Iterable[type[CascadeFlowError]]) -> str:
    return "-or-".join([f"{status}-{kind.code}" if n == 0 else kind.code for n, kind in enumerate(kinds)])


def _problem_responses(declared: Iterable[Route]) -> dict[str, Any]:
    ours = _problem_response("A mistake of ours; the function's log says which.", [INTERNAL])
    told: dict[str, Any] = {"500-internal": ours}
    for route in declared:
        for status, kinds in _by_status(route).items():
            said = "\n".join(f"- `{kind.code}`: {docstrings.of(kind)}" for kind in kinds)
            told[_name(status, kinds)] = _problem_response(said, [kind.code for kind in kinds])
            if status == 404:  # an id that no path can hold
                told[_name(status, kinds)]["content"] |= _gateway_content("Not Found")
    return dict(sorted(told.items()))


def _problem_response(said: str, codes: list[str]) -> dict[str, Any]:
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": {"code": {"enum": codes}}}]}
    examples = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
    return {"description": said, "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}}}


def _problem_examples(declared: Iterable[Route]) -> dict[str, Any]:
    kinds = sorted({kind for route in declared for kind in route.problems}, key=lambda kind: kind.code)
    told = {kind.code: problem(kind(), request_id=_REQUEST_ID) for kind in kinds}
    told[INTERNAL] = internal_problem(request_id=_REQUEST_ID)
    return {code: {"value": value} for code, value in told.items()}


def _gateway_responses() -> dict[str, Any]:
    return {
        f"gateway-{status}": {"description": said, "content": _gateway_content(HTTPStatus(int(status)).phrase)}
        for status, said in _GATEWAY.items()
    }


def _gateway_content(message: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"message": {"type": "string"}}}
    return {_JSON: {"schema": schema, "example": {"message": message}}}
