"""How something is said of a run that a caller drives: read → judge → one transaction; who was overtaken reads again.

Every operation on caller-driven runs writes through here, so that what is stored is the fold of the events at every
moment. What may be said, and when, is the operations' business (`caller_runs`, `caller_steps`, `copies`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, reduce

from cascade_flow import clock
from cascade_flow.dynamodb import keys, registry
from cascade_flow.dynamodb.caller_ledger import CallerLedger, CallerWrite, Moved, TimesTaken
from cascade_flow.dynamodb.codec import to_wire
from cascade_flow.engine.caller import (
    CallerStep,
    Draft,
    Judge,
    Known,
    advance_run,
    advance_step,
    fold_run,
    fold_step,
    placed,
    reserved,
    spoken_of,
)
from cascade_flow.engine.repeats import repeat_of
from cascade_flow.engine.state import ENDED, Run
from cascade_flow.errors import ConflictError, EngineDrivenError, RunNotFoundError, StaleAttemptError
from cascade_flow.model.events import Event, RunSubmitted, StepEvent, WorkflowEvent, parse_event
from cascade_flow.model.ids import check_new_run_id, check_run_id, check_slug, check_step_id
from cascade_flow.operations.history import by_step
from cascade_flow.operations.runtime import Runtime
from cascade_flow.records import dataclass

LONGEST_US = 365 * 86_400_000_000
"""How long a run may take that nobody here ends: the longest that any run may."""
Fence = Callable[[Known], object]
"""Raises StaleAttemptError where what is to be said comes too late."""
_ROUNDS = 32


@dataclass(frozen=True)
class Subject:
    """What an operation is about: a workflow's run and, where it names one, a step.

    `instead`: what the engine does by itself on the runs that it drives. `makes`: the run may be new with it. `live`:
    the run must go on. `whole`: all steps are to be known.
    """

    slug: str
    run_id: str
    step_id: str | None = None
    instead: str = ""
    makes: bool = False
    live: bool = False
    whole: bool = False


class Caller:
    """Writes what callers say of their runs."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.ledger = CallerLedger(runtime.ledger.table)
        self._slugs: set[str] = set()

    def tell(self, place: Subject, judge: Judge) -> tuple[Event, ...]:
        """Write what `judge` makes of what is known; answers the events as stored.

        Raises what `judge` raises, RunNotFoundError, EngineDrivenError, InvalidIdError, PayloadTooLargeError.
        """
        taken: frozenset[int] = frozenset()
        references: dict[str, str] = {}
        for _ in range(_ROUNDS):
            known_run = self.known_run(place)
            events = placed(known_run, judge(known_run), now_us=clock.now_us(), taken=taken)
            if not events:
                return ()
            run = known_run.run or self.new_run(place)
            telling = self._telling(known_run, run, events, live=place.live)
            references |= self.put_aside(run, events, references)
            try:
                self.write(telling, references)
            except Moved:
                continue
            except TimesTaken as error:
                taken |= error.times
                continue
            self._runtime.observer.committed(events)
            return events
        raise ConflictError(run_id=place.run_id, tries=_ROUNDS)

    def say(self, place: Subject, drafts: Sequence[Draft], fence: Fence) -> tuple[Event, ...]:
        """Write the drafts where the fence lets them pass; raises as `tell`, and StaleAttemptError."""

        def judge(known_run: Known) -> Sequence[Draft]:
            self.must_pass(known_run, drafts, fence)
            return drafts

        return self.tell(place, judge)

    def must_pass(self, known_run: Known, drafts: Sequence[Draft], fence: Fence) -> None:
        """Raises the fence's StaleAttemptError; who says again what is stored already is told so by it."""
        try:
            fence(known_run)
        except StaleAttemptError as error:
            raise repeat_of(error, drafts, self.events(known_run.run) if known_run.run else ()) from None

    def reserve(self, place: Subject, *, spoken: bool = False) -> None:
        """The run is there from now on, and is (`spoken`) no copy's to take; raises as `scene`."""
        known_run = self.known_run(place)
        run = known_run.run or self.new_run(place)
        after = spoken_of(run) if spoken else run
        if after != known_run.run:
            try:
                self.write(CallerWrite(place.run_id, (known_run.run, after)), {})
            except Moved:
                self.known_run(place)

    def known_run(self, place: Subject) -> Known:
        """What is known of a place; raises RunNotFoundError, EngineDrivenError, InvalidIdError, ConflictError."""
        check_slug(place.slug)
        check_run_id(place.run_id)
        if place.whole:
            known_run = self.ledger.whole_scene(place.slug, place.run_id)
        else:
            step_id = None if place.step_id is None else check_step_id(place.step_id)
            known_run = self.ledger.known_run(place.slug, place.run_id, step_id)
        if known_run.run is not None:
            _must_be_callers(known_run.run, place)
        elif place.makes:
            check_new_run_id(place.run_id)
        else:
            raise RunNotFoundError(f"there is no run {place.run_id!r}: initialize_run or save_run_submitted makes it")
        return known_run

    def new_run(self, place: Subject) -> Run:
        """A run that is not there yet."""
        retention_us = self._runtime.timing.retention_us
        now_us = clock.now_us()
        return reserved(place.slug, place.run_id, now_us=now_us, longest_us=LONGEST_US, retention_us=retention_us)

    def write(self, telling: CallerWrite, references: Mapping[str, str]) -> None:
        """Write it all or nothing, and let the index follow; raises Moved, TimesTaken."""
        before, after = telling.run
        if after.status not in ("reserved", "copying") and (before is None or before.status == "reserved"):
            self.remember(after.workflow_slug)
        self.ledger.write(telling, references)
        if after.reviving:
            self.list_again(after)
        elif before is not None and before.status not in ENDED and after.status in ENDED:
            self._list_no_more(after)

    def remember(self, slug: str) -> None:
        """Let the runs of a workflow be listed that nobody has registered."""
        if slug not in self._slugs:
            registry.put_called(self._runtime.ledger.table, slug)
            self._slugs.add(slug)

    def events(self, run: Run) -> list[Event]:
        """All events of a run but log chunks, whole and in order."""
        records = self._runtime.payloads.whole(run.run_id, self.ledger.records(run.run_id))
        return [parse_event(to_wire(r, workflow_slug=run.workflow_slug, run_id=run.run_id)) for r in records]

    def step_after(
        self, before: CallerStep | None, new: Sequence[StepEvent], history: Callable[[], Iterable[Event]]
    ) -> CallerStep | None:
        """A step with further events: told on, or told anew where they lie in its past."""
        if before is None:
            return fold_step(new)
        if new[0].timestamp_us > before.last_us:
            return reduce(advance_step, new, before)
        known = by_step(history()).get(new[0].step_id, [])
        return fold_step(sorted([*known, *new], key=_time_of), before)

    def run_after(self, before: Run, new: Sequence[WorkflowEvent], history: Callable[[], Iterable[Event]]) -> Run:
        """A run with further events: told on, or told anew where they lie in its past or before its submission."""
        if not new:
            return spoken_of(before)
        late = before.status == "reserved" and before.last_us and any(isinstance(event, RunSubmitted) for event in new)
        if new[0].timestamp_us > before.last_us and not late:
            return reduce(advance_run, new, before)
        known = [event for event in history() if event.category == "workflow"]
        return fold_run(before, sorted([*known, *new], key=_time_of))

    def _telling(self, known_run: Known, run: Run, events: Sequence[Event], *, live: bool) -> CallerWrite:
        history = _Once(lambda: self.events(run))
        ordered = sorted(events, key=_time_of)
        after = self.run_after(run, [event for event in ordered if event.category == "workflow"], history)
        steps = {
            step_id: (known_run.known(step_id), self.step_after(known_run.known(step_id), mine, history))
            for step_id, mine in by_step(ordered).items()
        }
        return CallerWrite(run.run_id, (known_run.run, after), steps, tuple(events), live=live)

    def put_aside(self, run: Run, events: Iterable[Event], known: Mapping[str, str]) -> dict[str, str]:
        """Store texts too long for an event, but those that are known, each under a key that no other event's has;
        answers {text: its sort key}.
        """
        found: dict[str, str] = {}
        for event in events:
            for text in (getattr(event, name, None) for name in ("output", "data", "input")):
                if text is not None and text not in known:
                    found |= self._put_text(run, event, text)
        return found

    def _put_text(self, run: Run, event: Event, text: str) -> dict[str, str]:
        if event.category == "step":
            attempt = event.attempt_number
            return self._runtime.payloads.put_output(run.run_id, event.step_id, attempt, text, expires_s=run.expires_s)
        key = keys.run_payload(run.run_id, f"{event.type}#{secrets.token_hex(4)}")
        return self._runtime.payloads.put_aside(key, text, expires_s=run.expires_s)

    def list_again(self, run: Run) -> list[CallerStep]:
        """A run that goes on again brings its live steps back into the lists, which it answers.

        Until that is done the run says so itself, so that whoever dies here leaves it to the next reader.
        """
        live = self._live_steps(run)
        self.ledger.list_again(run, live)
        return live

    def _list_no_more(self, run: Run) -> None:
        """A run that ended takes its live steps out of the lists; what is left there the next reader takes out."""
        for step in self._live_steps(run):
            self.ledger.list_no_more(run.run_id, step.state.step_id)

    def _live_steps(self, run: Run) -> list[CallerStep]:
        steps = self.ledger.whole_scene(run.workflow_slug, run.run_id).steps.values()
        return [step for step in steps if step.live]


class _Once:
    """Reads a history when it is first asked for."""

    def __init__(self, read: Callable[[], list[Event]]) -> None:
        self._read = read

    def __call__(self) -> list[Event]:
        return self._events

    @cached_property
    def _events(self) -> list[Event]:
        return self._read()


def _must_be_callers(run: Run, place: Subject) -> None:
    if run.workflow_slug != place.slug:
        whose = f"that run belongs to {run.workflow_slug!r}"
        raise RunNotFoundError(f"workflow {place.slug!r} has no run {run.run_id!r}; {whose}")
    if run.driver == "engine":
        raise EngineDrivenError(f"run {run.run_id!r} is driven by the engine: {place.instead}", run_id=run.run_id)
    if run.status == "copying":
        raise ConflictError(f"run {run.run_id!r} is being copied into: try again, or repeat copy_entire_run")


def _time_of(event: Event) -> int:
    return event.timestamp_us
