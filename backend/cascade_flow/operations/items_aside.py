"""The items that a step hands out: put aside in chunks before the commit that names them, and read for each child.

A chunk's name follows from run, step, attempt and number, and so does what is in it: whoever writes it again, also one
who is believed dead, changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.codec import deflate
from cascade_flow.dynamodb.table import Put
from cascade_flow.engine.children import items_of
from cascade_flow.engine.state import Branch, Facts, Family
from cascade_flow.errors import PayloadLostError
from cascade_flow.operations.runtime import Runtime

_CHUNK_CHARACTERS = 60_000
"""What a chunk holds, about: some pages of reading for ten children, and one write unit for many items."""


class ItemsAside:
    """The items of one table's runs; the chunk that was read last is kept."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._kept: tuple[keys.Key, list[Any]] | None = None

    def put(self, facts: Facts, step: Branch, given: Sequence[Any]) -> int:
        """Put items aside; answers how many lie in a chunk. Raises PayloadTooLargeError."""
        whole = len(_json(list(given)))
        chunk = max(1, len(given) * _CHUNK_CHARACTERS // max(1, whole))
        for number, start in enumerate(range(0, len(given), chunk)):
            key = keys.chunk(facts.run_id, step.step, step.attempt, number)
            self._put(key, _json(list(given[start : start + chunk])), facts.expires_s)
        return chunk

    def _put(self, key: keys.Key, text: str, expires_s: int) -> None:
        """What is too large for the table lies in the bucket; then the item says where."""
        place = self._runtime.payloads.put_aside(key, text, expires_s=expires_s).get(text)
        if place == key.sk:
            return
        packed = deflate(text if place is None else _json({"at": place}))
        self._runtime.ledger.table.write([Put(items.payload_item(key, packed, expires_s=expires_s))])

    def texts(self, facts: Facts, step: Branch, numbers: Iterable[int], *, batch: int) -> dict[int, str]:
        """What these children are given, as JSON: an item, or the list of a batch's. Raises PayloadLostError."""
        family = step.family
        assert family is not None, f"{step.step} hands nothing out"
        given = {n: [self._item(facts, step, family, at) for at in items_of(family, n, batch)] for n in numbers}
        return {number: _json(found if batch > 1 else found[0]) for number, found in given.items()}

    def _item(self, facts: Facts, step: Branch, family: Family, index: int) -> Any:
        number, at = divmod(index, family.chunk)
        key = keys.chunk(facts.run_id, step.step, family.attempt, number)
        if self._kept is None or self._kept[0] != key:
            self._kept = key, self._read(facts.run_id, key)
        return self._kept[1][at]

    def _read(self, run_id: str, key: keys.Key) -> list[Any]:
        item = self._runtime.ledger.table.get(key)
        if item is None:
            raise PayloadLostError(f"run {run_id!r} has lost the items that its step goes over: run it anew")
        found = json.loads(items.to_payload(item))
        if isinstance(found, dict):
            found = json.loads(self._runtime.payloads.texts(run_id, {found["at"]})[found["at"]])
        return list(found)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
