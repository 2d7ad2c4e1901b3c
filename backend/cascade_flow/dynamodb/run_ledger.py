"""How the item of a run is written: submission, start, further roots, the intention to stop, the end.

Writes that begin at a branch, a run's good end among them, are `ledger`'s.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.changes import NEW, BranchRefused, RunRefused, birth_put, changes, fence, halting
from cascade_flow.dynamodb.codec import Record, to_record
from cascade_flow.dynamodb.items import Item, commit_item, key_of, run_item
from cascade_flow.dynamodb.table import NONCE, Attr, Condition, Overtaken, Put, Refused, Table, Update, Write
from cascade_flow.engine.runs import Opening
from cascade_flow.engine.state import Birth, Branch, Facts, Halt, Run, Stop
from cascade_flow.model.events import Event, StepError, WorkflowEvent, WorkflowFailed
from cascade_flow.records import replace

_LONGEST_REASON = 300

if TYPE_CHECKING:
    from cascade_flow.engine.undo import UndoBirth


class KeyTaken(Exception):
    """The idempotency key stands for another run already: its id and the hash of its content."""

    def __init__(self, run_id: str, content: str) -> None:
        super().__init__("the idempotency key is taken")
        self.run_id = run_id
        self.content = content

    @classmethod
    def by(cls, item: Item) -> KeyTaken:
        return cls(str(item["r"]), str(item["c"]))


class RunLedger:
    """The run items of one table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def submit(
        self, facts: Facts, opening: Opening, references: Mapping[str, str], *, key: str | None, content: str
    ) -> Run:
        """Put a new run, its idempotency key and its first roots; raises KeyTaken, RunRefused (the id is taken)."""
        run = _with_tail(opening, (), references)
        writes: list[Write] = [Put({**run_item(run), NONCE: secrets.token_hex(3)}, NEW)]
        if key is not None:
            writes.append(_key_put(key, run, content))
        writes += [birth_put(facts, birth, None) for birth in opening.births]
        try:
            self._table.write(writes)
        except Refused as refused:
            taken = refused.items.get(1) if key is not None else None
            if taken is not None:
                raise KeyTaken.by(taken) from None
            raise RunRefused.by(refused.items.get(0)) from None
        return run

    def key_taken(self, key: str) -> KeyTaken | None:
        """What an idempotency key stands for."""
        taken = self._table.get(keys.idempotency(key))
        return None if taken is None else KeyTaken.by(taken)

    def start(self, facts: Facts, before: Run, opening: Opening) -> Run:
        """Start a run that was submitted for later; raises RunRefused where it moved."""
        after = replace(_with_tail(opening, before.tail, {}), seq=before.seq + 1)
        return self._write_run(facts, before, after, opening.births)

    def make_roots(self, facts: Facts, before: Run, after: Run, births: Sequence[Birth]) -> Run:
        """Put further roots of a run under way; raises RunRefused where it moved."""
        moved = replace(after, seq=before.seq + 1)
        return self._write_run(facts, before, moved, births)

    def intend(self, before: Run, stop: Stop, *, due_us: int) -> Run:
        """Write the intention to stop a run, which others may have carried out meanwhile; raises RunRefused where it
        moved before.
        """
        after = replace(before, stop=stop, due_us=due_us, seq=before.seq + 1)
        when = _unmoved(before) & Attr("ra").eq(stop.run_attempt)
        changed = changes(run_item(before), run_item(after))
        changed["set"] = {**changed["set"], NONCE: secrets.token_hex(3)}
        try:
            with suppress(Overtaken):
                self._table.write([Update(keys.run(before.run_id), when, **changed)])
        except Refused as refused:
            raise RunRefused.by(refused.items[0]) from None
        return after

    def finish(
        self,
        before: Run,
        event: WorkflowEvent,
        status: Any,
        halts: Sequence[tuple[Branch, Halt]],
        undo: UndoBirth | None = None,
    ) -> Run:
        """End a stopped run, with the last halts and the run that undoes it in the same transaction.

        Raises BranchRefused, RunRefused.
        """
        time_us = int(event.timestamp_us)
        after = replace(before, status=status, completed_at_us=time_us, due_us=time_us, stop=None)
        after = replace(after, reviving=False, last_us=time_us, seq=before.seq + 1)
        after = after if undo is None else replace(after, undone_by=undo.facts.run_id)
        after = after if before.up is None else replace(after, result=before.result or _why(event))
        record = commit_item(before.run_id, [to_record(event, {})], expires_s=before.expires_s)
        ended = Update(keys.run(before.run_id), _unmoved(before), **changes(run_item(before), run_item(after)))
        writes: list[Write] = [Put(record, NEW), ended]
        writes += [Update(keys.branch(before.run_id, b.name), fence(b), **halting(halt)) for b, halt in halts]
        writes += _undo_writes(before, status, undo)
        try:
            self._table.write(writes)
        except Refused as refused:
            if 1 in refused.items:
                raise RunRefused.by(refused.items[1]) from None
            raise BranchRefused(None) from None
        return after

    def try_again(self, before: Run, after: Run, events: Sequence[Event]) -> Run:
        """Put an ended run under way again, its branches to be revived; raises RunRefused where it moved."""
        moved = replace(after, seq=before.seq + 1)
        records = [to_record(event, {}) for event in events]
        writes: list[Write] = [
            Update(keys.run(before.run_id), _unmoved(before), **changes(run_item(before), run_item(moved))),
            Put(commit_item(before.run_id, records, expires_s=before.expires_s), NEW),
        ]
        try:
            self._table.write(writes)
        except Refused as refused:
            raise RunRefused.by(refused.items.get(0)) from None
        return moved

    def revived(self, before: Run) -> None:
        """Note that all branches of a run are revived; one that has moved meanwhile needs no note."""
        after = replace(before, reviving=False, due_us=before.deadline_us, seq=before.seq + 1)
        noted = Update(keys.run(before.run_id), _unmoved(before), **changes(run_item(before), run_item(after)))
        with suppress(Refused):
            self._table.write([noted])

    def _write_run(self, facts: Facts, before: Run, after: Run, births: Sequence[Birth]) -> Run:
        update = Update(keys.run(facts.run_id), _unmoved(before), **changes(run_item(before), run_item(after)))
        try:
            self._table.write([update, *(birth_put(facts, birth, None) for birth in births)])
        except Refused as refused:
            raise RunRefused.by(refused.items.get(0)) from None
        return after


