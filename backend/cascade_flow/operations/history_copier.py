"""Copies what steps have left from one run to another: their events at their original times, and their payloads.

The copy is the same however often it is made: commits of as many events as their number and their size allow, in the
order of their times. So whoever goes on with a copy that another began finds the same places.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from cascade_flow import clock
from cascade_flow.dynamodb import items
from cascade_flow.dynamodb.codec import Record, references_of
from cascade_flow.dynamodb.table import Put
from cascade_flow.engine import copies
from cascade_flow.engine.copies import Kept
from cascade_flow.engine.state import Birth, Facts, Run
from cascade_flow.operations.runtime import Runtime
from cascade_flow.portions import portions

_EVENTS_A_COMMIT = 40
_BYTES_A_COMMIT = 200_000
"""What the events of a copied commit may have together, unpacked; an item holds 400 KB."""


class HistoryCopier:
    """Copies within one table."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def copy(self, source_run_id: str, records: Iterable[Record], facts: Facts, kept: Kept) -> int:
        """Put the kept steps' events and payloads into the new run's partition; answers the newest event's time."""
        copied = [record for record in records if record.get("stepId") in kept]
        for record in copied:
            for place in references_of(record).values():
                self._runtime.payloads.copy(source_run_id, facts.run_id, place, expires_s=facts.expires_s)
        for chunk in _chunks(copied):
            self._runtime.ledger.table.write([Put(items.commit_item(facts.run_id, chunk, expires_s=facts.expires_s))])
        return max((record["timestampUs"] for record in copied), default=0)

    def branches(self, facts: Facts, run: Run) -> list[Birth]:
        """The branches that a copied run begins with, each naming the commit that holds its dependency's output."""
        history = self._runtime.ledger.history(run.run_id)
        copied = [r for r in (history.records if history else ()) if r["timestampUs"] < run.created_us]
        births = copies.branches(facts, over_in(copied), now_us=clock.now_us(), after_us=run.last_us)
        places = {
            record["stepId"]: chunk[0]["timestampUs"] for chunk in _chunks(copied) for record in chunk if _over(record)
        }
        return [_placed(facts, birth, places) for birth in births]


def over_in(records: Iterable[Record]) -> Kept:
    """The steps that are over by these events: None for a completed one, its skip's origin for a skipped one."""
    return {
        record["stepId"]: None if record["type"] == "StepCompleted" else record.get("cascadedFrom", record["stepId"])
        for record in records
        if _over(record)
    }


def _over(record: Record) -> bool:
    return record["type"] in ("StepCompleted", "StepSkipped")


def _placed(facts: Facts, birth: Birth, places: dict[str, int]) -> Birth:
    dependencies = [] if birth.branch.status == "open" else facts.graph.step(birth.branch.step).dependencies
    found = [places[step] for step in dependencies if step in places]
    return Birth(birth.branch, birth.events, origin_us=found[0] if len(found) == 1 else None)


def _chunks(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    return portions(records, size_of=_bytes, most_bytes=_BYTES_A_COMMIT, most=_EVENTS_A_COMMIT)


def _bytes(record: Record) -> int:
    return len(json.dumps(record))
