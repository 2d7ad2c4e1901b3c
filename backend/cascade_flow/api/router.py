"""The way in and out of every HTTP function: a request comes in, one of its routes answers, or a problem does.

API Gateway routes to a function; the router routes within it. Powertools' resolver would do that too, but knows no ids
with slashes in them and no 405, and its import costs each cold start a tenth. This is one of the few places that
catch whatever is raised: what is no CascadeFlowError is a mistake of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from cascade_flow.api.answers import Answer, problem_answer
from cascade_flow.api.problems import headers_of, internal_problem, problem, status_of
from cascade_flow.api.requests import Request, matched
from cascade_flow.api.resources import measured
from cascade_flow.api.routes import Route
from cascade_flow.errors import CascadeFlowError
from cascade_flow.records import replace

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from cascade_flow.api.replies import Problem

Handler = Callable[[dict[str, Any], "LambdaContext"], dict[str, Any]]

log = Logger(service="cascade_flow")
_KEYS = {"runId": "run_id", "stepId": "step"}
"""What the log says of a request, by the names that the worker's lines have too."""


def router(*routes: Route) -> Handler:
    """A function's handler, for these routes."""
    by_name = {route.name: route for route in routes}

    @log.inject_lambda_context(clear_state=True)
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        gateway = event.get("requestContext") or {}
        request_id = str(gateway.get("requestId") or context.aws_request_id)
        log.set_correlation_id(request_id)
        with measured():
            return _answer(event, by_name, request_id)

    return handler


def _answer(event: Mapping[str, Any], routes: Mapping[str, Route], request_id: str) -> dict[str, Any]:
    accepts_gzip = False
    try:
        request = Request.of(event)
        accepts_gzip = "gzip" in request.headers.get("accept-encoding", "")
        name, parameters = matched(request, routes)
        log.append_keys(**{_KEYS[name]: value for name, value in parameters.items() if name in _KEYS})
        answer = routes[name].answer(replace(request, parameters=parameters))
        return answer.to_event(accepts_gzip=accepts_gzip)
    except CascadeFlowError as error:
        return _problem(error, request_id).to_event(accepts_gzip=accepts_gzip)
    except Exception:
        log.exception("a mistake of ours")
        return problem_answer(internal_problem(request_id=request_id)).to_event(accepts_gzip=accepts_gzip)


def _problem(error: CascadeFlowError, request_id: str) -> Answer[Problem]:
    if status_of(error) >= 500:
        log.error("%s: %s", error.code, error, exc_info=error)
    return problem_answer(problem(error, request_id=request_id), headers_of(error))
