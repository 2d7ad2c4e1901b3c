"""A limit's places and the line before them: one partition for each limit, one item for each place and each waiter.

A place is taken under "nobody has it, or its time is over", and prolonged or given back by whom it names alone. Places
and line are read together, consistently. Whoever is out of the line leaves nothing behind.
"""

from __future__ import annotations

import secrets
from contextlib import suppress

from cascade_flow import clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.items import Item
from cascade_flow.dynamodb.table import NONCE, Attr, Condition, Put, Refused, Table, Update
from cascade_flow.engine.limits import Holder, Place, Standing, Waiter

FIRST = 8
"""So many of those who wait are read with the places: as many as one look may find places for, mostly."""
_KEPT_S = 7 * 86_400
"""For how long the table keeps what nobody has touched."""


class Places:
    """The limits of one table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def standing(self, limit: str, *, at_most: int, first: int = FIRST) -> Standing:
        """The places that were ever taken, and the first who wait: one request, unless others know of more places."""
        places: dict[int, Place] = {}
        line: list[Waiter] = []
        for item in self._table.query(keys.limit(limit), at_once=at_most + first):
            sort = str(item[keys.SORT])
            if (number := keys.place_number(sort)) is not None:
                places[number] = _to_place(item)
            elif keys.is_waiter(sort):
                line.append(_to_waiter(item))
            if len(line) == first:
                break
        return Standing(places, tuple(line))

    def take(self, limit: str, number: int, holder: Holder, *, now_us: int, until_us: int) -> bool:
        """Take a free place; whether that was won."""
        free = Attr(keys.PARTITION).not_exists() | Attr("u").lte(now_us)
        return self._change(
            limit, number, free, {**_packed(holder), "t": now_us, "u": until_us, keys.EXPIRY: _expiry_s(until_us)}
        )

    def prolong(self, limit: str, number: int, holder: Holder, *, until_us: int) -> bool:
        """Keep a place for longer; False where it is somebody else's by now."""
        return self._change(limit, number, _held_by(holder), {"u": until_us, keys.EXPIRY: _expiry_s(until_us)})

    def give_back(self, limit: str, number: int, holder: Holder) -> bool:
        """Let others have a place, if it is this holder's still."""
        return self._change(limit, number, _held_by(holder), {"u": 0})

    def line_up(self, limit: str, waiter: Waiter) -> None:
        """Wait in the line, at one's rank; once more changes nothing."""
        key = _key(limit, waiter)
        item: Item = {keys.PARTITION: key.pk, keys.SORT: key.sk, **_packed(waiter.holder), "m": waiter.at_most}
        self._table.write([Put({**item, keys.EXPIRY: _expiry_s(clock.now_us())})])

    def leave(self, limit: str, waiter: Waiter) -> None:
        """Wait no longer."""
        self._table.delete(_key(limit, waiter))

    def _change(self, limit: str, number: int, when: Condition, change: Item) -> bool:
        changed: Item = {**change, NONCE: secrets.token_hex(3)}
        with suppress(Refused):
            self._table.write([Update(keys.place(limit, number), when, set=changed)])
            return True
        return False


def _held_by(holder: Holder) -> Condition:
    mine = Attr("r").eq(holder.run_id) & Attr("s").eq(holder.step) & Attr("a").eq(holder.attempt)
    return mine & Attr("u").gt(0)


def _key(limit: str, waiter: Waiter) -> keys.Key:
    holder = waiter.holder
    return keys.waiter(limit, waiter.rank, holder.run_id, holder.branch, holder.attempt)


def _packed(holder: Holder) -> Item:
    return {"r": holder.run_id, "b": holder.branch, "s": holder.step, "a": holder.attempt}


def _to_holder(item: Item) -> Holder:
    return Holder(str(item["r"]), str(item["b"]), str(item["s"]), int(item["a"]))


def _to_place(item: Item) -> Place:
    until_us = int(item["u"])
    return Place(_to_holder(item) if until_us else None, until_us, int(item["t"]))


def _to_waiter(item: Item) -> Waiter:
    return Waiter(keys.waiter_rank(str(item[keys.SORT])), _to_holder(item), int(item["m"]))


def _expiry_s(until_us: int) -> int:
    return until_us // 1_000_000 + _KEPT_S
