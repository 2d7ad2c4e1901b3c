"""What an answer says: a JSON object, or an error; also where it isn't the API that answered."""

from __future__ import annotations

import json

import urllib3

from cascade_flow.client.asking import Json
from cascade_flow.errors import (
    BackendUnavailableError,
    CascadeFlowError,
    ConfigurationError,
    PayloadLostError,
    ThrottledError,
)


def value_of(answer: urllib3.BaseHTTPResponse, url: str) -> Json:
    """The object that is answered. Raises what a problem tells of, or the status."""
    value = {} if answer.status == 204 else _json(answer)
    if value is None or not 200 <= answer.status < 300:
        raise _problem(answer, value, url)
    return value


def _problem(answer: urllib3.BaseHTTPResponse, value: Json | None, url: str) -> CascadeFlowError:
    """The error that an answer tells of."""
    from cascade_flow.api.problems import MEDIA_TYPE, raised  # noqa: PLC0415  (most answers are none)

    if value is not None and answer.headers.get("content-type", "").startswith(MEDIA_TYPE):
        return raised(value)
    text = answer.data.decode("utf-8", "replace")
    said = f"{url} answered {answer.status} ({text[:200].strip() or 'nothing'})"
    if answer.status == 403:
        return ConfigurationError(f"{said}: your AWS credentials may not call it; they need execute-api:Invoke")
    if answer.status == 429:
        return ThrottledError(f"{said}: too many requests; send it again, later")
    if answer.status >= 500:
        return BackendUnavailableError(f"{said}: send it again, later")
    return ConfigurationError(f"{said}: this is no cascade-flow API, or one of another version; check the address")


def refused_by_s3(answer: urllib3.BaseHTTPResponse) -> CascadeFlowError:
    """The error that S3 tells of; to who may not list the bucket it tells that a missing object is denied."""
    said = answer.data.decode("utf-8", "replace")
    if answer.status == 404 or "s3:ListBucket" in said:
        return PayloadLostError()
    if answer.status >= 500:
        return BackendUnavailableError(f"S3 answered {answer.status}: send it again, later")
    cure = "ask for a new address, or grant the function's role s3:GetObject"
    return ConfigurationError(f"S3 answered {answer.status} ({said[:200]}): {cure}")


def _json(answer: urllib3.BaseHTTPResponse) -> Json | None:
    try:
        value = json.loads(answer.data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
