"""Requests as they arrive are signed as AWS says: held against botocore's signer, and against the document's words.

`expected_signature` reads nothing but the request line and headers that came over the socket, and follows "Create a
signed AWS API request" of the IAM user guide; AWS's own example tells that it does.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import unquote_to_bytes

import boto3
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from cascade_flow.client import Client
from cascade_flow.errors import InvalidIdError
from functions.front_door import KEY, SECRET, Gateway, is_signed, serving

ODD = st.lists(st.sampled_from([*"ab+%/~ =&?#;,.:'\"\\é✓\u0301\U0001f680", "%20", "%2F"]), max_size=8).map("".join)
TEXTS = ODD | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
NO_PARTS = ("", ".", "..")
UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


def encoded(octets: bytes, *, also: bytes = b"") -> str:
    """UriEncode of the document: every byte but the unreserved ones as %XY."""
    return "".join(chr(octet) if octet in UNRESERVED + also else f"%{octet:02X}" for octet in octets)


def expected_signature(
    method: str, target: str, headers: Mapping[str, str], body: bytes, *, secret: str, encode_path: bool = True
) -> str:
    """The signature that whoever has the secret gives a request which arrived like this."""
    path, _, query = target.partition("?")
    pairs = [part.partition("=")[::2] for part in query.split("&") if part]
    decoded = sorted((encoded(unquote_to_bytes(name)), encoded(unquote_to_bytes(value))) for name, value in pairs)
    said = headers["authorization"]
    names = said.partition("SignedHeaders=")[2].partition(",")[0]
    canonical = "\n".join(
        [
            method,
            encoded(path.encode(), also=b"/") if encode_path else path,
            "&".join(f"{name}={value}" for name, value in decoded),
            *(f"{name}:{headers[name].strip()}" for name in names.split(";")),
            "",
            names,
            sha256(body).hexdigest(),
        ]
    )
    scope = said.partition("Credential=")[2].partition(",")[0].split("/", 1)[1]
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    words = ["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, sha256(canonical.encode()).hexdigest()]
    return hmac.digest(key, "\n".join(words).encode(), "sha256").hex()


def test_the_verifier_knows_the_example_of_aws() -> None:
    headers = {
        "host": "example.amazonaws.com",
        "x-amz-date": "20150830T123600Z",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=...",
    }
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    signature = expected_signature("GET", "/", headers, b"", secret=secret)
    assert signature == "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"


class Verifying(Gateway):
    """Takes any request, and says what is wrong with its signature."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        self.requests.append((method, target))
        signature = expected_signature(method, target, headers, body, secret=SECRET)
        if not headers["authorization"].endswith(f"Signature={signature}"):
            self.faults.append(f"not as the document says: {target}")
        if not is_signed(method, target, headers, body):
            self.faults.append(f"not as botocore signs it: {target}")
        if "+" in target:
            self.faults.append(f"a plus, which some read as a space: {target}")
        said = '{"runs": [], "events": [], "run": {}, "runId": "r"}'
        return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": said}


@pytest.fixture(scope="module")
def verifying() -> Iterator[tuple[Verifying, Client]]:
    gateway = Verifying()
    with serving(gateway) as url, Client(url, session=boto3.Session(KEY, SECRET)) as client:
        yield gateway, client


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tags=st.lists(TEXTS, max_size=4), id=TEXTS.filter(lambda id: id not in NO_PARTS), text=TEXTS)
def test_whatever_is_asked_for_is_signed_as_it_is_sent(
    verifying: tuple[Verifying, Client], tags: list[str], id: str, text: str
) -> None:
    gateway, client = verifying
    gateway.faults.clear()
    client.runs(workflow_slug=text, tags=tags, cursor=text, limit=3)
    client.run(id)
    client.events(id, step_id=text, types=tags)
    client.submit(id, input={"text": tags}, idempotency_key=text or None)
    assert gateway.faults == []


@pytest.mark.parametrize("tag", ["a b", "a+b", "50%", "a/b", "ünïcode", "~", "", "a&b=c", "%20"])
def test_a_tag_arrives_as_it_was_given(verifying: tuple[Verifying, Client], tag: str) -> None:
    gateway, client = verifying
    gateway.faults.clear()
    client.runs(tags=[tag, tag])
    _, target = gateway.requests[-1]
    sent = [unquote_to_bytes(part.partition("=")[2]).decode() for part in target.partition("?")[2].split("&")]
    assert (sent, gateway.faults) == ([tag, tag], [])


@pytest.mark.parametrize("id", NO_PARTS)
def test_an_id_that_no_path_can_hold_is_refused_before_it_is_sent(verifying: tuple[Verifying, Client], id: str) -> None:
    gateway, client = verifying
    gateway.requests.clear()
    for ask in (client.run, client.events, client.logs, client.cancel, client.workflow):
        with pytest.raises(InvalidIdError):
            ask(id)
    assert gateway.requests == []
