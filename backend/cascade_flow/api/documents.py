"""JSON from outside, read with suspicion: what no careful reader could store and give back is refused, with its place.

Size, encoding and syntax first; then one walk, which never recurses, over what was read. What the fields mean is not
known here.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from copy import copy
from itertools import islice
from typing import Any

from cascade_flow.api.problems import MOST_ISSUES, RequestInvalidError
from cascade_flow.errors import PayloadTooLargeError
from cascade_flow.model.events import ValidationIssue
from cascade_flow.model.wire import well_formed

LARGEST_BODY_BYTES = 256 * 1024
DEEPEST = 32
LONGEST_NUMBER = 1_000

Path = tuple["Path", str | int] | None
"""A place in a document: its parent's, and its own name or index."""


class _Repeated(dict[str, Any]):
    """An object in which a name stood twice."""

    name: str


STORE_ELSEWHERE = "store what is large elsewhere, and send its address"


def read_document(
    body: bytes,
    *,
    called: str = "the body",
    largest: int = LARGEST_BODY_BYTES,
    deepest: int = DEEPEST,
    cure: str = STORE_ELSEWHERE,
    apart: str | None = None,
) -> Any:
    """The value that the body holds; what is in its list `apart` is left to who reads that, one by one.

    Raises PayloadTooLargeError, RequestInvalidError (with the path of each fault).
    """
    check_size(len(body), called=called, largest=largest, cure=cure)
    value = _parsed(_text(body, called), called, deepest)
    check_sound(value if apart is None else _without(value, apart), deepest)
    return value


def check_size(bytes: int, *, called: str, largest: int = LARGEST_BODY_BYTES, cure: str = STORE_ELSEWHERE) -> None:
    """Raises PayloadTooLargeError, which says what to do."""
    if bytes > largest:
        said = f"{called} has {bytes} bytes, and at most {largest} are taken: {cure}"
        raise PayloadTooLargeError(said, bytes=bytes, limit=largest)


def check_sound(value: Any, deepest: int = DEEPEST) -> None:
    """Raises RequestInvalidError, with the path of each fault of a value that was read."""
    if not _is_sound(value, deepest) and (issues := list(islice(_faults(value, deepest), MOST_ISSUES))):
        raise RequestInvalidError(issues=issues)


def rejected(message: str, *, path: str = "") -> RequestInvalidError:
    """A refusal for one reason."""
    return RequestInvalidError(issues=[ValidationIssue(path=path, message=message)])


def _text(body: bytes, called: str) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise rejected(f"{called} is no UTF-8: see its byte {error.start}") from None


def _parsed(text: str, called: str, deepest: int) -> Any:
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_int=_whole, parse_float=float, parse_constant=lambda _: math.nan
        )
    except json.JSONDecodeError as error:
        raise rejected(f"{called} is no JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise rejected(f"{called} is nested more than {deepest} deep") from None


def _without(value: Any, apart: str) -> Any:
    """The document with that list empty."""
    if not isinstance(value, dict) or not isinstance(value.get(apart), list):
        return value
    other = copy(value)
    other[apart] = []
    return other


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeated = _Repeated(found)
    repeated.name = Counter(name for name, _ in pairs).most_common(1)[0][0]
    return repeated


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_NUMBER else math.inf


def _is_sound(value: Any, deepest: int) -> bool:
    """Whether nothing is wrong with it, told in a tenth of the time that it takes to say what is."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return False
    level = [value]
    for _ in range(deepest):
        if any(type(item) is _Repeated for item in level):
            return False
        level = [inner for item in level for inner in _inside(item) if isinstance(inner, dict | list)]
    return not level


def _inside(item: Any) -> Iterable[Any]:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list) else ()


def _faults(value: Any, deepest: int) -> Iterator[ValidationIssue]:
    """One walk that holds no more than a place on each level: a body may have millions of values."""
    stack: list[Iterator[tuple[Any, Path]]] = [iter([(value, None)])]
    while stack:
        if (found := next(stack[-1], None)) is None:
            stack.pop()
            continue
        item, path = found
        fault = _fault(item, len(stack), deepest)
        if fault:
            yield ValidationIssue(path=_dotted(path), message=fault)
        elif isinstance(item, dict | list):
            stack.append(_within(item, path))


def _within(item: dict[str, Any] | list[Any], path: Path) -> Iterator[tuple[Any, Path]]:
    places = item.items() if isinstance(item, dict) else enumerate(item)
    return ((inner, (path, place)) for place, inner in places)


def _fault(item: Any, depth: int, deepest: int) -> str | None:
    if isinstance(item, str):
        return None if _is_unicode(item) else "holds half of a character (a lone surrogate)"
    if isinstance(item, float) and not math.isfinite(item):
        return f"is no finite number of at most {LONGEST_NUMBER} digits"
    if isinstance(item, dict | list) and depth > deepest:
        return f"is nested more than {deepest} deep"
    return _fault_of_names(item) if isinstance(item, dict) else None


def _fault_of_names(item: dict[str, Any]) -> str | None:
    if isinstance(item, _Repeated):
        return f"has the name {well_formed(item.name)!r} twice"
    return None if all(map(_is_unicode, item)) else "has a name with half of a character (a lone surrogate)"


def _is_unicode(text: str) -> bool:
    return well_formed(text) == text


def _dotted(path: Path) -> str:
    parts: list[str] = []
    while path is not None:
        path, name = path
        parts.append(str(name))
    return ".".join(reversed(parts))
