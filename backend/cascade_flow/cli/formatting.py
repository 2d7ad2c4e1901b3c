"""Times, sizes and JSON as people read and write them. Text only: no colours, no terminal, no run."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from typing import Any

_SECOND_US = 1_000_000
_SHORT = 40
_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}
_PAIRS = [("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1), ("s", 1, "s", 1)]
_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)?")


def duration(us: float) -> str:
    """How long something took, to as many digits as anybody reads: `350 ms`, `4.2 s`, `3 min 20 s`, `2 d 4 h`."""
    seconds = max(0, us) / _SECOND_US
    if 0 < seconds < 0.0005:
        return "<1 ms"
    if seconds < 0.9995:
        return f"{round(seconds * 1000)} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return next(_two(whole, *units) for units in _PAIRS if whole >= units[1])


def countdown(us: float) -> str:
    """The time that is left, in whole seconds, so that it doesn't flicker."""
    seconds = -(-max(0, us) // _SECOND_US)
    return "now" if seconds == 0 else f"in {duration(seconds * _SECOND_US)}".replace(".0 s", " s")


def when(us: float, *, now_us: int) -> str:
    """An instant to come: `in 40 s`, `at 14:05 (in 55 min)`, `at 2026-11-28 14:05 (in 1 d 20 h)`."""
    left_us, there = us - now_us, _local(us)
    if left_us < 120 * _SECOND_US:
        return countdown(left_us)
    day = "" if there.date() == _local(now_us).date() else f"{there:%Y-%m-%d} "
    return f"at {day}{there:%H:%M} ({countdown(left_us)})"


def ago(us: float, *, now_us: int) -> str:
    """How long since an instant, for lists."""
    seconds = max(0, now_us - us) // _SECOND_US
    large, large_s = next(((units[0], units[1]) for units in _PAIRS if seconds >= units[1]), ("s", 1))
    return "just now" if seconds < 2 else f"{seconds // large_s:.0f} {large} ago"


def instant(us: float) -> str:
    """An instant in the machine's own time zone, to the second."""
    return _local(us).strftime("%Y-%m-%d %H:%M:%S")


def moment(us: float, *, now_us: int) -> str:
    """An instant ahead, as people say it: the time of day, the weekday with it, or the date where that lies far off."""
    there, here = _local(us), _local(now_us)
    days = (there.date() - here.date()).days
    if days == 0:
        return f"{there:%H:%M}"
    return f"{there:%A %H:%M}" if 0 < days < 7 else f"{there:%Y-%m-%d %H:%M}"


def time_of_day(us: float) -> str:
    """An instant within a day, to the millisecond."""
    return f"{_local(us):%H:%M:%S}.{int(us) // 1000 % 1000:03}"


def size(text: str) -> str:
    """How large a text is when it is stored."""
    return bytes_of(len(text.encode("utf-8", "replace")))


def bytes_of(count: int) -> str:
    """`999 bytes`, `1.2 kB`, `9.4 MB`."""
    if count < 1_000:
        return f"{count} bytes"
    return f"{count / 1_000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def number(value: float) -> str:
    """A number to three digits: `0.04`, `5.3`, `1,204`."""
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 1 else 2
    return f"{value:,.{digits}f}"


def count(number: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def seconds_of(text: str) -> float | None:
    """The seconds that a person meant with `90`, `90s`, `5m`, `2h` or `1d`; None where that is no duration."""
    match = _WRITTEN.fullmatch(text.strip())
    seconds = math.inf if match is None else float(match[1]) * _UNITS_S[match[2] or "s"]
    return seconds if math.isfinite(seconds) else None


def compact(value: Any) -> str:
    """A JSON value on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def pretty(value: Any) -> str:
    """A JSON value as people read it: on one line where that is short."""
    line = compact(value)
    return line if len(line) <= _SHORT else json.dumps(value, ensure_ascii=False, indent=2)


def first_line(text: str) -> str:
    """The text's first line; an ellipsis stands for more."""
    line, _, rest = text.strip().partition("\n")
    return f"{line.rstrip()} …" if rest else line


def shortened(text: str, width: int) -> str:
    """The text's first line, at most this wide; an ellipsis stands for the rest."""
    line = first_line(text)
    return line if len(line) <= width else line[: max(0, width - 1)].rstrip(" …") + "…"


def _two(whole: int, large: str, large_s: int, small: str, small_s: int) -> str:
    rest = whole % large_s // small_s
    return f"{whole // large_s} {large}" + (f" {rest} {small}" if rest else "")


def _local(us: float) -> datetime:
    return datetime.fromtimestamp(us / _SECOND_US).astimezone()
