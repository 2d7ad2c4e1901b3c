"""Events as AWS sends them to functions (the JSON files beside this one), and the same with other content."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from infra.written import of_type, properties

Event = dict[str, Any]


def _routes() -> dict[str, str]:
    """The template's routes, and the functions that they lead to."""
    keys = [properties(name) for name in of_type("AWS::ApiGatewayV2::Route")]
    mine = [route for route in keys if route["ApiId"] == {"Ref": "Api"}]
    return {
        str(route["RouteKey"]): re.sub(r".*\{(\w+)Integration\}", r"\1", route["Target"]["Fn::Sub"]).lower()
        for route in sorted(mine, key=lambda route: route["RouteKey"].count("{"))
    }


ROUTES = _routes()
"""By key, the more specific ones first."""


@dataclass(frozen=True)
class Context:
    """What Lambda tells a function of its invocation."""

    function_name: str = "cascade-function"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:cascade-function"
    aws_request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    remaining_ms: int = 60_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


def load(name: str) -> Event:
    """The event in the file of this name."""
    event: Event = json.loads((Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))
    return event


def get(target: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Event:
    """A request without a body. `target` is a path with its query string; HTTP APIs decode the path, but no %25."""
    return _addressed(load("http_api_get"), method, target, headers)


def put(target: str, body: Any) -> Event:
    """The same by PUT."""
    return post(target, body, method="PUT")


def post(
    target: str,
    body: Any = None,
    *,
    raw: str | bytes | None = None,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
) -> Event:
    """A request with a JSON body; `raw` is sent as it is, bytes as base64."""
    event = _addressed(load("http_api_post"), method, target, headers)
    if isinstance(raw, bytes):
        return {**event, "body": base64.b64encode(raw).decode(), "isBase64Encoded": True}
    if raw is None and body is None:
        del event["body"]
        return event
    return {**event, "body": json.dumps(body) if raw is None else raw}


def messages(bodies: Iterable[str]) -> Event:
    """What SQS's event source hands on."""
    record = load("sqs")["Records"][0]
    return {"Records": [{**record, "messageId": f"m-{number}", "body": body} for number, body in enumerate(bodies)]}


def function_of(event: Event) -> str:
    """The function that API Gateway leads a request to; where none takes it, one that says so."""
    return ROUTES.get(event["routeKey"], "query")


def routed(method: str, path: str) -> Event:
    """What API Gateway says of the template's route that takes a decoded path: its key, and the path's parameters."""
    for route in ROUTES:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", re.sub(r"\{(\w+)\+\}", r"(?P<\1>.+)", route))
        if found := re.fullmatch(pattern, f"{method} {path}"):
            return {"routeKey": route, "pathParameters": found.groupdict()}
    return {"routeKey": "$default"}


def _addressed(event: Event, method: str, target: str, headers: Mapping[str, str] | None) -> Event:
    url = urlsplit(target)
    path = unquote(url.path.replace("%25", "%2525"))
    http = {**event["requestContext"]["http"], "method": method, "path": path}
    return {
        **{name: value for name, value in event.items() if name != "pathParameters"},
        **routed(method, path),
        "rawPath": path,
        "rawQueryString": url.query,
        "headers": {**event["headers"], **(headers or {})},
        "requestContext": {**event["requestContext"], "http": http},
    }
