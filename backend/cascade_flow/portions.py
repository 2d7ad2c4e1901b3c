"""Things in portions that an item or a request holds: by their number, by their size, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from sys import maxsize
from typing import TypeVar

T = TypeVar("T")


def portions(
    things: Iterable[T], *, size_of: Callable[[T], int], most_bytes: int, most: int = maxsize
) -> Iterator[list[T]]:
    """Each portion has at most so many things, of so many bytes together; one that is larger stands alone."""
    portion: list[T] = []
    size_bytes = 0
    for thing in things:
        more = size_of(thing)
        if portion and (len(portion) == most or size_bytes + more > most_bytes):
            yield portion
            portion, size_bytes = [], 0
        portion.append(thing)
        size_bytes += more
    if portion:
        yield portion
