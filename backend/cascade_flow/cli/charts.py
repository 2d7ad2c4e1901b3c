"""How many over time, in a line of blocks: it says at a glance what a row of numbers doesn't."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float]) -> str:
    """A block for each value, as high as it is; a dot for none at all."""
    highest = max(values, default=0)
    return "".join(_block(value, highest) for value in values)


def buckets(times_us: Iterable[float], *, since_us: float, until_us: float, number: int) -> list[int]:
    """How many of these times fall into each of so many equal parts of a range."""
    found = [0] * number
    width_us = max(1.0, (until_us - since_us) / number)
    for time_us in times_us:
        if since_us <= time_us <= until_us:
            found[min(number - 1, int((time_us - since_us) / width_us))] += 1
    return found


def _block(value: float, highest: float) -> str:
    return "·" if value <= 0 else _BLOCKS[ceil(value / highest * len(_BLOCKS)) - 1]
