"""A request as API Gateway hands it on (HTTP API, payload 2.0), read without trust; what is in it is `shapes`."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, unquote

from cascade_flow.api.documents import read_document, rejected
from cascade_flow.api.problems import MethodNotAllowedError, RouteNotFoundError
from cascade_flow.api.shapes import Headers, Query, Shape
from cascade_flow.records import dataclass

MOST_QUERY_FIELDS = 100

ShapeT = TypeVar("ShapeT", bound=Shape)
HeadersT = TypeVar("HeadersT", bound=Headers)
QueryT = TypeVar("QueryT", bound=Query)


@dataclass(frozen=True)
class Request:
    """A request; names of headers are in lower case, `path` is encoded, and `parameters` are those in it, decoded."""

    method: str
    path: str
    raw_query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw_body: str | None = None
    is_base64: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Request:
        """The request that the event tells of; an event that is none tells of a request for nothing."""
        context = event.get("requestContext") or {}
        return cls(
            method=(context.get("http") or {}).get("method") or "",
            path=_routed_path(event) or _raw_path(event, context.get("stage") or "$default"),
            raw_query=event.get("rawQueryString") or "",
            headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
            raw_body=event.get("body"),
            is_base64=bool(event.get("isBase64Encoded")),
        )

    def address(self, shape: type[ShapeT]) -> ShapeT:
        """What the path names. Raises RequestInvalidError."""
        return shape.of(self.parameters)

    def query(self, shape: type[QueryT]) -> QueryT:
        """What the query string asks for. Raises RequestInvalidError."""
        return shape.of(self._query_fields(shape))

    def header_fields(self, shape: type[HeadersT]) -> HeadersT:
        """What the headers say that we know. Raises RequestInvalidError."""
        return shape.of(self.headers)

    def document(self, shape: type[ShapeT]) -> ShapeT:
        """What the body holds; no body is an empty object. Raises RequestInvalidError, PayloadTooLargeError."""
        body = self.content()
        limits: dict[str, Any] = {"largest": shape.largest_bytes, "deepest": shape.deepest}
        return shape.of(read_document(body, **limits, cure=shape.if_too_large, apart=shape.apart) if body else {})

    def _query_fields(self, shape: type[Query]) -> dict[str, str | list[str]]:
        try:
            pairs = parse_qsl(self.raw_query, keep_blank_values=True, errors="strict", max_num_fields=MOST_QUERY_FIELDS)
        except ValueError:
            raise rejected(f"the query string is no UTF-8, or has more than {MOST_QUERY_FIELDS} fields") from None
        found: dict[str, list[str]] = {}
        for name, value in pairs:
            found.setdefault(name, []).append(value)
        return {
            name: values if name in shape.repeatable or len(values) > 1 else values[0] for name, values in found.items()
        }

    def content(self) -> bytes:
        """The body as it was sent. Raises RequestInvalidError."""
        text = self.raw_body or ""
        if not self.is_base64:
            return text.encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise rejected("the body is no base64") from None


def _routed_path(event: Mapping[str, Any]) -> str:
    """The path as the API's route names it: neither a domain's base path nor a stage is in it.

    What its parameters hold is decoded already, once: it is encoded again, so that a slash in an id stays there.
    """
    route, parameters = str(event.get("routeKey") or "$default"), event.get("pathParameters") or {}

    def filled(part: re.Match[str]) -> str:
        return quote(str(parameters.get(part[1], "")), safe="/" if part[2] else "")

    return re.sub(r"\{(\w+)(\+?)\}", filled, route.partition(" ")[2])


def _raw_path(event: Mapping[str, Any], stage: str) -> str:
    """The path of a request that no route names. HTTP APIs have decoded it."""
    path = re.sub("^/+", "/", event.get("rawPath") or "")
    return quote(path if stage == "$default" else path.removeprefix(f"/{stage}"), errors="replace")


def matched(request: Request, routes: Iterable[str]) -> tuple[str, Mapping[str, str]]:
    """The route (`GET /runs/{runId}`) that takes the request, and the parameters of its path.

    Raises RouteNotFoundError, or MethodNotAllowedError where the path is known with other methods.
    """
    fitting = {route: found for route in routes if (found := _path_of(route).fullmatch(request.path))}
    for route, found in fitting.items():
        if route.split(" ")[0] == request.method:
            return route, {name: unquote(value) for name, value in found.groupdict().items()}
    if not fitting:
        raise RouteNotFoundError(f"there is nothing at {unquote(request.path)!r}: check the path")
    allowed = sorted(route.split(" ")[0] for route in fitting)
    raise MethodNotAllowedError(
        f"{unquote(request.path)!r} does not take {request.method}: use {' or '.join(allowed)}", allowed=allowed
    )


@lru_cache
def _path_of(route: str) -> re.Pattern[str]:
    """`{name}` is one part of a path; `{name+}` may hold slashes, as a step's id does."""
    path = re.escape(route.split(" ", 1)[1]).replace(r"\{", "{").replace(r"\}", "}").replace(r"\+", "+")
    greedy = re.sub(r"\{(\w+)\+\}", r"(?P<\1>.+)", path)
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", greedy))
