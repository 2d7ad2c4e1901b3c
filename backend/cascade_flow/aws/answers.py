"""An answer of HTTP/1.1, read as it comes. `http.client` reads headers as those of a mail, at ten times the cost."""

from __future__ import annotations

from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import BinaryIO, NamedTuple

_LONGEST_LINE = 65_536
_MOST_HEADERS = 256
_WITHOUT_BODY = (204, 304)


class Answer(NamedTuple):
    """Names of headers are small. `ends`: the connection is good for nothing more."""

    status: int
    headers: dict[str, str]
    body: bytes
    ends: bool


def read_answer(file: BinaryIO) -> Answer:
    """The answer to a request that wants a body. Raises HTTPException, and OSError as the file does."""
    version, status = _status(file)
    headers = _headers(file)
    while 100 <= status < 200:
        version, status = _status(file)
        headers = _headers(file)
    told = headers.get("connection", "").lower()
    ends = "close" in told or (version == b"HTTP/1.0" and "keep-alive" not in told)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Answer(status, headers, _chunks(file), ends)
    if status in _WITHOUT_BODY:
        return Answer(status, headers, b"", ends)
    if "content-length" in headers:
        return Answer(status, headers, _exactly(file, _number(headers["content-length"], 10)), ends)
    return Answer(status, headers, file.read(), True)


def _status(file: BinaryIO) -> tuple[bytes, int]:
    line = _line(file)
    if not line:
        raise RemoteDisconnected("the connection was closed without an answer")
    version, _, rest = line.partition(b" ")
    code = rest[:3]
    if not version.startswith(b"HTTP/1.") or not code.isdigit() or len(code) != 3:
        raise HTTPException(f"this is no answer of HTTP/1: {line[:80]!r}")
    return version, int(code)


def _headers(file: BinaryIO) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for _ in range(_MOST_HEADERS):
        line = _line(file)
        if line in (b"\r\n", b"\n"):
            return found
        if not line:
            raise IncompleteRead(b"")
        text = line.decode("latin-1")
        if text[0] in " \t":  # goes on with the one before
            found[name] = f"{found.get(name, '')} {text.strip()}".strip()
            continue
        name, _, value = text.partition(":")
        name = name.strip().lower()
        found[name] = value.strip()
    raise HTTPException(f"an answer has more than {_MOST_HEADERS} headers")


def _chunks(file: BinaryIO) -> bytes:
    parts: list[bytes] = []
    while size := _number(_line(file).partition(b";")[0].decode("latin-1"), 16):
        parts.append(_exactly(file, size))
        _line(file)
    _headers(file)
    return b"".join(parts)


def _number(text: str, base: int) -> int:
    try:
        number = int(text.strip(), base)
    except ValueError:
        number = -1
    if number < 0:
        raise HTTPException(f"an answer's length is no number: {text[:80]!r}")
    return number


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise IncompleteRead(data, size - len(data))
    return data


def _line(file: BinaryIO) -> bytes:
    line = file.readline(_LONGEST_LINE + 1)
    if len(line) > _LONGEST_LINE:
        raise HTTPException(f"an answer has a line of more than {_LONGEST_LINE} bytes")
    return line
