"""Answers as API Gateway takes them: JSON, packed where the caller allows it, never larger than a function may give."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cascade_flow.api.problems import MEDIA_TYPE, AnswerTooLargeError
from cascade_flow.records import dataclass

if TYPE_CHECKING:
    from cascade_flow.api.replies import Problem

ValueT_co = TypeVar("ValueT_co", covariant=True)

LARGEST_ANSWER_BYTES = 5_900_000
"""What Lambda hands on is 6 MB, the answer's frame included."""
PACKED_FROM_BYTES = 16_384

_ALWAYS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


@dataclass(frozen=True)
class Answer(Generic[ValueT_co]):
    """A status and a JSON value; None is no body."""

    status: int
    value: ValueT_co | None = None
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_event(self, *, accepts_gzip: bool) -> dict[str, Any]:
        """The answer for API Gateway. Raises AnswerTooLargeError."""
        if self.value is None:
            return {"statusCode": self.status, "headers": {**_ALWAYS, **self.headers}, "body": ""}
        text = json.dumps(self.value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        headers = {**_ALWAYS, **self.headers, "content-type": self.media_type, "vary": "accept-encoding"}
        if accepts_gzip and len(text) >= PACKED_FROM_BYTES:
            packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
            headers["content-encoding"] = "gzip"
            return _sendable({"statusCode": self.status, "headers": headers, "body": packed, "isBase64Encoded": True})
        return _sendable({"statusCode": self.status, "headers": headers, "body": text})


def ok(value: ValueT_co) -> Answer[ValueT_co]:  # type: ignore[misc]
    return Answer(200, value)


def problem_answer(document: Problem, headers: Mapping[str, str] | None = None) -> Answer[Problem]:
    """The answer that a problem document is."""
    return Answer(document["status"], document, MEDIA_TYPE, headers or {})


def _sendable(event: dict[str, Any]) -> dict[str, Any]:
    """The text is quoted once more on its way out of the function, which counts."""
    text = event["body"]
    size = len(text) if len(text) * 6 <= LARGEST_ANSWER_BYTES else len(json.dumps(text, ensure_ascii=False).encode())
    if size > LARGEST_ANSWER_BYTES:
        raise AnswerTooLargeError(bytes=size, limit=LARGEST_ANSWER_BYTES)
    return event
