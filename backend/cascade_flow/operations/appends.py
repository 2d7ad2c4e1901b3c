"""Events that somebody else has made, stored as they are.

Runs that callers drive take any; runs that the engine drives only those that change no state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cascade_flow import clock
from cascade_flow.dynamodb.caller_ledger import Moved, TimesTaken
from cascade_flow.engine.caller import Draft, Known, placed, redraft
from cascade_flow.engine.event_writer import tick
from cascade_flow.engine.state import ENDED, Facts, Run
from cascade_flow.errors import CascadeFlowError, ConflictError, EngineDrivenError
from cascade_flow.model.events import Event
from cascade_flow.model.ids import check_run_id, check_slug
from cascade_flow.operations.caller import Caller, Subject
from cascade_flow.operations.runtime import Runtime
from cascade_flow.projection import changes_state

_ROUNDS = 64


class Appends:
    """Appends to the runs of one table."""

    def __init__(self, runtime: Runtime, caller: Caller) -> None:
        self._runtime = runtime
        self._caller = caller

    def append(self, slug: str, run_id: str, event: Event) -> Event:
        """Store an event at its time, or as soon after as is free; the run is made where it is not there yet.

        Raises EngineDrivenError, RunNotFoundError (the run is another workflow's), InvalidIdError, EventInvalidError,
        PayloadTooLargeError.
        """
        return self.append_draft(slug, run_id, redraft(event))

    def append_draft(self, slug: str, run_id: str, said: Draft) -> Event:
        """The same with an event that has no place yet; its time is now unless it names one."""
        run = self._runtime.ledger.run(check_run_id(run_id))
        if run is not None and run.driver == "engine":
            return self._append_foreign(self._runtime.run_of(check_slug(slug), run_id), said)
        place = Subject(slug, run_id, said.fields.get("step_id"), makes=True)
        [stored] = self._caller.tell(place, lambda _: [said])
        return stored

    def append_all(self, events: Iterable[Event]) -> list[Event]:
        """Append one by one; on an error its `facts["stored"]` holds the events that were stored before it."""
        stored: list[Event] = []
        for event in events:
            try:
                stored.append(self.append(event.workflow_slug, event.run_id, event))
            except CascadeFlowError as error:
                error.facts["stored"] = tuple(stored)
                error.add_note(f"{len(stored)} events before it were stored, the last with id {_last(stored)}")
                raise
        return stored

    def _append_foreign(self, run: Run, said: Draft) -> Event:
        """Add it in the residue that is kept for foreign events, so that it never meets an event of the engine's."""
        facts = self._runtime.facts(run)
        now_us = clock.now_us()
        wanted_us = max(run.created_us + 1, now_us if said.at_us is None else min(said.at_us, now_us))
        for _ in range(_ROUNDS):
            event = _at(run, facts, said, wanted_us)
            _must_change_nothing(run, event, facts)
            try:
                self._caller.ledger.append_foreign(run, event, self._put_aside(run, event))
            except TimesTaken:
                wanted_us = int(event.timestamp_us) + 1
                continue
            except Moved:
                run = self._as_it_is_now(run)
                continue
            return event
        raise ConflictError(run_id=run.run_id)

    def _as_it_is_now(self, known: Run) -> Run:
        """A run that has ended, or goes on again, since it was read; raises EngineDrivenError for any other."""
        run = self._runtime.run(known.run_id)
        if (run.status in ENDED) == (known.status in ENDED):
            raise EngineDrivenError(f"run {run.run_id!r} has ended: nothing is added after its end") from None
        return run

    def _put_aside(self, run: Run, event: Event) -> Mapping[str, str]:
        data = getattr(event, "data", None)
        if data is None or event.category != "step":
            return {}
        place = (run.run_id, event.step_id, event.attempt_number)
        return self._runtime.payloads.put_output(*place, data, expires_s=run.expires_s)


def _at(run: Run, facts: Facts, said: Draft, wanted_us: int) -> Event:
    modulus = facts.graph.modulus
    time_us = tick(wanted_us, modulus=modulus, residue=modulus - 1)
    known_run = Known(run.workflow_slug, run.run_id, run)
    return placed(known_run, [Draft(said.kind, said.fields, time_us)], now_us=time_us, taken=frozenset())[0]


def _must_change_nothing(run: Run, event: Event, facts: Facts) -> None:
    if changes_state(event):
        raise EngineDrivenError(
            f"run {run.run_id!r} is driven by the engine, and {event.type} would change its state: only events that "
            "change none can be appended; report the step's result instead",
            run_id=run.run_id,
        )
    if event.category == "step":
        facts.graph.step(event.step_id)


def _last(events: Sequence[Event]) -> str:
    return events[-1].event_id if events else "none"
