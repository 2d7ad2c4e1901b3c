"""Stands before the emulator, and lets in what AWS would let in: signed requests, and nothing that a web page sends.

An ASGI middleware. It runs in the emulator's process, by the emulator's interpreter: of this project it can import
nothing. What it must know of the emulator is handed to it as an `Emulator`, by `boot`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPMessage
from typing import Any
from urllib.parse import parse_qs

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import get_current_datetime
from botocore.credentials import Credentials

ADMIN = "ministack"
"""The service that requests about the emulator itself are signed for."""
SKEW = timedelta(minutes=5)
LONGEST_EXPIRY_S = 7 * 24 * 3600
_TIMESTAMP = "%Y%m%dT%H%M%SZ"
_OPEN = re.compile(r"(GET|HEAD) /_ministack/ready|PUT /_ministack/cfn-response/[0-9a-f-]{36}")
"""Whether it is up; and a custom resource's answer, whose address is the secret, as on AWS."""
_HOST = re.compile(r"(?:(?:[a-z0-9]+\.execute-api\.)?(?:localhost|127\.0\.0\.1)|\[::1\]):(\d+)")
_CALLBACK = re.compile(r"(GET|POST) /callbacks/[^/]+/[^/]+")
"""An address that a step gave away: its secret is all that it takes, as on AWS, and a browser may open it."""
_API = re.compile(r"[a-z0-9]+\.execute-api\..*")
_SIGNATURE_PARAMETERS = {
    *(f"x-amz-{name}" for name in ("algorithm", "credential", "date", "expires", "security-token", "signature")),
    "x-amz-signedheaders",
    "awsaccesskeyid",
}
_UNSIGNED_BODIES = {"UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]
Answer = tuple[int, Mapping[str, str], bytes]


class Refused(Exception):
    """Why a request isn't let in: AWS's code for it, and words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Misplaced(Refused):
    """It comes from where nobody may ask, or to a name that isn't ours: whoever signed it."""


@dataclass(frozen=True)
class Request:
    """A request's head. `path` is decoded; `raw_path` and `query` are as they were sent; headers' names are lower."""

    method: str
    path: str
    raw_path: str
    query: str
    headers: Mapping[str, str]

    @property
    def parameters(self) -> dict[str, list[str]]:
        return parse_qs(self.query, keep_blank_values=True)

    def parameter(self, name: str) -> str:
        return self.parameters.get(name, [""])[0]


@dataclass(frozen=True)
class Claim:
    """A signature, and what it says of itself: by whom, for which service and region, when, over which headers."""

    access_key: str
    token: str
    date: str
    region: str
    service: str
    timestamp: str
    signed_headers: tuple[str, ...]
    signature: str
    expires_s: int | None = None
    """Of a presigned address; None where the header is signed."""

    @property
    def signed_at(self) -> datetime:
        try:
            return datetime.strptime(self.timestamp, _TIMESTAMP).replace(tzinfo=UTC)
        except ValueError as error:
            raise Refused("IncompleteSignature", f"X-Amz-Date must look like 20260131T235959Z: {error}") from error


@dataclass(frozen=True)
class Emulator:
    """What the guard must know of what it stands before.

    `secret` is that of an access key and session token, for a service; None where they are nobody's. `accepts` says
    whether the emulator would take the request for this service's. `refusal` is the answer in the service's own format.
    """

    port: int
    region: str
    secret: Callable[[Claim], str | None]
    accepts: Callable[[Request, str], bool]
    refusal: Callable[[Request, Refused], Answer]


def guarded(app: App, emulator: Emulator) -> App:
    """The application behind the guard."""

    async def guard(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _let_in(app, emulator, scope, receive, send)

    return guard


def check(request: Request, body: bytes, emulator: Emulator, *, now: datetime | None = None) -> None:
    """Raise Refused unless AWS would let this request in: see `claimed`, and then whether the signature is right."""
    claim = claimed(request)
    _check_time(claim, now or get_current_datetime(remove_tzinfo=False))
    if claim.region != emulator.region:
        raise Refused("SignatureDoesNotMatch", f"Credential should be scoped to the region {emulator.region!r}.")
    secret = emulator.secret(claim)
    if secret is None:
        raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.")
    expected = _signature(request, claim, secret, _payload_hash(request, claim, body))
    if not hmac.compare_digest(expected.encode(), claim.signature.encode()):
        raise Refused("SignatureDoesNotMatch", "The request signature we calculated is not the one you provided.")
    if not emulator.accepts(request, claim.service):
        raise Refused("SignatureDoesNotMatch", f"Credential is scoped to the wrong service: {claim.service!r}.")


def check_place(request: Request, port: int) -> None:
    """Raise Misplaced for what a browser sends, and for a name that isn't this machine's: it may have been rebound."""
    fetched_for = request.headers.get("sec-fetch-site", "none")
    if not is_callback(request) and ("origin" in request.headers or fetched_for != "none"):
        raise Misplaced("AccessDenied", "The local stack answers no web page.")
    host = _HOST.fullmatch(request.headers.get("host", ""))
    if host is None or int(host[1]) != port:
        raise Misplaced("AccessDenied", f"The local stack is addressed as 127.0.0.1:{port} or localhost:{port}.")


def is_callback(request: Request) -> bool:
    """Whether it calls an address that a step gave away: what else bears the name needs a signature."""
    host = request.headers.get("host", "")
    return bool(_API.fullmatch(host) and _CALLBACK.fullmatch(f"{request.method} {request.path}"))


def claimed(request: Request) -> Claim:
    """The signature in the header or the address. Raises Refused where there is none, or it is incomplete."""
    authorization = request.headers.get("authorization", "")
    claim = _claimed_by_header(request, authorization) if authorization else _claimed_by_address(request)
    obliged = {name for name in request.headers if name == "host" or name.startswith("x-amz-")}
    if unsigned := obliged - set(claim.signed_headers):
        raise Refused("SignatureDoesNotMatch", f"These headers must be signed too: {', '.join(sorted(unsigned))}.")
    if claim.timestamp[:8] != claim.date:
        raise Refused("SignatureDoesNotMatch", "The date in Credential isn't that of X-Amz-Date.")
    return claim


async def _let_in(app: App, emulator: Emulator, scope: dict[str, Any], receive: Receive, send: Send) -> None:
    request = _request(scope)
    try:
        check_place(request, emulator.port)
        if not _OPEN.fullmatch(f"{request.method} {request.path}") and not is_callback(request):
            claimed(request)
            body = await _body(receive)
            check(request, body, emulator)
            receive = _again(body, receive)
    except Refused as refused:
        await _answer(request, send, emulator.refusal(request, refused))
        return
    await app(scope, receive, _closed_to_pages(send))


def _request(scope: Mapping[str, Any]) -> Request:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), _text(value)
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    raw_path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    return Request(scope["method"], scope["path"], raw_path, scope["query_string"].decode("latin-1"), headers)


def _text(value: bytes) -> str:
    """A header's value as clients sign it: as UTF-8, where it is that."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _claimed_by_header(request: Request, authorization: str) -> Claim:
    algorithm, _, rest = authorization.partition(" ")
    pairs = [part.strip().partition("=") for part in rest.split(",")]
    if len(pairs) != 3 or _signature_parameters(request):
        raise Refused("IncompleteSignature", "A request has one signature: Credential, SignedHeaders, Signature.")
    parts = {name: value for name, _, value in pairs} | {"Date": request.headers.get("x-amz-date", "")}
    return _claim(algorithm, parts, request.headers.get("x-amz-security-token", ""))


def _claimed_by_address(request: Request) -> Claim:
    names = ("Credential", "Date", "SignedHeaders", "Signature")
    parts = {name: request.parameter(f"X-Amz-{name}") for name in names}
    given = _signature_parameters(request)
    if "awsaccesskeyid" in given:
        raise Refused("InvalidRequest", "Sign with Version 4; in boto3: Config(signature_version='s3v4').")
    if not given:
        raise Refused("MissingAuthenticationToken", "Missing Authentication Token")
    expires = request.parameter("X-Amz-Expires")
    if not expires.isdecimal() or not 1 <= int(expires) <= LONGEST_EXPIRY_S or len(given) != len(set(given)):
        raise Refused("AuthorizationQueryParametersError", f"X-Amz-Expires must be from 1 to {LONGEST_EXPIRY_S}, once.")
    token = request.parameter("X-Amz-Security-Token")
    return _claim(request.parameter("X-Amz-Algorithm"), parts, token, expires_s=int(expires))


def _signature_parameters(request: Request) -> list[str]:
    """The query's parameters that say who signs, in whatever letters: once each, or two readers see two signers."""
    names = [name.lower() for name, values in request.parameters.items() for _ in values]
    return [name for name in names if name in _SIGNATURE_PARAMETERS]


def _claim(algorithm: str, parts: Mapping[str, str], token: str, expires_s: int | None = None) -> Claim:
    scope = parts.get("Credential", "").split("/")
    missing = [name for name in ("Credential", "Date", "SignedHeaders", "Signature") if not parts.get(name)]
    if algorithm != "AWS4-HMAC-SHA256" or missing or len(scope) != 5 or scope[4] != "aws4_request":
        raise Refused("IncompleteSignature", "Requests are signed by Signature Version 4 (AWS4-HMAC-SHA256).")
    access_key, date, region, service, _ = scope
    signed = tuple(parts["SignedHeaders"].split(";"))
    return Claim(access_key, token, date, region, service, parts["Date"], signed, parts["Signature"], expires_s)


def _check_time(claim: Claim, now: datetime) -> None:
    if claim.signed_at > now + SKEW:
        raise Refused("RequestTimeTooSkewed", f"Signature not yet current: {claim.timestamp} is in the future.")
    lives = SKEW if claim.expires_s is None else timedelta(seconds=claim.expires_s)
    if now > claim.signed_at + lives:
        raise Refused("RequestTimeTooSkewed", f"Signature expired: {claim.timestamp} was too long ago.")


def _payload_hash(request: Request, claim: Claim, body: bytes) -> str:
    """What was signed for the body, which must be of this one; S3 may leave its body out."""
    is_s3, presigned = claim.service == "s3", claim.expires_s is not None
    stated = request.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD" if is_s3 and presigned else "")
    if is_s3 and stated in _UNSIGNED_BODIES:
        return stated
    actual = hashlib.sha256(body).hexdigest()
    if stated not in ("", actual):
        raise Refused("SignatureDoesNotMatch", "x-amz-content-sha256 isn't the hash of the body.")
    return actual


def _signature(request: Request, claim: Claim, secret: str, payload_hash: str) -> str:
    """The signature that this secret gives to what was signed."""
    pairs = [pair for pair in request.query.split("&") if pair.partition("=")[0] != "X-Amz-Signature"]
    url = f"http://{request.headers['host']}{request.raw_path}{'?' if request.query else ''}{'&'.join(pairs)}"
    signed = {name: request.headers.get(name, "") for name in claim.signed_headers}
    again = AWSRequest(request.method, url, headers=signed)
    again.context["timestamp"] = claim.timestamp
    signer = (_S3Signer if claim.service == "s3" else _Signer)(claim, secret, payload_hash)
    return str(signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again))


