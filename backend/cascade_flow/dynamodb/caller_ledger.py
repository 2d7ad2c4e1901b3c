"""How runs that callers drive are read and written: every event an item of its own, under "this key is free".

A write is one transaction: the events, the items of the steps and of the run whose states they change, each as it was
read, and else the check that the run is there and goes on. Runs that this project's engine drives get foreign events
here, which change no state.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field

from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.caller_items import caller_step_item, to_caller_step
from cascade_flow.dynamodb.changes import NEW, changes
from cascade_flow.dynamodb.codec import Record, to_record
from cascade_flow.dynamodb.items import commit_item, run_item, to_run
from cascade_flow.dynamodb.table import NONCE, Attr, Check, Condition, Delete, Put, Refused, Table, Update, Write
from cascade_flow.engine.caller import UNSPOKEN, CallerStep, Known
from cascade_flow.engine.state import ENDED, Run
from cascade_flow.model.events import Event
from cascade_flow.portions import portions
from cascade_flow.records import dataclass, replace

_AT_ONCE = 90
_AT_ONCE_BYTES = 2_000_000
"""What one transaction of a copy holds; DynamoDB takes 100 items and 4 MB."""
_GOES_ON = Attr("st").ne("completed") & Attr("st").ne("failed") & Attr("st").ne("cancelled")
_HAS_ENDED = Attr("st").eq("completed") | Attr("st").eq("failed") | Attr("st").eq("cancelled")
_BY_CALLER = Attr("dr").eq("caller") & Attr("st").ne("copying")


class Moved(Exception):
    """The run or a step is no longer as the writer knew it: read again."""


class TimesTaken(Exception):
    """These times belong to other events already."""

    def __init__(self, times: Iterable[int]) -> None:
        super().__init__("these times are taken")
        self.times = frozenset(times)


@dataclass(frozen=True)
class CallerWrite:
    """What is to be written, all of it or nothing.

    `run` and `steps` say what was known and what is true after it; a step that is None afterwards is taken away. A run
    that stays as it is is only checked, and must go on where `live` says so. `forgotten` are the times of events that
    are taken away.
    """

    run_id: str
    run: tuple[Run | None, Run]
    steps: Mapping[str, tuple[CallerStep | None, CallerStep | None]] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    forgotten: tuple[int, ...] = ()
    live: bool = False

    @property
    def size(self) -> int:
        """How many items it writes or checks."""
        return 1 + len(self.steps) + len(self.events) + len(self.forgotten)


class CallerLedger:
    """The caller-driven runs of one table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    # -- reading --------------------------------------------------------------------------------------------------

    def known_run(self, slug: str, run_id: str, step_id: str | None = None) -> Known:
        """A run and one of its steps: one request."""
        wanted = [keys.run(run_id), *([] if step_id is None else [keys.branch(run_id, step_id)])]
        found = {item[keys.SORT]: item for item in self._table.batch_get(wanted)}
        run = found.pop(keys.RUN, None)
        steps = [to_caller_step(item) for item in found.values()] if _is_callers(run) else []
        return Known(slug, run_id, None if run is None else to_run(run), next(iter(steps), None))

    def whole_scene(self, slug: str, run_id: str) -> Known:
        """A run and all of its steps, by one query."""
        found = list(self._table.query(keys.branches(run_id)))
        if not found or found[0][keys.SORT] != keys.RUN:
            return Known(slug, run_id, None)
        steps = map(to_caller_step, found[1:] if _is_callers(found[0]) else [])
        return Known(slug, run_id, to_run(found[0]), steps={step.state.step_id: step for step in steps})

    def records(self, run_id: str) -> list[Record]:
        """All events of a run but log chunks, in order."""
        found = self._table.query(keys.commits(run_id))
        return [record for item in found for record in items.to_records(item)]

    def log_chunks(self, run_id: str, step_id: str | None = None) -> Iterator[tuple[keys.Key, items.Item]]:
        """The chunks of a run's log lines, or of one of its steps'."""
        for item in self._table.query(keys.logs(run_id, step_id)):
            yield keys.Key(str(item[keys.PARTITION]), str(item[keys.SORT])), item

    # -- writing --------------------------------------------------------------------------------------------------

    def write(self, telling: CallerWrite, references: Mapping[str, str]) -> None:
        """Write it all or nothing; raises Moved, TimesTaken."""
        before, after = telling.run
        records = [to_record(event, references) for event in telling.events]
        after = _with_submission(after, records)
        writes: list[Write] = [_run_write(before, after, live=telling.live)]
        writes += [_step_write(after, step_id, *step) for step_id, step in telling.steps.items()]
        first = len(writes)
        writes += [Put(commit_item(telling.run_id, [record], expires_s=after.expires_s), NEW) for record in records]
        writes += [Delete(keys.commit(telling.run_id, time_us)) for time_us in telling.forgotten]
        try:
            self._table.write(writes)
        except Refused as refused:
            if any(number < first for number in refused.items):
                raise Moved from None
            raise TimesTaken(int(telling.events[number - first].timestamp_us) for number in refused.items) from None

    def append_foreign(self, run: Run, event: Event, references: Mapping[str, str]) -> None:
        """Add an event that changes no state to a run of the engine's; raises TimesTaken, Moved (the run has ended, or
        goes on again, since it was read; or it had ended by the event's time).
        """
        time_us = int(event.timestamp_us)
        record = commit_item(run.run_id, [to_record(event, references)], expires_s=run.expires_s)
        try:
            self._table.write([_foreign_to(run, event), Put(record, NEW)])
        except Refused as refused:
            if 0 in refused.items:
                raise Moved from None
            raise TimesTaken([time_us]) from None

    def list_again(self, run: Run, steps: Iterable[CallerStep]) -> None:
        """Put live steps back into the index, from which they fell when their run ended, and note that they are there.

        A step or a run that has moved meanwhile is left to who moved it, and to the next reader.
        """
        for step in steps:
            with suppress(Refused):
                self._table.write([Put(caller_step_item(run, step), Attr("sq").eq(step.seq))])
        noted = Update(keys.run(run.run_id), Attr("sq").eq(run.seq), remove=frozenset({"rv"}))
        with suppress(Refused):
            self._table.write([noted])

    def list_no_more(self, run_id: str, step_id: str) -> None:
        """Take a step out of the index whose run has ended; where the run is under way again, it stays."""
        gone = frozenset({keys.DUE_SHARD, keys.DUE_TIME})
        update = Update(keys.branch(run_id, step_id), Attr("sq").exists(), remove=gone)
        with suppress(Refused):
            self._table.write([Check(keys.run(run_id), _HAS_ENDED), update])

    # -- copies ---------------------------------------------------------------------------------------------------

    def begin_copy(self, run: Run) -> str:
        """Take a run's id for a copy, which nobody sees, also from a copier who went before; answers the copy's nonce.

        Raises Moved where the id is in use.
        """
        nonce = secrets.token_hex(8)
        unspoken = Attr("st").eq("reserved") & Attr("sq").eq(UNSPOKEN)
        free = NEW | Attr("st").eq("copying") | unspoken
        try:
            self._table.write([Put({**run_item(replace(run, status="copying", due_us=None)), NONCE: nonce}, free)])
        except Refused:
            raise Moved from None
        return nonce

    def fill_copy(self, run: Run, nonce: str, found: Sequence[items.Item]) -> None:
        """Write the items of a copy, and clear away what an interrupted one has left; raises Moved where another has
        taken the copy over.
        """
        wanted = {str(item[keys.SORT]) for item in found}
        spans = (keys.branches(run.run_id), keys.commits(run.run_id), keys.logs(run.run_id))
        there = {str(item[keys.SORT]) for span in spans for item in self._table.query(span)} - {keys.RUN}
        place = keys.run(run.run_id)
        writes: list[Write] = [Delete(place._replace(sk=sort)) for sort in sorted(there - wanted)]
        writes += [Put(item) for item in found]
        mine = Check(place, Attr(NONCE).eq(nonce))
        for part in _parts(writes):
            try:
                self._table.write([mine, *part])
            except Refused:
                raise Moved from None

    def end_copy(self, run: Run, nonce: str, records: Sequence[Record]) -> None:
        """Let the copy be seen, whole; raises Moved where another has taken it over."""
        item = {**run_item(_with_submission(run, records)), NONCE: nonce}
        try:
            self._table.write([Put(item, Attr(NONCE).eq(nonce))])
        except Refused:
            raise Moved from None

    def put_log_chunk(self, run: Run, item: items.Item) -> None:
        """Write a chunk of another run's log lines into this run."""
        self._table.write([Put(chunk_of(run, item))])

    def forget_log_chunk(self, run_id: str, key: keys.Key) -> None:
        """Delete a chunk of log lines; raises Moved where the run is gone, or is being copied into."""
        try:
            self._table.write([Check(keys.run(run_id), _BY_CALLER), Delete(key)])
        except Refused:
            raise Moved from None


