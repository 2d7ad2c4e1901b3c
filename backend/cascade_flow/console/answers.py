"""What comes in and what goes out, without a socket: a request, an answer, and a refusal as a problem document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"
PROBLEM = "application/problem+json"
_TYPE_PREFIX = "urn:cascade-flow:problem:"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
GUARDED = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""What every answer tells the browser: nothing inline, nothing from elsewhere, nobody's frame."""


@dataclass(frozen=True)
class Request:
    """Names of headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


@dataclass(frozen=True)
class Answer:
    """`headers` are what it says beside those that every answer has."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=lambda: {"cache-control": "no-store"})


def document(value: Any) -> Answer:
    """An answer that holds this value."""
    return Answer(200, json.dumps(value, ensure_ascii=False).encode())


def problem(status: int, code: str, detail: str, **headers: str) -> Answer:
    """A refusal, in the form of the API's."""
    told: dict[str, Any] = {"type": f"{_TYPE_PREFIX}{code}", "title": code.replace("-", " ").capitalize()}
    told |= {"status": status, "code": code, "detail": detail, "requestId": "console"}
    return Answer(status, json.dumps(told).encode(), PROBLEM, {"cache-control": "no-store", **headers})