class _Signer(SigV4Auth):
    """botocore's signer, for the headers and the body that somebody else has chosen to sign."""

    def __init__(self, claim: Claim, secret: str, payload_hash: str) -> None:
        super().__init__(Credentials(claim.access_key, secret), claim.service, claim.region)
        self.payload_hash = payload_hash

    def headers_to_sign(self, request: Any) -> HTTPMessage:
        headers = HTTPMessage()
        for name, value in request.headers.items():
            headers[name] = value
        return headers

    def payload(self, request: Any) -> str:
        return self.payload_hash


class _S3Signer(_Signer, S3SigV4Auth):
    """The same for S3, which takes paths as they are."""


async def _body(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Give the body once more to who comes next."""
    kept: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> dict[str, Any]:
        return kept.pop() if kept else await receive()

    return received


def _closed_to_pages(send: Send) -> Send:
    """Leave out what would tell a browser that a web page may read the answer."""

    async def sent(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kept = [each for each in message["headers"] if not each[0].lower().startswith(b"access-control-")]
            message = {**message, "headers": kept}
        await send(message)

    return sent


async def _answer(request: Request, send: Send, answer: Answer) -> None:
    status, headers, body = answer
    kept = {name.lower(): value for name, value in headers.items()} | {"content-length": str(len(body))}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in kept.items()]
    await _closed_to_pages(send)({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})
