"""Answers of HTTP are read as `http.client` reads them, and what is none is refused."""

from __future__ import annotations

from http.client import HTTPException, HTTPResponse, IncompleteRead, RemoteDisconnected
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cascade_flow.aws.answers import read_answer

names = st.sampled_from(["x-amz-crc32", "Content-Type", "X-Amzn-RequestId", "Server", "date", "Set-Cookie"])
values = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\x85\x1c\x1d\x1e\x0b\x0c"), max_size=30)
connections = st.sampled_from(["", "Connection: close\r\n", "Connection: keep-alive\r\n", "connection: Close\r\n"])


AFTER = b"what comes next"


class Wire:
    """A socket that has been sent these bytes."""

    def __init__(self, sent: bytes) -> None:
        self._sent = sent

    def makefile(self, *_: Any) -> BytesIO:
        return BytesIO(self._sent)


def theirs(sent: bytes) -> tuple[int, dict[str, str], bytes, bool]:
    answer = HTTPResponse(Wire(sent))  # type: ignore[arg-type]
    answer.begin()
    headers = {name.lower(): value.strip() for name, value in answer.getheaders()}
    return answer.status, headers, answer.read(), bool(answer.will_close)


def framed(body: bytes, form: str, cut: int) -> tuple[str, bytes]:
    """A body's headers and its bytes: with a length, in chunks, or up to the end."""
    if form == "length":
        return f"Content-Length: {len(body)}\r\n", body + AFTER
    if form == "chunked":
        parts = [part for part in (body[:cut], body[cut:]) if part]
        chunks = b"".join(b"%x;e=1\r\n%s\r\n" % (len(part), part) for part in parts)
        return "Transfer-Encoding: chunked\r\n", chunks + b"0\r\nTrailer: t\r\n\r\n"
    return "", body


@given(
    version=st.sampled_from(["1.0", "1.1"]),
    status=st.sampled_from([200, 204, 301, 304, 400, 500, 503]),
    headers=st.lists(st.tuples(names, values), max_size=6),
    connection=connections,
    form=st.sampled_from(["length", "chunked", "to the end"]),
    body=st.binary(max_size=200),
    cut=st.integers(0, 200),
    continued=st.integers(0, 2),
)
def test_an_answer_is_read_as_http_client_reads_it(
    version: str,
    status: int,
    headers: list[tuple[str, str]],
    connection: str,
    form: str,
    body: bytes,
    cut: int,
    continued: int,
) -> None:
    frame, sent = framed(body, form, cut)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers) + connection + frame
    before = b"HTTP/1.1 100 Continue\r\n\r\n" * continued
    whole = before + f"HTTP/{version} {status} Told\r\n{lines}\r\n".encode("latin-1") + sent
    assert tuple(read_answer(BytesIO(whole))) == theirs(whole)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", RemoteDisconnected),
        (b"nonsense\r\n\r\n", HTTPException),
        (b"HTTP/2 200\r\n\r\n", HTTPException),
        (b"HTTP/1.1 20\r\n\r\n", HTTPException),
        (b"HTTP/1.1 20", HTTPException),
        (b"HTTP/1.1 200 OK\r\n", IncompleteRead),
        (b"HTTP/1.1 200 OK\r\nServer: a\r\n", IncompleteRead),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n", IncompleteRead),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf", IncompleteRead),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhalf", HTTPException),
        (b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhalf", HTTPException),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf", IncompleteRead),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfive\r\nhalf", HTTPException),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", HTTPException),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n", HTTPException),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000 + b"\r\n\r\n", HTTPException),
    ],
)
def test_what_is_no_answer_is_refused(sent: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_answer(BytesIO(sent))


@pytest.mark.parametrize("form", ["length", "chunked"])
def test_an_answer_is_read_to_its_end(form: str) -> None:
    headers, sent = framed(b"said", form, 2)
    file = BytesIO(f"HTTP/1.1 200 Told\r\n{headers}\r\n".encode() + sent.removesuffix(AFTER) + AFTER)
    assert (read_answer(file).body, file.read()) == (b"said", AFTER)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 4\n\nsaid" + AFTER,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n4\r\nsaid\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"Content-Length: 4\r\n\r\nsaid",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 60_000 + b"\r\nContent-Length: 4\r\n\r\nsaid",
    ],
    ids=["bare newlines", "capitals", "many headers", "a long one"],
)
def test_what_is_unusual_is_read_too(sent: bytes) -> None:
    assert read_answer(BytesIO(sent)).body == b"said"


def test_a_header_may_go_on_in_the_next_line() -> None:
    told = read_answer(BytesIO(b"HTTP/1.1 200 OK\r\nServer: a\r\n\tand b\r\nContent-Length: 0\r\n\r\n"))
    assert told.headers == {"server": "a and b", "content-length": "0"}
