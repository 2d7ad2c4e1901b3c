"""Copies of what happened, and its deletion: how somebody else's engine makes new runs out of old ones.

A copy of a whole run is filled while nobody can see it, and shows at once; interrupted, it is repeated under the same
id. The other operations write one transaction for each 90 events; interrupted, they are repeated, and what was done
already is not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial

from cascade_flow.dynamodb.caller_items import caller_step_item
from cascade_flow.dynamodb.caller_ledger import CallerWrite, Moved, chunk_of
from cascade_flow.dynamodb.codec import to_record
from cascade_flow.dynamodb.items import commit_item
from cascade_flow.engine.caller import Draft, fold_run, fold_step, redraft
from cascade_flow.engine.state import Run
from cascade_flow.errors import ConflictError
from cascade_flow.model.events import Event, WorkflowCancelled, WorkflowCompleted, WorkflowFailed
from cascade_flow.model.ids import check_new_run_id, check_run_id, check_step_id
from cascade_flow.operations.caller import Caller, Subject
from cascade_flow.operations.history import Histories, by_step
from cascade_flow.operations.runtime import Runtime
from cascade_flow.records import replace

_AT_ONCE = 90
"""Events in one transaction, which holds 100 items."""
_BYTES_AT_ONCE = 1_000_000
"""What they may have together, unpacked: a transaction holds 4 MB, and their steps' states repeat a part of it."""
_ROUNDS = 16
_TERMINAL = (WorkflowCompleted, WorkflowFailed, WorkflowCancelled)
_COPIES = "let rerun_from or resume_run make a new run out of an old one"
_DELETES = "its history stays as it is; let retry_run try the run again"


