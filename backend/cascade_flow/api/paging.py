"""How much of a list an answer holds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TypeVar

ItemT = TypeVar("ItemT")
PAGE_CHARACTERS = 2_000_000


def page(timed: Iterable[tuple[int, ItemT]], limit: int) -> tuple[list[ItemT], int | None]:
    """As many as are asked for and fit in an answer, at least one; and the last one's time, where there are more."""
    found: list[ItemT] = []
    last_us = characters = 0
    for time_us, item in timed:
        characters += len(json.dumps(item))
        if found and (len(found) == limit or characters > PAGE_CHARACTERS):
            return found, last_us
        found.append(item)
        last_us = time_us
    return found, None
