"""How digests of ended runs lie in the table: many in an item, by the hour in which their runs have ended.

They are no truth: one that is missing is made again, and one whose run the index has under another time is passed over.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator

from cascade_flow import clock
from cascade_flow.analytics.digests import Digest, to_digests
from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.codec import deflate, inflate
from cascade_flow.dynamodb.table import Put, Table
from cascade_flow.portions import portions

FORM = 1
"""How digests are made and written: of another form, none is read. Raise it with whatever else is to count in them."""

_HOUR_US = 3_600_000_000
_MOST_BYTES = 350_000
"""Of JSON: packed, it is an item in any case."""


def put_digests(table: Table, digests: Iterable[Digest]) -> None:
    """Write digests, by hours; one that no item holds is left out."""
    by_hour: dict[int, list[Digest]] = {}
    for digest in digests:
        by_hour.setdefault(_hour(digest.listed_us), []).append(digest)
    for hour, ended in by_hour.items():
        texts = [text for text in map(Digest.to_text, ended) if len(text.encode()) <= _MOST_BYTES]
        for some in portions(texts, size_of=lambda text: len(text.encode()), most_bytes=_MOST_BYTES):
            _put(table, hour, some, expires_s=max(digest.expires_s for digest in ended))


def digests_since(table: Table, since_us: int) -> Iterator[Digest]:
    """Those of the runs that have ended since then, and of some that ended a little before."""
    now_s = clock.now_us() // 1_000_000
    for item in table.query(keys.digests_since(_hour(since_us))):
        if item["f"] != FORM:
            continue
        for digest in to_digests(inflate(items.bytes_of(item, "d"))):
            if digest.expires_s > now_s:
                yield digest


def _put(table: Table, hour: int, texts: Iterable[str], *, expires_s: int) -> None:
    key = keys.digests(hour, secrets.token_hex(4))
    packed = deflate(f"[{','.join(texts)}]")
    table.write([Put({**items.key_of(key), "f": FORM, "d": packed, keys.EXPIRY: expires_s})])


def _hour(time_us: int) -> int:
    return time_us // _HOUR_US