class Copies:
    """Copies and deletions in one table."""

    def __init__(self, runtime: Runtime, caller: Caller, histories: Histories) -> None:
        self._runtime = runtime
        self._caller = caller
        self._histories = histories

    def whole(self, slug: str, source_id: str, target_id: str) -> None:
        """Copy a run, of either driver, under a new id, whole or not at all; the copy is its caller's to drive.

        Raises RunNotFoundError; ConflictError where the id is taken, be it by the run itself.
        """
        source = self._runtime.run_of(slug, check_run_id(source_id))
        place = Subject(slug, check_new_run_id(target_id), instead=_COPIES, makes=True)
        empty = replace(self._caller.new_run(place), origin_run_id=source.first_run_id)
        try:
            if source_id == target_id:
                raise Moved
            self._fill(source, empty, self._caller.ledger.begin_copy(empty))
        except Moved:
            raise ConflictError(f"run id {target_id!r} is taken: choose another") from None

    def workflow_events(self, slug: str, source_id: str, target_id: str, *, exclude_terminal: bool) -> None:
        """Copy the events of a run as a whole into another; raises RunNotFoundError, EngineDrivenError."""
        events = [event for event in self._source(slug, source_id) if event.category == "workflow"]
        wanted = [event for event in events if not (exclude_terminal and isinstance(event, _TERMINAL))]
        self._copy(Subject(slug, target_id, instead=_COPIES, makes=True, whole=True), wanted)

    def step_events(self, slug: str, source_id: str, target_id: str, *, step_ids: Iterable[str]) -> None:
        """Copy the events of these steps, with their logs, into another run; raises as `workflow_events`."""
        wanted = {check_step_id(step_id) for step_id in step_ids}
        events = by_step(self._source(slug, source_id))
        place = Subject(slug, target_id, instead=_COPIES, makes=True, whole=True)
        self._copy(place, [event for step_id in sorted(wanted) for event in events.get(step_id, [])])
        self._copy_lines(Subject(slug, target_id, instead=_COPIES, makes=True), source_id, sorted(wanted))

    def delete_steps(self, slug: str, run_id: str, *, step_ids: Iterable[str]) -> None:
        """Forget all that happened to these steps, each step whole; raises RunNotFoundError, EngineDrivenError."""
        for step_id in dict.fromkeys(map(check_step_id, step_ids)):
            place = Subject(slug, run_id, step_id, _DELETES)
            self._persistently(partial(self._forget_lines, place))
            while not self._persistently(partial(self._forget_newest, place)):
                pass

    def delete_terminal(self, slug: str, run_id: str) -> None:
        """Forget how a run ended, so that it goes on; raises RunNotFoundError, EngineDrivenError."""
        self._persistently(lambda: self._forget_ends(Subject(slug, run_id, instead=_DELETES)))

    # -- copies ---------------------------------------------------------------------------------------------------

    def _fill(self, source: Run, empty: Run, nonce: str) -> None:
        events = self._events_for(source, empty)
        of_run = [event for event in events if event.category == "workflow"]
        run = fold_run(empty, of_run)
        references = self._caller.put_aside(run, events, {})
        steps = [step for mine in by_step(events).values() if (step := fold_step(mine)) is not None]
        records = [to_record(event, references) for event in events]
        found = [commit_item(run.run_id, [record], expires_s=run.expires_s) for record in records]
        found += [caller_step_item(run, step) for step in steps]
        found += [chunk_of(run, chunk) for _, chunk in self._caller.ledger.log_chunks(source.run_id)]
        self._caller.ledger.fill_copy(run, nonce, found)
        if run.status != "reserved":
            self._caller.remember(run.workflow_slug)
        self._caller.ledger.end_copy(run, nonce, records)

    def _events_for(self, source: Run, target: Run) -> list[Event]:
        events = self._source(source.workflow_slug, source.run_id)
        return [event.model_copy(update={"run_id": target.run_id}) for event in events]

    def _source(self, slug: str, run_id: str) -> Sequence[Event]:
        run = self._runtime.run_of(slug, check_run_id(run_id))
        story = self._histories.story(run.run_id)
        return story.events if story else ()

    def _copy(self, place: Subject, events: Sequence[Event]) -> None:
        missing = self._missing(place, events)
        if not missing:
            self._caller.reserve(place)
        for batch in _batches(missing):
            drafts = [redraft(event) for event in batch]
            self._caller.tell(place, lambda _, drafts=drafts: drafts)  # type: ignore[misc]

    def _copy_lines(self, target: Subject, source_id: str, step_ids: Iterable[str]) -> None:
        ledger = self._caller.ledger
        chunks = [chunk for step_id in step_ids for _, chunk in ledger.log_chunks(source_id, step_id)]
        if chunks:
            self._caller.reserve(target, spoken=True)
            run = self._here(target)
            for chunk in chunks:
                ledger.put_log_chunk(run, chunk)

    def _missing(self, place: Subject, events: Sequence[Event]) -> list[Event]:
        """The events that an earlier, interrupted copy has not brought already, be it to a later time."""
        target = self._caller.known_run(place).run
        known = self._caller.events(target) if target else ()
        there: dict[int, Draft | None] = {int(event.timestamp_us): redraft(event) for event in known}
        return [event for event in events if not _taken_from(there, redraft(event))]

    # -- deletion -------------------------------------------------------------------------------------------------

    def _here(self, place: Subject) -> Run:
        run = self._caller.known_run(place).run
        assert run is not None, "a place that makes no run has one"
        return run

    def _forget_lines(self, place: Subject) -> bool:
        run_id = self._here(place).run_id
        for key, _ in self._caller.ledger.log_chunks(run_id, place.step_id):
            self._caller.ledger.forget_log_chunk(run_id, key)
        return True

    def _forget_newest(self, place: Subject) -> bool:
        """Forget the newest events of a step; True when none is left."""
        known_run = self._caller.known_run(place)
        if known_run.run is None or known_run.step is None:
            return True
        events = by_step(self._caller.events(known_run.run)).get(known_run.step.state.step_id, [])
        kept, gone = events[:-_AT_ONCE], events[-_AT_ONCE:]
        after = fold_step(kept, known_run.step)
        steps = {known_run.step.state.step_id: (known_run.step, after)}
        self._caller.write(CallerWrite(place.run_id, (known_run.run, known_run.run), steps, forgotten=_times(gone)), {})
        return not kept

    def _forget_ends(self, place: Subject) -> bool:
        run = self._here(place)
        events = [event for event in self._caller.events(run) if event.category == "workflow"]
        gone = [event for event in events if isinstance(event, _TERMINAL)]
        if gone:
            after = fold_run(run, [event for event in events if event not in gone])
            self._caller.write(CallerWrite(place.run_id, (run, after), forgotten=_times(gone)), {})
        return True

    def _persistently(self, act: Callable[[], bool]) -> bool:
        for _ in range(_ROUNDS):
            try:
                return act()
            except Moved:
                continue
        raise ConflictError(tries=_ROUNDS)


def _batches(events: Iterable[Event]) -> Iterator[Sequence[Event]]:
    """Parts that a transaction holds: their events, and as many steps as they are of."""
    part: list[Event] = []
    steps: set[str | None] = set()
    size = 0
    for event in events:
        step_id, more = getattr(event, "step_id", None), len(event.model_dump_json().encode())
        if part and (len(part) + len(steps | {step_id}) >= _AT_ONCE or size + more > _BYTES_AT_ONCE):
            yield part
            part, steps, size = [], set(), 0
        part.append(event)
        steps.add(step_id)
        size += more
    if part:
        yield part


def _taken_from(there: dict[int, Draft | None], wanted: Draft) -> bool:
    """Whether an event is there, at its time or, where others had that, at the next free one; each counts once."""
    time_us = wanted.at_us or 0
    while time_us in there:
        found = there[time_us]
        if found is not None and (found.kind, found.fields) == (wanted.kind, wanted.fields):
            there[time_us] = None
            return True
        time_us += 1
    return False


def _times(events: Collection[Event]) -> tuple[int, ...]:
    return tuple(int(event.timestamp_us) for event in events)
