"""How runs that callers drive are read and written: every event an item of its own, under "this key is free".

A write is one transaction: the events, the items of the steps and of the run whose states they change, each as it was
read, and else the check that the run is there and goes on. Runs that this project's engine drives get foreign events
here, which change no state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.changes import NEW, changes
from cascade_flow.dynamodb.codec import Record, to_record
from cascade_flow.dynamodb.items import caller_step_item, commit_item, run_item, to_caller_step, to_run
from cascade_flow.dynamodb.table import Attr, Check, Condition, Delete, Put, Refused, Table, Update, Write
from cascade_flow.engine.caller import CallerStep, Scene
from cascade_flow.engine.state import ENDED, Run
from cascade_flow.model.events import Event

_GOES_ON = Attr("st").ne("completed") & Attr("st").ne("failed") & Attr("st").ne("cancelled")
_BY_CALLER = Attr("dr").eq("caller") & Attr("st").ne("copying")


class Moved(Exception):
    """The run or a step is no longer as the writer knew it: read again."""


class TimesTaken(Exception):
    """These times belong to other events already."""

    def __init__(self, times: Iterable[int]) -> None:
        super().__init__("these times are taken")
        self.times = frozenset(times)


@dataclass(frozen=True)
class Telling:
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

    def scene(self, slug: str, run_id: str, step_id: str | None = None) -> Scene:
        """A run and one of its steps: one request."""
        wanted = [keys.run(run_id), *([] if step_id is None else [keys.branch(run_id, step_id)])]
        found = {item[keys.SORT]: item for item in self._table.batch_get(wanted)}
        run = found.pop(keys.RUN, None)
        steps = [to_caller_step(item) for item in found.values()] if _is_callers(run) else []
        return Scene(slug, run_id, None if run is None else to_run(run), next(iter(steps), None))

    def whole_scene(self, slug: str, run_id: str) -> Scene:
        """A run and all of its steps, by one query."""
        found = list(self._table.query(keys.branches(run_id)))
        if not found or found[0][keys.SORT] != keys.RUN:
            return Scene(slug, run_id, None)
        steps = map(to_caller_step, found[1:] if _is_callers(found[0]) else [])
        return Scene(slug, run_id, to_run(found[0]), steps={step.state.step_id: step for step in steps})

    def some_steps(self, run_id: str, step_ids: Iterable[str]) -> list[CallerStep]:
        """These steps; those that are not there are left out."""
        found = self._table.batch_get(keys.branch(run_id, step_id) for step_id in step_ids)
        return [to_caller_step(item) for item in found]

    def records(self, run_id: str) -> list[Record]:
        """All events of a run but log chunks, in order."""
        found = self._table.query(keys.commits(run_id))
        return [record for item in found for record in items.to_records(item)]

    def log_chunks(self, run_id: str, step_id: str | None = None) -> Iterator[tuple[keys.Key, items.Item]]:
        """The chunks of a run's log lines, or of one of its steps'."""
        for item in self._table.query(keys.logs(run_id, step_id)):
            yield keys.Key(str(item[keys.PARTITION]), str(item[keys.SORT])), item

    # -- writing --------------------------------------------------------------------------------------------------

    def write(self, telling: Telling, references: Mapping[str, str]) -> None:
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
        """Add an event that changes no state to a run of the engine's; raises TimesTaken, Moved (the run has ended)."""
        time_us = int(event.timestamp_us)
        record = commit_item(run.run_id, [to_record(event, references)], expires_s=run.expires_s)
        try:
            self._table.write([Check(keys.run(run.run_id), _GOES_ON | Attr("te").gt(time_us)), Put(record, NEW)])
        except Refused as refused:
            if 0 in refused.items:
                raise Moved from None
            raise TimesTaken([time_us]) from None

    def list_again(self, run: Run, steps: Iterable[CallerStep]) -> None:
        """Put live steps back into the index, from which they fell when their run ended."""
        for step in steps:
            item = caller_step_item(run.run_id, step, expires_s=run.expires_s)
            with suppress(Refused):
                self._table.write([Put(item, Attr("sq").eq(step.seq))])

    def list_no_more(self, run_id: str, step_id: str) -> None:
        """Take a step out of the index whose run has ended; where the run is under way again, it stays."""
        gone = frozenset({keys.DUE_SHARD, keys.DUE_TIME})
        ended = Attr("st").eq("completed") | Attr("st").eq("failed") | Attr("st").eq("cancelled")
        update = Update(keys.branch(run_id, step_id), Attr("sq").exists(), remove=gone)
        with suppress(Refused):
            self._table.write([Check(keys.run(run_id), ended), update])

    # -- copies ---------------------------------------------------------------------------------------------------

    def begin_copy(self, run: Run) -> None:
        """Take a run's id for a copy, which nobody sees; raises Moved where the id is in use."""
        free = NEW | Attr("st").eq("copying") | (Attr("st").eq("reserved") & Attr("la").eq(0) & Attr("dr").eq("caller"))
        try:
            self._table.write([Put(run_item(replace(run, status="copying", due_us=None)), free)])
        except Refused:
            raise Moved from None

    def fill_copy(self, run: Run, records: Sequence[Record], steps: Sequence[CallerStep]) -> None:
        """Write the events and steps of a copy, and clear away what an interrupted one has left."""
        times, names = {record["timestampUs"] for record in records}, {step.state.step_id for step in steps}
        known = self.whole_scene(run.workflow_slug, run.run_id).steps
        left = [keys.branch(run.run_id, name) for name in known.keys() - names]
        found = {record["timestampUs"] for record in self.records(run.run_id)}
        left += [keys.commit(run.run_id, time_us) for time_us in found - times]
        for key in left:
            self._table.write([Delete(key)])
        for record in records:
            self._table.write([Put(commit_item(run.run_id, [record], expires_s=run.expires_s))])
        for step in steps:
            self._table.write([Put(caller_step_item(run.run_id, step, expires_s=run.expires_s))])

    def end_copy(self, run: Run, records: Sequence[Record]) -> None:
        """Let the copy be seen, whole; raises Moved where another has done so."""
        try:
            self._table.write([Put(run_item(_with_submission(run, records)), Attr("st").eq("copying"))])
        except Refused:
            raise Moved from None

    def put_log_chunk(self, key: keys.Key, item: items.Item, *, expires_s: int) -> None:
        """Write a chunk of log lines into another run."""
        self._table.write([Put({**item, keys.PARTITION: key.pk, keys.SORT: key.sk, keys.EXPIRY: expires_s})])

    def forget_log_chunk(self, run_id: str, key: keys.Key) -> None:
        """Delete a chunk of log lines."""
        self._table.write([Check(keys.run(run_id), _BY_CALLER), Delete(key)])


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
        return Check(keys.run(after.run_id), _BY_CALLER & _GOES_ON if live else _BY_CALLER)
    known = _BY_CALLER & Attr("sq").eq(before.seq)
    return Update(keys.run(after.run_id), known, **changes(run_item(before), run_item(after)))


def _step_write(run: Run, step_id: str, before: CallerStep | None, after: CallerStep | None) -> Write:
    known: Condition = NEW if before is None else Attr("sq").eq(before.seq)
    if after is None:
        return Delete(keys.branch(run.run_id, step_id), known)
    item = caller_step_item(run.run_id, after, expires_s=run.expires_s)
    if run.status in ENDED:
        item = {name: value for name, value in item.items() if name not in (keys.DUE_SHARD, keys.DUE_TIME)}
    return Put(item, known)
