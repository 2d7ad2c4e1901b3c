"""The runs that go on, in bounded pieces: as the due index has them, what is late first.

A piece ends between two times of the index, so that whoever goes on behind it neither skips nor repeats an entry that
has stayed where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from cascade_flow.dynamodb import due
from cascade_flow.dynamodb.table import Table

START_US = -1
_MOST_ENTRIES = 2_000
_AT_ONCE = 200


class Piece(NamedTuple):
    """Entries in order, and behind which time there may be more."""

    entries: list[due.Entry]
    more_us: int | None


def piece(
    table: Table, *, after_us: int, most_runs: int, wanted: Callable[[due.Entry], bool] = lambda _: True
) -> Piece:
    """The next entries that are wanted, of some `most_runs` runs; after 2,000 others it ends also without them."""
    found: list[due.Entry] = []
    runs: set[str] = set()
    looked_at = 0
    for due_us, group in groupby(due.later(table, than_us=after_us, at_once=_AT_ONCE), attrgetter("due_us")):
        entries = list(group)
        looked_at += len(entries)
        mine = [entry for entry in entries if wanted(entry)]
        found += mine
        runs.update(entry.run_id for entry in mine)
        if len(runs) >= most_runs or looked_at >= _MOST_ENTRIES:
            return Piece(found, due_us)
    return Piece(found, None)
