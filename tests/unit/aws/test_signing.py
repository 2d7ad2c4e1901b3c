"""Signatures of the services that are asked most, held against botocore's own signer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, strategies as st

from cascade_flow import clock
from cascade_flow.signing import StaticKeys, digest, presigned, signed

_TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
_TIMES = st.integers(1_600_000_000, 2_500_000_000)
_KEYS = st.builds(StaticKeys, _TEXTS, _TEXTS, st.none() | _TEXTS)


@given(_KEYS, _TIMES, st.binary(max_size=50), st.sampled_from(["dynamodb", "sqs"]), _TEXTS)
def test_json(keys: StaticKeys, now_s: int, body: bytes, service: str, target: str) -> None:
    headers = {"content-type": "application/x-amz-json-1.0", "host": "a.invalid", "x-amz-target": target}
    told = _signed(now_s, "POST", "https://a.invalid/", headers, body, keys=keys, region="eu-west-1", service=service)
    signer = SigV4Auth(_theirs(keys), service, "eu-west-1")
    assert told == _by_botocore(signer, now_s, "POST", "https://a.invalid/", headers, body)


@given(_KEYS, _TIMES, st.binary(max_size=50), st.sampled_from(["PUT", "GET"]))
def test_objects(keys: StaticKeys, now_s: int, body: bytes, method: str) -> None:
    url = f"https://bucket.s3.eu-west-1.amazonaws.com/payloads/{digest(body)}"
    headers = {"host": "bucket.s3.eu-west-1.amazonaws.com", "x-amz-content-sha256": digest(body)}
    told = _signed(now_s, method, url, headers, body, keys=keys, region="eu-west-1", service="s3")
    assert told == _by_botocore(S3SigV4Auth(_theirs(keys), "s3", "eu-west-1"), now_s, method, url, headers, body)


@given(_KEYS, _TIMES, st.integers(1, 604_800), st.sampled_from(["b.s3.eu-west-1.amazonaws.com", "localhost:4566"]))
def test_addresses(keys: StaticKeys, now_s: int, expires_s: int, host: str) -> None:
    url = f"https://{host}/payloads/{digest(b'')}"
    with clock.use(clock.SteppingClock(now_s * 1_000_000)):
        told = presigned(url, keys=keys, region="eu-west-1", expires_s=expires_s)
    request = AWSRequest("GET", url)
    with patch("botocore.auth.get_current_datetime", lambda: datetime.fromtimestamp(now_s, UTC)):
        S3SigV4QueryAuth(_theirs(keys), "s3", "eu-west-1", expires=expires_s).add_auth(request)
    ours, theirs = urlsplit(told), urlsplit(str(request.url))
    assert (ours.netloc, ours.path, parse_qs(ours.query)) == (theirs.netloc, theirs.path, parse_qs(theirs.query))


def _signed(now_s: int, *request: Any, **how: Any) -> str:
    with clock.use(clock.SteppingClock(now_s * 1_000_000)):
        return signed(*request, **how)["authorization"]


def _theirs(keys: StaticKeys) -> Credentials:
    return Credentials(keys.access_key, keys.secret_key, keys.token)


def _by_botocore(signer: Any, now_s: int, method: str, url: str, headers: dict[str, str], body: bytes) -> str:
    request = AWSRequest(method, url, headers=dict(headers), data=body)
    request.context["payload_signing_enabled"] = True
    with patch("botocore.auth.get_current_datetime", lambda: datetime.fromtimestamp(now_s, UTC)):
        signer.add_auth(request)
    return str(request.headers["Authorization"])
