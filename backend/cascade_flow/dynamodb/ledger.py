"""How runs are read and branches written: the named requests of the branch protocol.

There are two ways to write a commit and no third (protocol.md §3): it rides, as one conditional update of its branch,
or it is logged, as one transaction. Every condition that keeps a promise stands here, in `run_ledger` (which writes the
run's own item), in `join_ledger` or in `changes`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.changes import (
    GOES_ON,
    NEW,
    BranchRefused,
    RunRefused,
    arriving,
    birth_put,
    difference,
    fence,
    halting,
    of_limit,
    of_pool,
    stoppable,
    telling,
)
from cascade_flow.dynamodb.codec import Record, deflate, to_record
from cascade_flow.dynamodb.items import ITEM_UNIT, Item, branch_item, commit_item, size_of
from cascade_flow.dynamodb.table import NONCE, Attr, Check, Condition, Overtaken, Put, Refused, Table, Update, Write
from cascade_flow.engine.state import Birth, Branch, Claimant, Commit, Facts, Halt, Run, Signal, Stop
from cascade_flow.model.events import ResourceSnapshot
from cascade_flow.records import dataclass, replace

_ROOM_TO_RUN = 72
_ROOM_TO_BE_CLAIMED = 176
"""Bytes that a riding commit leaves free of a write unit: for heartbeats and a halt; and for a claim before these."""


@dataclass(frozen=True)
class History:
    """All that lies in a run's partition but logs and payloads: the run, its branches, its commits' records.

    A caller-driven run has no branches: its steps' items hold nothing that its commits don't.
    """

    run: Run
    branches: Mapping[str, Branch]
    records: tuple[Record, ...]


@dataclass(frozen=True)
class Snapshot:
    """Items that were read together, to be asked for as the ledger is; each is unpacked when it is asked for."""

    items: Mapping[keys.Key, Item]

    def run(self, run_id: str) -> Run | None:
        return _run_in(self.items.get(keys.run(run_id)))

    def branch(self, run_id: str, name: str) -> Branch | None:
        return _branch_in(self.items.get(keys.branch(run_id, name)))


class Ledger:
    """The runs of one table: all that is read of them, and all writes that begin at a branch."""

    def __init__(self, table: Table) -> None:
        self.table = table

    # -- reading --------------------------------------------------------------------------------------------------

    def run(self, run_id: str) -> Run | None:
        """A run; one that is being copied is not there yet."""
        return _run_in(self.table.get(keys.run(run_id)))

    def runs(self, ids: Iterable[str]) -> list[Run]:
        """These runs, in no order; those that are not there are left out."""
        found = self.table.batch_get(map(keys.run, ids))
        return [items.to_run(item) for item in found if not _is_copying(item)]

    def branch(self, run_id: str, name: str) -> Branch | None:
        return _branch_in(self.table.get(keys.branch(run_id, name)))

    def some_branches(self, run_id: str, names: Iterable[str]) -> dict[str, Branch]:
        """These branches, each read consistently on its own."""
        found = map(items.to_branch, self.table.batch_get(keys.branch(run_id, name) for name in names))
        return {branch.name: branch for branch in found}

    def snapshot(self, places: Iterable[tuple[str, str]]) -> Snapshot:
        """These branches of these runs (none named: the run alone) and the runs, fifty branches in one request; each is
        read consistently on its own.
        """
        wanted = [key for run_id, name in places for key in (keys.run(run_id), keys.branch(run_id, name))]
        found = self.table.batch_get(wanted)
        return Snapshot({keys.Key(str(item[keys.PARTITION]), str(item[keys.SORT])): item for item in found})

    def branches(self, run_id: str) -> dict[str, Branch]:
        """All branches of a run, by one query: no snapshot."""
        found = [item for item in self.table.query(keys.branches(run_id)) if item[keys.SORT] != keys.RUN]
        return {branch.name: branch for branch in map(items.to_branch, found)}

    def run_and_origin(self, run_id: str, origin_us: int | None) -> tuple[Run | None, tuple[Record, ...]]:
        """The run, and the records of the commit that a branch names as its origin: one request."""
        wanted = [keys.run(run_id), *([] if origin_us is None else [keys.commit(run_id, origin_us)])]
        found = {item[keys.SORT]: item for item in self.table.batch_get(wanted)}
        run = found.pop(keys.RUN, None)
        records = tuple(record for item in found.values() for record in items.to_records(item))
        return (None if run is None else items.to_run(run)), records

    def history(self, run_id: str) -> History | None:
        """A run with everything that happened in it; a moving event may come twice, none is missed."""
        found = list(self.table.query(keys.history(run_id)))
        if not found or found[0][keys.SORT] != keys.RUN or _is_copying(found[0]):
            return None
        run = items.to_run(found[0])
        parts = found[1:] if run.driver == "engine" else []
        branches = [items.to_branch(item) for item in parts if str(item[keys.SORT]).startswith(keys.RUN)]
        records = {record["timestampUs"]: record for item in found for record in items.to_records(item)}
        ordered = tuple(records[time] for time in sorted(records))
        return History(run, {branch.name: branch for branch in branches}, ordered)

    # -- one branch -----------------------------------------------------------------------------------------------

    def claim(
        self, run_id: str, branch: Branch, claimant: Claimant, *, now_us: int, look_us: int, moves: bool = False
    ) -> Branch:
        """Take a scheduled attempt (its step and number in `branch`); raises BranchRefused for all but one taker.

        By `look_us` somebody must look whether the taker lives: a branch that the due index has later is refused,
        unless the claim `moves` it there. What waits for a pool lies elsewhere, and is always moved.
        """
        moves = moves or branch.pool is not None
        when = scheduled(branch)
        when = when & Attr("av").lte(now_us) & Attr("h").not_exists() & of_pool(branch) & of_limit(branch)
        when = when if moves else when & Attr(keys.DUE_TIME).lte(look_us)
        slot = _present({"sl": claimant.slot_index, "wc": claimant.worker_concurrency, "lp": claimant.place})
        place: Item = {keys.DUE_SHARD: keys.due(run_id), keys.DUE_TIME: look_us} if moves else {}
        held: Item = {"st": "running", "w": claimant.worker, "ts": now_us, "le": claimant.lease_us, **slot, **place}
        return self._move(run_id, branch.name, when, set=held, add={"sq": 1})

    def beat(
        self, run_id: str, branch: Branch, *, now_us: int, lease_us: int, snapshot: ResourceSnapshot | None
    ) -> Branch:
        """Note a heartbeat of the worker and attempt in `branch`; raises BranchRefused where it holds them no more."""
        when = Attr("w").eq(branch.worker) & Attr("s").eq(branch.step) & Attr("a").eq(branch.attempt)
        when = when & (Attr("h").not_exists() | Attr("h").eq("park"))  # a worker is named only while it runs
        beating = replace(branch, heartbeat_us=now_us, lease_us=lease_us, snapshot=snapshot)
        return self._move(run_id, branch.name, when, **difference(run_id, branch, beating))

    def halt(self, run_id: str, branch: Branch, halt: Halt, stop: Stop) -> Branch:
        """Forbid a branch to go on; raises BranchRefused where it has moved since it was read, or where it goes on in
        a later attempt of the run than the one that is to stop.
        """
        return self._move(run_id, branch.name, stoppable(branch, stop), **halting(halt))

    def tell_event(self, facts: Facts, event: str, signal: Signal) -> None:
        """Tell an event what the outside says, on which the run may have gone on meanwhile; raises BranchRefused where
        it was told before, or is over.
        """
        try:
            with suppress(Overtaken):
                self.table.write([telling(facts, event, signal)])
        except Refused as refused:
            raise BranchRefused.by(refused.items[0]) from None

    # -- commits --------------------------------------------------------------------------------------------------

    def write(self, facts: Facts, commit: Commit, references: Mapping[str, str]) -> Branch:
        """Write a commit, riding or logged; answers the branch as it is now. Raises BranchRefused, RunRefused."""
        new = tuple(to_record(event, references) for event in commit.events)
        rides = self._riding(commit, new)
        alone = not (commit.logged or commit.births or commit.checks_run or commit.stop or commit.end)
        item = branch_item(facts.run_id, rides, expires_s=facts.expires_s)
        if alone and size_of(item) <= ITEM_UNIT - (_ROOM_TO_RUN if rides.status == "running" else _ROOM_TO_BE_CLAIMED):
            changed = difference(facts.run_id, commit.before, rides, item)
            return self._move(facts.run_id, rides.name, fence(commit.before), **changed)
        return self._log(facts, commit, rides if commit.checks_run and not commit.logged else None, new, references)

    def _riding(self, commit: Commit, new: tuple[Record, ...]) -> Branch:
        moved_on = commit.after.step != commit.before.step and commit.before.status != "parked"
        origin_us = None if moved_on else commit.before.origin_us
        tail = (*commit.before.tail, *new)
        return replace(commit.after, seq=commit.before.seq + 1, tail=tail, origin_us=origin_us)

    def _log(
        self, facts: Facts, commit: Commit, rides: Branch | None, new: tuple[Record, ...], references: Mapping[str, str]
    ) -> Branch:
        ending = () if commit.end is None else (to_record(commit.end, references),)
        records = ending if rides else (*commit.before.tail, *new, *ending)
        after = rides or self._logged(commit, records)
        fence_of = arriving if commit.raises else fence
        writes: list[Write] = [_branch_update(facts, commit.before, after, fence_of(commit.before))]
        writes += _run_writes(facts, commit, references)
        if records:
            writes.append(Put(commit_item(facts.run_id, records, expires_s=facts.expires_s), NEW))
        writes += [birth_put(facts, birth, after.origin_us) for birth in commit.births]
        self._transact(writes, about_run=len(_run_writes(facts, commit, references)) > 0)
        return after

    def _logged(self, commit: Commit, records: Sequence[Record]) -> Branch:
        key_us = records[0]["timestampUs"] if records else None
        origin_us = key_us if _settles(commit) or commit.before.origin_us is None else commit.before.origin_us
        return replace(commit.after, seq=commit.before.seq + 1, tail=(), origin_us=origin_us)

    def make_owed(self, facts: Facts, parent: Branch, after: Branch, births: Sequence[Birth]) -> Branch:
        """Put some of the branches that a parent owes, and note it on the parent; raises BranchRefused."""
        moved = replace(after, seq=parent.seq + 1)
        writes: list[Write] = [_branch_update(facts, parent, moved, fence(parent))]
        self._transact([*writes, *(birth_put(facts, birth, parent.origin_us) for birth in births)], about_run=False)
        return moved

    def _transact(self, writes: Sequence[Write], *, about_run: bool) -> None:
        try:
            self.table.write(writes)
        except Refused as refused:
            if 0 in refused.items or not about_run or 1 not in refused.items:
                raise BranchRefused.by(refused.items.get(0)) from None
            raise RunRefused.by(refused.items[1]) from None

    def _move(self, run_id: str, name: str, when: Condition, **changed: Any) -> Branch:
        changed["set"] = {**changed.get("set", {}), NONCE: secrets.token_hex(3)}
        try:
            return items.to_branch(self.table.write([Update(keys.branch(run_id, name), when, **changed)]))
        except Refused as refused:
            raise BranchRefused.by(refused.items[0]) from None


def scheduled(branch: Branch) -> Condition:
    """This attempt of this step is to be taken still."""
    return Attr("st").eq("scheduled") & Attr("s").eq(branch.step) & Attr("a").eq(branch.attempt)


def _settles(commit: Commit) -> bool:
    """Whether the commit's events end a step: what comes after it finds the step's output in them."""
    if commit.before.status == "parked":
        return False
    return commit.after.step != commit.before.step or commit.after.owed is not None or commit.after.status == "parked"


def _branch_update(facts: Facts, before: Branch, after: Branch, when: Condition) -> Update:
    return Update(keys.branch(facts.run_id, before.name), when, **difference(facts.run_id, before, after))


def _run_writes(facts: Facts, commit: Commit, references: Mapping[str, str]) -> list[Write]:
    """What a commit asks of the run: to take over a stop or its end, or just to be under way."""
    key = keys.run(facts.run_id)
    goes_on = GOES_ON & Attr("ra").eq(facts.run_attempt)
    if commit.stop is not None:
        due: Item = {keys.DUE_TIME: commit.after.last_us + facts.timing.grace_us}
        due |= _result(facts, commit.partial, references, commit.lost)
        return [Update(key, goes_on, set={"stop": items.pack_stop(commit.stop), **due}, add={"sq": 1})]
    if commit.end is not None:
        time_us = int(commit.end.timestamp_us)
        done: Item = {keys.DUE_SHARD: keys.done(facts.run_id), keys.DUE_TIME: time_us}
        done |= _result(facts, commit.end.output, references)
        return [Update(key, goes_on, set={"st": "completed", "te": time_us, "la": time_us, **done}, add={"sq": 1})]
    return [Check(key, goes_on)] if commit.checks_run else []


def _result(facts: Facts, text: str | None, references: Mapping[str, str], lost: int | None = None) -> Item:
    """What a child gives its parent, where that finds it by the child's number alone."""
    if facts.up is None or text is None:
        return {}
    there: Item = {"rp": references[text]} if text in references else {"rs": deflate(text)}
    return there | _present({"ls": lost})


def _present(values: Mapping[str, int | None]) -> Item:
    return {name: value for name, value in values.items() if value is not None}


def _run_in(item: Item | None) -> Run | None:
    """The run in an item; one that is being copied is not there yet."""
    return None if item is None or _is_copying(item) else items.to_run(item)


def _branch_in(item: Item | None) -> Branch | None:
    return None if item is None else items.to_branch(item)


def _is_copying(run: Item) -> bool:
    return run["st"] == "copying"