def _undo_writes(before: Run, status: str, undo: UndoBirth | None) -> list[Write]:
    """The run that undoes the one that ends; or, where that one was to undo another and has failed, the note of it."""
    if before.undoing is not None and status == "failed":
        return [Put({**key_of(keys.failed_undo(before.run_id)), keys.EXPIRY: before.expires_s})]
    if undo is None:
        return []
    run = _with_tail(undo.opening, (), undo.references)
    return [Put(run_item(run), NEW), *(birth_put(undo.facts, birth, None) for birth in undo.opening.births)]


def _unmoved(known: Run) -> Condition:
    """What a writer must have seen: every write of a run's item raises `seq`, its end and its next attempt too."""
    return Attr("sq").eq(known.seq)


def _with_tail(opening: Opening, tail: tuple[Record, ...], references: Mapping[str, str]) -> Run:
    return replace(opening.run, tail=(*tail, *(to_record(event, references) for event in opening.events)))


def _why(event: WorkflowEvent) -> str:
    """Why a child did not complete, for its parent: as an error."""
    error = event.error if isinstance(event, WorkflowFailed) else StepError(name="Cancelled", message="it was stopped")
    return json.dumps({"name": error.name, "message": error.message and error.message[:_LONGEST_REASON]})


def _key_put(key: str, run: Run, content: str) -> Put:
    where = keys.idempotency(key)
    item: Item = {keys.PARTITION: where.pk, keys.SORT: where.sk, "r": run.run_id, "c": content}
    expired = Attr(keys.EXPIRY).lt(run.created_us // 1_000_000)
    return Put({**item, keys.EXPIRY: run.expires_s}, NEW | expired)
