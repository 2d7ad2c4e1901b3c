"""Who the local stack lets in: everything that AWS's own signer signs, and nothing that differs from it in a point."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.compat import get_current_datetime
from botocore.credentials import Credentials

from cascade_flow.local.guard import SKEW, Claim, Emulator, Misplaced, Refused, Request, check, check_place, guarded

PORT, REGION, HOST = 4566, "us-east-1", "127.0.0.1:4566"
OWNER, FUNCTION = Credentials("LOCALOWNER", "s3cret"), Credentials("ASIAFUNCTION", "other", "token")
KEYS = {(each.access_key, each.token or ""): each.secret_key for each in (OWNER, FUNCTION)}
BODY = b'{"a": 1}'
SECOND = timedelta(seconds=1)


def _secret(claim: Claim) -> str | None:
    return KEYS.get((claim.access_key, claim.token))


def _accepts(request: Request, service: str) -> bool:
    return service == ("s3" if request.path.startswith("/bucket") else "execute-api")


def _refusal(_: Request, refused: Refused) -> tuple[int, Mapping[str, str], bytes]:
    return 403, {"Access-Control-Allow-Origin": "*"}, refused.code.encode()


EMULATOR = Emulator(PORT, REGION, _secret, _accepts, _refusal)


def signed(
    method: str = "POST",
    target: str = "/api/runs/group%2Fstep?status=b&status=a&tag=x%20y",
    body: bytes = BODY,
    *,
    by: Credentials = OWNER,
    region: str = REGION,
    signer: type[SigV4Auth] = SigV4Auth,
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> Request:
    """A request that botocore has signed, as it arrives."""
    service = "s3" if target.startswith("/bucket") else options.pop("service", "execute-api")
    made = AWSRequest(method, f"http://{HOST}{target}", data=body, headers=dict(headers or {}))
    signer(by, service, region, **options).add_auth(made)
    path, _, query = str(made.url).removeprefix(f"http://{HOST}").partition("?")
    sent = {name.lower(): value for name, value in made.headers.items()} | {"host": HOST}
    return Request(method, path.replace("%2F", "/"), path, query, sent)


def presigned(target: str = "/api/runs", *, expires: int = 60, **options: Any) -> Request:
    return signed("GET", target, b"", signer=SigV4QueryAuth, expires=expires, **options)


class TestSigned:
    @pytest.mark.parametrize("by", [OWNER, FUNCTION], ids=["owner", "function"])
    def test_what_is_signed_is_let_in(self, by: Credentials) -> None:
        check(signed(by=by), BODY, EMULATOR)
        check(presigned(by=by), b"", EMULATOR)

    @pytest.mark.parametrize("target", ["/", "/a//b/../c", "/a%20b/~c", "/x?empty&also=&z=%2B", "/%C3%BC"])
    def test_however_its_address_is_written(self, target: str) -> None:
        check(signed("GET", f"/{target.lstrip('/')}", b""), b"", EMULATOR)

    def test_s3_takes_paths_as_they_are_and_may_leave_its_body_out(self) -> None:
        check(signed("PUT", "/bucket/a//b%20c", signer=S3SigV4Auth), BODY, EMULATOR)
        unsigned = {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
        check(signed("PUT", "/bucket/a", signer=SigV4Auth, headers=unsigned), BODY, EMULATOR)
        got = signed("GET", "/bucket/a", b"", signer=S3SigV4QueryAuth, expires=60)
        check(got, b"whatever", EMULATOR)

    def test_headers_are_signed_with_their_letters(self) -> None:
        headers = {"X-Amz-Meta-Name": "a   b", "User-Agent": "me"}
        check(signed(headers=headers), BODY, EMULATOR)


def _with(**changes: str) -> Callable[[Request], Request]:
    return lambda request: replace(request, **changes)  # type: ignore[arg-type]


def _header(name: str, change: Callable[[str], str]) -> Callable[[Request], Request]:
    return lambda request: replace(request, headers={**request.headers, name: change(request.headers.get(name, ""))})


CHANGES: dict[str, Callable[[Request], Request]] = {
    "the method": _with(method="DELETE"),
    "the path": _with(raw_path="/api/runs/other"),
    "how the path is written": _with(raw_path="/api/runs/group/step"),
    "the query": _with(query="status=a"),
    "one more in the query": lambda request: replace(request, query=request.query + "&limit=1"),
    "the host": _header("host", lambda _: "localhost:4566"),
    "the signature": _header("authorization", lambda text: text[:-1] + ("0" if text[-1] != "0" else "1")),
    "a signature that is no text": _header("authorization", lambda text: text[:-1] + "é"),
    "the service in the scope": _header("authorization", lambda text: text.replace("execute-api", "sqs")),
    "the region in the scope": _header("authorization", lambda text: text.replace(REGION, "eu-west-1")),
    "the algorithm": _header("authorization", lambda text: text.replace("HMAC-SHA256", "ECDSA-P256-SHA256")),
    "whose it is": _header("authorization", lambda text: text.replace("LOCALOWNER", "ASIAFUNCTION")),
    "the time": _header("x-amz-date", lambda text: text[:-2] + ("1Z" if text[-2] != "1" else "2Z")),
    "a time that is none": _header("x-amz-date", lambda text: text[:8]),
    "a header that isn't signed": _header("x-amz-copy-source", lambda _: "/bucket/a"),
    "a token that isn't its own": _header("x-amz-security-token", lambda _: "token"),
    "no signed headers": _header("authorization", lambda text: text.replace("SignedHeaders=", "Headers=")),
    "no host among them": _header("authorization", lambda text: text.replace("host;", "")),
    "two signers": _header(
        "authorization", lambda text: text.replace(" Credential=", " Credential=root/a/b/c/d, Credential=")
    ),
    "commas": _header("authorization", lambda _: "AWS4-HMAC-SHA256 ,=,"),
    "nothing at all": _header("authorization", lambda _: ""),
    "a word": _header("authorization", lambda _: "Bearer abc"),
}


class TestRefused:
    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_what_was_changed_under_way(self, change: Callable[[Request], Request]) -> None:
        request = signed()
        check(request, BODY, EMULATOR)
        with pytest.raises(Refused):
            check(change(request), BODY, EMULATOR)

    @pytest.mark.parametrize("name", ["X-Amz-Credential", "x-amz-credential", "AWSAccessKeyId", "X-Amz-Security-Token"])
    def test_who_names_another_signer_under_a_good_signature(self, name: str) -> None:
        with pytest.raises(Refused, match="one signature"):
            check(signed(target=f"/api/runs?{name}=root"), BODY, EMULATOR)

    def test_another_body(self) -> None:
        with pytest.raises(Refused, match="signature"):
            check(signed(), b'{"a": 2}', EMULATOR)

    @pytest.mark.parametrize("stated", ["UNSIGNED-PAYLOAD", "0" * 64, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"])
    def test_a_body_that_is_left_out(self, stated: str) -> None:
        with pytest.raises(Refused, match="hash of the body"):
            check(signed(headers={"X-Amz-Content-SHA256": stated}), BODY, EMULATOR)

    def test_a_body_of_s3_that_is_not_the_stated_one(self) -> None:
        with pytest.raises(Refused, match="hash of the body"):
            check(signed("PUT", "/bucket/a", signer=S3SigV4Auth), b"other", EMULATOR)

    @pytest.mark.parametrize(
        "wrong",
        [
            pytest.param({"by": Credentials("LOCALOWNER", "guess")}, id="another secret"),
            pytest.param({"by": Credentials("test", "test")}, id="an unknown key"),
            pytest.param({"by": Credentials("ASIAFUNCTION", "other")}, id="another function's secret"),
            pytest.param({"by": Credentials("ASIAFUNCTION", "other", "another")}, id="another session's token"),
            {"region": "eu-west-1"},
            {"service": "lambda"},
        ],
        ids=str,
    )
    def test_who_signs_otherwise(self, wrong: dict[str, Any]) -> None:
        for request, body in ((signed(**wrong), BODY), (presigned(**wrong), b"")):
            with pytest.raises(Refused):
                check(request, body, EMULATOR)

    @pytest.mark.parametrize("late", [-SKEW - 2 * SECOND, SKEW + 2 * SECOND], ids=["early", "late"])
    def test_a_clock_that_is_wrong_by_more_than_five_minutes(self, late: timedelta) -> None:
        check(signed(), BODY, EMULATOR, now=_clock(late * 0.9))
        with pytest.raises(Refused, match=r"Signature (expired|not yet current)"):
            check(signed(), BODY, EMULATOR, now=_clock(late))

    @pytest.mark.parametrize("expires", [60, 3600])
    def test_an_address_that_has_expired(self, expires: int) -> None:
        check(presigned(expires=expires), b"", EMULATOR, now=_clock((expires - 2) * SECOND))
        with pytest.raises(Refused, match="expired"):
            check(presigned(expires=expires), b"", EMULATOR, now=_clock((expires + 2) * SECOND))

    @pytest.mark.parametrize("expires", [0, 604_801])
    def test_an_address_for_ever(self, expires: int) -> None:
        with pytest.raises(Refused, match="X-Amz-Expires"):
            check(presigned(expires=expires), b"", EMULATOR)

    @pytest.mark.parametrize("name", ["X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature"])
    def test_an_address_that_lacks_something(self, name: str) -> None:
        request = presigned()
        kept = [pair for pair in request.query.split("&") if not pair.startswith(name + "=")]
        with pytest.raises(Refused):
            check(replace(request, query="&".join(kept)), b"", EMULATOR)

    @pytest.mark.parametrize("twice", ["X-Amz-Credential=root/a/b/c/d", "x-amz-credential=root", "X-Amz-Expires=9"])
    def test_an_address_with_two_signers(self, twice: str) -> None:
        request = presigned()
        for query in (f"{request.query}&{twice}", f"{twice}&{request.query}"):
            with pytest.raises(Refused, match="once"):
                check(replace(request, query=query), b"", EMULATOR)

    def test_an_address_of_version_2(self) -> None:
        old = "AWSAccessKeyId=LOCALOWNER&Signature=x&Expires=9"
        with pytest.raises(Refused, match="Version 4"):
            check(Request("GET", "/bucket/a", "/bucket/a", old, {"host": HOST}), b"", EMULATOR)

    def test_an_address_with_a_body(self) -> None:
        with pytest.raises(Refused):
            check(presigned(), b"made up", EMULATOR)


def _clock(later: timedelta) -> datetime:
    return get_current_datetime(remove_tzinfo=False) + later


class TestPlace:
    @pytest.mark.parametrize(
        "host", ["127.0.0.1:4566", "localhost:4566", "[::1]:4566", "a1b2.execute-api.localhost:4566"]
    )
    def test_this_machine_by_its_names(self, host: str) -> None:
        check_place(replace(signed(), headers={"host": host}), PORT)

    @pytest.mark.parametrize(
        "host",
        [
            "",
            "evil.example:4566",
            "localhost",
            "localhost:80",
            "localhost.evil.example:4566",
            "127.0.0.1:4566,x",
            "a.b.execute-api.localhost:4566",
            "evil.localhost:4566",
            "10.0.0.1:4566",
            "0.0.0.0:4566",
        ],
    )
    def test_no_other_name(self, host: str) -> None:
        with pytest.raises(Misplaced, match="addressed as"):
            check_place(replace(signed(), headers={"host": host}), PORT)

    @pytest.mark.parametrize(
        "said",
        [{"origin": "null"}, {"origin": "http://localhost:4566"}]
        + [{"sec-fetch-site": site} for site in ("cross-site", "same-site", "same-origin")],
        ids=str,
    )
    def test_no_web_page(self, said: dict[str, str]) -> None:
        with pytest.raises(Misplaced, match="no web page"):
            check_place(replace(signed(), headers={"host": HOST, **said}), PORT)

    def test_an_address_that_a_person_types(self) -> None:
        check_place(replace(signed(), headers={"host": HOST, "sec-fetch-site": "none"}), PORT)


class Behind:
    """What stands behind the guard: it notes what reaches it."""

    def __init__(self) -> None:
        self.reached: list[tuple[str, bytes]] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.reached.append((scope["type"], (await receive()).get("body", b"")))
        headers = [(b"Access-Control-Allow-Origin", b"*"), (b"Content-Type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


def _sent(request: Request, body: bytes = b"", *, kind: str = "http") -> tuple[Behind, list[dict[str, Any]]]:
    """What reached the application, and what was answered."""
    behind, answers = Behind(), list[dict[str, Any]]()
    parts = [body[:3], body[3:]]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    scope = {
        "type": kind,
        "method": request.method,
        "path": request.path,
        "raw_path": request.raw_path.encode(),
        "query_string": request.query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in request.headers.items()],
    }
    asyncio.run(guarded(behind, EMULATOR)(scope, receive, send))  # type: ignore[arg-type]
    return behind, answers


class TestGuarded:
    def test_what_is_let_in_arrives_whole_and_no_page_may_read_the_answer(self) -> None:
        behind, (head, content) = _sent(signed(), BODY)
        assert behind.reached == [("http", BODY)]
        assert head["headers"] == [(b"Content-Type", b"text/plain")]
        assert content["body"] == b"ok"

    @pytest.mark.parametrize(
        "request_",
        [
            signed("OPTIONS", "/", b"", headers={"Origin": "http://evil.example"}),
            Request("OPTIONS", "/", "/", "", {"host": HOST}),
            Request("GET", "/_ministack/ready", "/_ministack/ready", "", {"host": "evil.example:4566"}),
            Request("POST", "/_ministack/ready", "/_ministack/ready", "", {"host": HOST}),
            Request("GET", "/_ministack/ready/../reset", "/", "", {"host": HOST}),
            Request("POST", "/_ministack/reset", "/_ministack/reset", "", {"host": HOST}),
            Request("PUT", "/_ministack/cfn-response/x", "/", "", {"host": HOST}),
            Request("HEAD", "/bucket/a", "/bucket/a", "", {"host": HOST}),
        ],
        ids=["preflight, signed", "preflight", "rebound", "posted", "above", "reset", "no token", "head"],
    )
    def test_what_is_refused_reaches_nobody(self, request_: Request) -> None:
        behind, (head, content) = _sent(request_)
        assert behind.reached == []
        assert head["status"] == 403
        assert not [name for name, _ in head["headers"] if name.startswith(b"access-control")]
        assert bool(content["body"]) == (request_.method != "HEAD")

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/_ministack/ready"), ("PUT", "/_ministack/cfn-response/01234567-89ab-cdef-0123-456789abcdef")],
    )
    def test_what_needs_no_signature(self, method: str, path: str) -> None:
        behind, _ = _sent(Request(method, path, path, "", {"host": HOST}), b"data")
        assert behind.reached == [("http", b"dat")]

    def test_no_socket_is_opened(self) -> None:
        behind, answers = _sent(signed(), kind="websocket")
        assert (behind.reached, answers) == ([], [{"type": "websocket.close", "code": 1008}])

    def test_it_starts_and_ends_with_the_emulator(self) -> None:
        behind, _ = _sent(signed(), kind="lifespan")
        assert [kind for kind, _ in behind.reached] == ["lifespan"]
