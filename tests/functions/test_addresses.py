"""Requests as HTTP APIs address them: paths decoded once, ids with slashes, stages, custom domains with a base path."""

from __future__ import annotations

import json
from typing import Any

import pytest

import events
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.router import router
from cascade_flow.api.routes import route
from cascade_flow.api.shapes import Shape
from events.deployed import app


class Anything(Shape):
    """The parameters of any path."""

    run_id: str | None = None
    step_id: str | None = None


@route("GET /runs/{runId}")
def run(address: Anything) -> Answer[Any]:
    return told("run", address)


@route("GET /runs")
def runs(address: Anything) -> Answer[Any]:
    return told("runs", address)


@route("POST /runs/{runId}/steps/{stepId+}/heartbeat")
def beat(address: Anything) -> Answer[Any]:
    return told("beat", address)


def told(name: str, address: Anything) -> Answer[Any]:
    return ok((name, address.model_dump(by_alias=True, exclude_none=True)))


def seen(event: events.Event) -> tuple[int, Any]:
    """Which route takes an event, and with which parameters; or the problem's code."""
    answer = router(run, runs, beat)(event, events.Context())  # type: ignore[arg-type]
    said = json.loads(answer["body"])
    return answer["statusCode"], tuple(said) if answer["statusCode"] == 200 else said["code"]


def addressed(route: str, raw_path: str, parameters: dict[str, str] | None, *, stage: str = "$default") -> events.Event:
    """An event as AWS documents it: `rawPath` holds what stands before the route, too."""
    event = events.load("http_api_get")
    context = {**event["requestContext"], "stage": stage, "routeKey": route}
    context["http"] = {**context["http"], "method": route.partition(" ")[0], "path": raw_path}
    named = {"routeKey": route, "rawPath": raw_path, "rawQueryString": "", "pathParameters": parameters}
    return {**event, **named, "requestContext": context}


@pytest.mark.parametrize(
    ("raw_path", "stage"),
    [
        ("/runs/r-1", "$default"),
        ("/v1/runs/r-1", "$default"),
        ("/a/b/runs/r-1", "$default"),
        ("/prod/runs/r-1", "prod"),
    ],
    ids=["plain", "a domain's base path", "one of two parts", "a stage"],
)
def test_the_route_says_what_is_asked_for_whatever_stands_before_it(raw_path: str, stage: str) -> None:
    event = addressed("GET /runs/{runId}", raw_path, {"runId": "r-1"}, stage=stage)
    assert seen(event) == (200, ("run", {"runId": "r-1"}))


def test_a_base_path_that_reads_like_a_route_is_none() -> None:
    assert seen(addressed("GET /runs", "/runs/runs", None)) == (200, ("runs", {}))
    event = addressed("GET /runs/{runId}", "/runs/runs/runs", {"runId": "runs"})
    assert seen(event) == (200, ("run", {"runId": "runs"}))


@pytest.mark.parametrize("id", ["a/b", "a b", "a%2Fb", "a%25b", "100%", "a+b", "a?b#c", "ünïcode", "~", "%"])
def test_what_the_gateway_has_decoded_is_not_decoded_again(id: str) -> None:
    assert seen(addressed("GET /runs/{runId}", f"/runs/{id}", {"runId": id})) == (200, ("run", {"runId": id}))
    assert seen(_default(id)) == (404, "route-not-found") if "/" in id else (200, ("run", {"runId": id}))


def _default(id: str) -> events.Event:
    """A request that came by no route of its own."""
    return {**addressed("GET /x", f"/runs/{id}", None), "routeKey": "$default"}


@pytest.mark.parametrize("step", ["weigh", "price/post", "a/b/heartbeat", "a%2Fb", "a b"])
def test_steps_keep_their_slashes(step: str) -> None:
    greedy = f"{step}/heartbeat"
    parameters = {"runId": "r-1", "proxy": greedy}
    event = addressed("POST /runs/{runId}/steps/{proxy+}", f"/runs/r-1/steps/{greedy}", parameters)
    assert seen(event) == (200, ("beat", {"runId": "r-1", "stepId": step}))


@pytest.mark.parametrize("id", ["a%2Fb", "a/b", "a%20b", "%41"])
def test_an_id_that_is_none_is_refused_and_never_read_as_another(id: str) -> None:
    event = addressed("GET /runs/{runId}", f"/runs/{id}", {"runId": id})
    answer = app("query").handler(event, events.Context())
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (400, "request-invalid")


def test_an_event_without_a_route_is_a_request_for_nothing() -> None:
    assert seen({}) == (404, "route-not-found")
    assert seen({"rawPath": "/runs", "requestContext": {"http": {"method": "PUT"}}}) == (405, "method-not-allowed")