def _foreign_to(run: Run, event: Event) -> Write:
    """What an event that changes no state asks of its run. One that reports ask for moves a run that has ended in the
    index, so that what they have kept of it is believed no more.
    """
    from cascade_flow.analytics.digests import matters  # noqa: PLC0415  (the reaper adds nothing, and imports this)

    key, in_its_time = keys.run(run.run_id), Attr("te").gt(int(event.timestamp_us))
    if not matters(event):
        return Check(key, _GOES_ON | in_its_time)
    if run.status in ENDED:
        return Update(key, in_its_time, add={"sq": 1, keys.DUE_TIME: 1})
    return Check(key, _GOES_ON)


def chunk_of(run: Run, item: items.Item) -> items.Item:
    """A chunk of log lines as a chunk of this run's."""
    return {**item, keys.PARTITION: keys.run(run.run_id).pk, keys.EXPIRY: run.expires_s}


def _parts(writes: Iterable[Write]) -> Iterator[Sequence[Write]]:
    """The writes in parts that a transaction holds."""
    return portions(writes, size_of=_bytes, most_bytes=_AT_ONCE_BYTES, most=_AT_ONCE)


def _bytes(write: Write) -> int:
    return items.size_of(write.item) if isinstance(write, Put) else 0


def _is_callers(run: items.Item | None) -> bool:
    return run is not None and run.get("dr") == "caller"


