"""Requests as API Gateway hands them on: what is read of them, and what leads where."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from cascade_flow.api.problems import MethodNotAllowedError, RequestInvalidError, RouteNotFoundError
from cascade_flow.api.query_shapes import ListRuns
from cascade_flow.api.requests import MOST_QUERY_FIELDS, Request, matched
from cascade_flow.api.shapes import Shape

ROUTES = ("GET /runs", "POST /runs", "GET /runs/{runId}", "POST /runs/{runId}/steps/{stepId+}/heartbeat")


def request(method: str, path: str) -> Request:
    return Request(method, path)


@pytest.mark.parametrize(
    ("method", "path", "route", "parameters"),
    [
        ("GET", "/runs", "GET /runs", {}),
        ("GET", "/runs/a%2Fb", "GET /runs/{runId}", {"runId": "a/b"}),
        ("POST", "/runs/r/steps/a/b/heartbeat", ROUTES[3], {"runId": "r", "stepId": "a/b"}),
    ],
)
def test_a_request_is_led_to_its_route(method: str, path: str, route: str, parameters: dict[str, str]) -> None:
    assert matched(request(method, path), ROUTES) == (route, parameters)


@pytest.mark.parametrize("path", ["/", "/run", "/runs/", "/runs/a/b", "/xruns", "/runs/r/steps//heartbeat"])
def test_what_is_no_address_is_told(path: str) -> None:
    with pytest.raises(RouteNotFoundError):
        matched(request("GET", path), ROUTES)


def test_who_asks_by_another_method_is_told_which_there_are() -> None:
    with pytest.raises(MethodNotAllowedError, match="use GET or POST") as caught:
        matched(request("PUT", "/runs"), sorted(ROUTES, reverse=True))
    assert caught.value.facts == {"allowed": ["GET", "POST"]}


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ({"routeKey": "GET /runs/{runId}", "pathParameters": {"runId": "a b/c"}}, "/runs/a%20b%2Fc"),
        ({"routeKey": "GET /workers/{workerId+}", "pathParameters": {"workerId": "a/b c"}}, "/workers/a/b%20c"),
        ({"routeKey": "$default", "rawPath": "//runs"}, "/runs"),
        ({"rawPath": "/dev/runs", "requestContext": {"stage": "dev"}}, "/runs"),
        ({"rawPath": "/dev/runs", "requestContext": {"stage": "$default"}}, "/dev/runs"),
        ({"rawPath": "/dev/runs"}, "/dev/runs"),
        ({}, ""),
    ],
)
def test_the_path_is_the_routes_without_stage_or_base(event: dict[str, Any], path: str) -> None:
    assert Request.of(event).path == path


def test_what_an_event_holds_is_read() -> None:
    event = {
        "requestContext": {"http": {"method": "POST"}},
        "rawPath": "/runs",
        "rawQueryString": "a=1",
        "headers": {"Accept-Encoding": "GZIP"},
        "body": "{}",
        "isBase64Encoded": True,
    }
    assert Request.of(event) == Request("POST", "/runs", "a=1", {"accept-encoding": "GZIP"}, "{}", True)
    assert Request.of({"headers": None, "requestContext": None}) == Request("", "")


def test_a_field_that_is_asked_twice_is_no_single_one() -> None:
    asked = Request("GET", "/runs", "limit=1&limit=2")
    with pytest.raises(RequestInvalidError, match="limit"):
        asked.query(ListRuns)
    assert Request("GET", "/runs", "limit=2").query(ListRuns).limit == 2


def test_a_field_without_a_value_is_a_field() -> None:
    with pytest.raises(RequestInvalidError, match="limit"):
        Request("GET", "/runs", "limit=").query(ListRuns)


@pytest.mark.parametrize(("count", "words"), [(MOST_QUERY_FIELDS, "x0"), (MOST_QUERY_FIELDS + 1, "more than 100")])
def test_a_hundred_fields_are_read_and_no_more(count: int, words: str) -> None:
    with pytest.raises(RequestInvalidError, match=words):
        Request("GET", "/runs", "&".join(f"x{number}=1" for number in range(count))).query(ListRuns)


class Named(Shape):
    name: str = "nobody"


def test_a_body_is_read_however_it_comes() -> None:
    packed = base64.b64encode(b'{"name": "ada"}').decode()
    assert Request("POST", "/", raw_body=packed, is_base64=True).document(Named).name == "ada"
    assert Request("POST", "/", raw_body='{"name": "ada"}').document(Named).name == "ada"
    assert Request("POST", "/").document(Named).name == "nobody"
    assert Request("POST", "/", raw_body="\ud800").content() == b"\xed\xa0\x80", "which is no UTF-8, and refused"
    with pytest.raises(RequestInvalidError, match="no base64"):
        Request("POST", "/", raw_body=packed + "!", is_base64=True).document(Named)
