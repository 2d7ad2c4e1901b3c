"""What schemathesis loads, in its own environment (requirements/fuzz.in): each of its requests is signed."""

from __future__ import annotations

import os
from typing import Any

import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_SIGNATURE = ("Authorization", "X-Amz-Date")


class Signed:
    """Signs what is sent, as it is sent."""

    def __call__(self, request: Any) -> Any:
        credentials = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        signed = AWSRequest(request.method, request.url, data=body)
        SigV4Auth(credentials, "execute-api", os.environ["AWS_REGION"]).add_auth(signed)
        request.headers.update({name: signed.headers[name] for name in _SIGNATURE})
        return request


def filter_query(context: Any, query: dict[str, Any] | None) -> bool:
    """Whether the address says all of it: an empty list is no parameter at all, so nothing forbidden would be asked."""
    return all(_is_said(name, value) for name, value in (query or {}).items())


def _is_said(name: str, value: Any) -> bool:
    return "?" in str(requests.Request("GET", "http://host", params={name: value}).prepare().url)


schemathesis.auth.set_from_requests(Signed())
schemathesis.hook(filter_query)
