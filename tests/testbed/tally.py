"""Where tests and their stages count what they have tried; `summary` tells the sums at the end of the session."""

from __future__ import annotations

from collections import Counter

TALLY: Counter[str] = Counter()
FAULTS = {1: "single faults", 2: "double faults"}
MANY_FAULTS = "histories with more faults"
HISTORIES = "random histories"


def count_faults(happened: int) -> None:
    """One run was broken this often."""
    if happened:
        TALLY[FAULTS.get(happened, MANY_FAULTS)] += 1
