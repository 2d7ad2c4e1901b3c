"""What an address of `ctx.callback_url` answers: a GET asks, since scanners of mail follow links, and a POST decides.

Whoever calls is nobody known: no answer tells more than that there is nothing, that it was used, or that it is too
late.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from html import escape
from typing import Any

from cascade_flow.api import callback_forms
from cascade_flow.api.documents import LARGEST_BODY_BYTES, read_document
from cascade_flow.api.problems import RequestInvalidError, shortened, status_of
from cascade_flow.api.requests import Request, matched
from cascade_flow.api.resources import runtime
from cascade_flow.errors import (
    CascadeFlowError,
    EventClosedError,
    GoneError,
    InputInvalidError,
    PayloadTooLargeError,
    TransientError,
)
from cascade_flow.operations.callbacks import PATH, Callbacks

ROUTES = (f"GET {PATH}/{{runId}}/{{secret}}", f"POST {PATH}/{{runId}}/{{secret}}")
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex",
}
_SAID = {
    404: "There is nothing at this address.",
    409: "This address was used already: the first answer counts.",
    410: "It is too late: nobody waits for this any more.",
    413: "This is too large.",
    500: "Something is wrong on our side: nothing was stored.",
    503: "We are busy: nothing was stored, try again in a moment.",
}
_log = logging.getLogger(__name__)


def answered(event: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a request that API Gateway hands on."""
    wants_page = False
    try:
        request = Request.of(event)
        wants_page = request.method == "GET" or _is_form(request)
        return _answer(request)
    except CascadeFlowError as error:
        status, said = _told(error)
        if status >= 500:
            _log.error("a call from outside: %s", error, exc_info=error)
        return _page(status, "Sorry", said) if wants_page else _json(status, {"detail": said})


def _answer(request: Request) -> dict[str, Any]:
    _, address = matched(request, ROUTES)
    callbacks = Callbacks(runtime())
    asked = callbacks.asked(address["runId"], address["secret"])
    if request.method == "GET":
        return _reply(200, callback_forms.question(asked.event, asked.schema), "text/html; charset=utf-8")
    callbacks.decide(asked, _data(request, asked.schema))
    said = "Thank you: your answer was taken."
    return _page(200, "Thank you", said) if _is_form(request) else _json(200, {"detail": said})


def _data(request: Request, schema: Any) -> Any:
    body = request.content()
    if not _is_form(request):
        return read_document(body) if body else None
    if len(body) > LARGEST_BODY_BYTES:
        raise PayloadTooLargeError
    return callback_forms.said(body.decode("utf-8", "replace"), schema)


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == callback_forms.MEDIA_TYPE


def _told(error: CascadeFlowError) -> tuple[int, str]:
    """The status, and words that tell no more than they must."""
    if isinstance(error, EventClosedError):
        status = 409 if error.facts.get("state") == "sent" else 410
    elif isinstance(error, GoneError):
        status = 404
    elif isinstance(error, TransientError):
        status = 503
    else:
        status = status_of(error)
    if isinstance(error, InputInvalidError | RequestInvalidError):
        return status, shortened("; ".join(f"{issue.path or 'it'}: {issue.message}" for issue in error.issues))
    return status, _SAID.get(status, _SAID[404] if status < 500 else _SAID[500])


def _page(status: int, title: str, said: str) -> dict[str, Any]:
    return _reply(status, callback_forms.page(title, f"<p>{escape(said)}</p>"), "text/html; charset=utf-8")


def _json(status: int, value: Mapping[str, Any]) -> dict[str, Any]:
    return _reply(status, json.dumps(value), "application/json")


def _reply(status: int, body: str, media_type: str) -> dict[str, Any]:
    return {"statusCode": status, "headers": {**_HEADERS, "content-type": media_type}, "body": body}