def _with_submission(run: Run, records: Sequence[Record]) -> Run:
    """The run with its RunSubmitted beside its state, so that one read tells all of it."""
    mine = [r for r in records if r["type"] == "RunSubmitted" and r["timestampUs"] == run.created_us]
    return replace(run, tail=tuple(mine)) if mine and run.status not in ("reserved", "copying") else run


def _run_write(before: Run | None, after: Run, *, live: bool) -> Write:
    if before is None:
        return Put(run_item(after), NEW)
    if before == after:
        return Check(keys.run(after.run_id), _stays(before, live=live))
    known = _BY_CALLER & Attr("sq").eq(before.seq)
    return Update(keys.run(after.run_id), known, **changes(run_item(before), run_item(after)))


def _stays(run: Run, *, live: bool) -> Condition:
    """What a run that stays as it is must be: under way where the writer says so, and still ended where it was, since
    of an ended run no step is put into the index.
    """
    if run.status in ENDED:
        return _BY_CALLER & Attr("st").eq(run.status)
    return _BY_CALLER & _GOES_ON if live else _BY_CALLER


def _step_write(run: Run, step_id: str, before: CallerStep | None, after: CallerStep | None) -> Write:
    known: Condition = NEW if before is None else Attr("sq").eq(before.seq)
    if after is None:
        return Delete(keys.branch(run.run_id, step_id), known)
    return Put(caller_step_item(run, after), known)
