"""The page's files, as they were built: read once, and nothing else can be asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable

from cascade_flow.console.answers import Answer, Request, problem

INDEX = "/index.html"
_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}


def files() -> Mapping[str, bytes]:
    """By their address."""
    return dict(_below(resources.files("cascade_flow.console") / "built", ""))


def answer(pages: Mapping[str, bytes], request: Request) -> Answer:
    """A file; an address without an ending is a place within the page."""
    if request.method not in ("GET", "HEAD"):
        return problem(405, "method-not-allowed", "This address can be read only.", allow="GET, HEAD")
    name = INDEX if "." not in request.path.rpartition("/")[2] else request.path
    if name not in pages:
        return problem(404, "route-not-found", "There is nothing at this address.")
    return _file(name, pages[name], request.headers.get("if-none-match", ""))


def _file(name: str, content: bytes, known: str) -> Answer:
    tag = f'"{sha256(content).hexdigest()[:24]}"'
    headers = {"cache-control": "no-cache", "etag": tag}
    kind = _TYPES[name.rpartition(".")[2]]
    return Answer(304, b"", kind, headers) if known == tag else Answer(200, content, kind, headers)


def _below(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _below(each, f"{path}/{each.name}")
        elif each.name.rpartition(".")[2] in _TYPES:
            yield f"{path}/{each.name}", each.read_bytes()
