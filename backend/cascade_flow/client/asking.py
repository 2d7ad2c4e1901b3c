"""How the methods of each resource ask: `Client` says by what."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from cascade_flow.errors import InvalidIdError

Json = dict[str, Any]
FIRST_PAUSE_US = 200_000
AGAIN_US = 8_000_000
"""For how long a request is sent again that was refused for a while."""


class Asks:
    """What methods are made of. Every request raises CascadeFlowErrors only."""

    def _get(self, path: str, wish: Mapping[str, Any] | None = None) -> Json:
        """What a question is answered with."""
        raise NotImplementedError

    def _post(self, path: str, wish: Mapping[str, Any], *, again: bool = False) -> Json:
        """What a command is answered with; nothing is an empty object. `again`: saying it twice does no harm."""
        raise NotImplementedError

    def _put(self, path: str, document: Mapping[str, Any]) -> Json:
        """What the document's place answers."""
        raise NotImplementedError

    def _filled(self, document: Json, names: Sequence[str], read: Callable[[str], Any]) -> Json:
        """The document with the texts in S3 that it gives the addresses of."""
        raise NotImplementedError

    def _fetched(self, url: str) -> str:
        """A text in S3."""
        raise NotImplementedError

    def _given(self, given: Mapping[str, Any]) -> Json:
        """What a step is given, with what of it lies in S3."""
        outside = {step: json.loads(self._fetched(url)) for step, url in given.get("outputUrls", {}).items()}
        inside = {name: value for name, value in given.items() if name != "outputUrls"}
        return {**self._filled(inside, ("input",), json.loads), "outputs": {**given["outputs"], **outside}}

    def _pages(self, path: str, wish: Mapping[str, Any]) -> Iterator[Json]:
        """A list's pages, one after the other."""
        page = self._get(path, wish)
        yield page
        while "nextCursor" in page:
            page = self._get(path, {**wish, "cursor": page["nextCursor"]})
            yield page


def part(id: str) -> str:
    """An id as a part of a path. What HTTP reads as no part is refused: it would be sent otherwise than signed."""
    if id in ("", ".", ".."):
        raise InvalidIdError
    return quote(id, safe="")


def place(id: str) -> str:
    """An id that may hold slashes, as the rest of a path."""
    return "/".join(map(part, id.split("/")))
