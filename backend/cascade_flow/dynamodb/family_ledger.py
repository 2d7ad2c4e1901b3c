"""The writes of children: their release, the counting of their ends, and what a look makes of their parent's step.

Every condition that keeps a promise of protocol.md §14 stands here, or in the fences of `changes`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.changes import NEW, BranchRefused, birth_put, changes, difference, fence
from cascade_flow.dynamodb.codec import to_record
from cascade_flow.dynamodb.items import Item, commit_item, run_item, to_branch, to_run
from cascade_flow.dynamodb.table import NONCE, Attr, Put, Refused, Table, Update, Write
from cascade_flow.engine.runs import Opening
from cascade_flow.engine.state import Branch, Facts, Run, Up
from cascade_flow.model.ids import child_id
from cascade_flow.records import dataclass, replace

WAITING = Attr("st").eq("waiting") & Attr("h").not_exists()
"""Of a step with children: it waits for them, and nobody has halted it."""


@dataclass(frozen=True)
class Child:
    """A child as a release writes it: new with its roots, or `before` and in its next attempt; and where its input lies
    that was put aside.
    """

    facts: Facts
    opening: Opening
    references: Mapping[str, str]
    before: Run | None = None


class FamilyLedger:
    """The children in one table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def children(self, up: Facts, step: str, numbers: Iterable[int]) -> dict[int, Run]:
        """Those of a step's children that are there, by number; each is read consistently on its own."""
        wanted = [keys.run(child_id(up.run_id, step, number)) for number in numbers]
        found = map(to_run, self._table.batch_get(wanted))
        return {run.up.number: run for run in found if run.up is not None}

    def release(self, facts: Facts, before: Branch, after: Branch, made: Sequence[Child], *, passed: int) -> Branch:
        """Make children, or begin their next attempt, and note on their parent's step how far that is; raises
        BranchRefused where that has moved.
        """
        moved = replace(after, seq=before.seq + 1)
        counted = {"n": passed} if passed else {}
        change = difference(facts.run_id, before, moved)
        noted = _known(Update(keys.branch(facts.run_id, before.name), fence(before), add=counted, **change))
        self._write([noted, *(write for child in made for write in _writes(child))])
        return replace(moved, arrived=before.arrived + passed)

    def put_off(self, facts: Facts, before: Branch, after: Branch) -> None:
        """Note when somebody must look again; raises BranchRefused where a child has ended meanwhile."""
        moved = replace(after, seq=before.seq + 1)
        when = fence(before) & Attr("n").eq(before.arrived)
        change = difference(facts.run_id, before, moved)
        self._write([_known(Update(keys.branch(facts.run_id, before.name), when, **change))])

    def _write(self, writes: Sequence[Write]) -> None:
        try:
            self._table.write(writes)
        except Refused:
            raise BranchRefused(None) from None

    def raise_parent(self, up: Up, *, look_us: int) -> Branch | None:
        """Count the end of a child before it is written, and bring the next look at its parent's step within a lease;
        answers the step as it is then, if it is there.

        Where that waits for nobody, nothing is counted, and that is well.
        """
        key, soon = keys.branch(up.run_id, up.branch), Attr(keys.DUE_TIME).lte(look_us)
        place: Item = {keys.DUE_SHARD: keys.due(up.run_id), keys.DUE_TIME: look_us}
        now = None
        for when, moved in ((WAITING & soon, {}), (WAITING, place)):
            try:
                return to_branch(self._table.write([_known(Update(key, when, set=moved, add={"n": 1}))]))
            except Refused as refused:
                now = None if refused.items[0] is None else to_branch(refused.items[0])
            if now is None or now.status != "waiting" or now.halt is not None:
                break
        return now


def _known(update: Update) -> Update:
    """A single update that knows its own work again when the answer was lost."""
    return replace(update, set={**update.set, NONCE: secrets.token_hex(3)})


def _writes(child: Child) -> list[Write]:
    facts, opening = child.facts, child.opening
    records = [to_record(event, child.references) for event in opening.events]
    if child.before is None:
        born = replace(opening.run, tail=tuple(records))
        return [Put(run_item(born), NEW), *(birth_put(facts, birth, None) for birth in opening.births)]
    moved = replace(opening.run, seq=child.before.seq + 1)
    change = changes(run_item(child.before), run_item(moved))
    return [
        Update(keys.run(moved.run_id), Attr("sq").eq(child.before.seq), **change),
        Put(commit_item(moved.run_id, records, expires_s=moved.expires_s), NEW),
    ]
