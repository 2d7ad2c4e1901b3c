"""Who was told what, kept outside of the engine: what a run has left in the table must agree with it.

The checker reads what is stored and can't know what was said to whom. Here each worker notes what it was given, what it
said and what it was answered; readers note what they have seen.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cascade_flow import (
    Event,
    LogEntry,
    StepCheckpoint,
    StepCompleted,
    StepFailed,
    StepReclaimed,
    StepSkipped,
    StepStarted,
)
from checker import Checked

End = type[StepCompleted] | type[StepFailed] | type[StepSkipped] | type[LogEntry]
"""Of an attempt that was postponed, the line that says so is the end."""


class Mark(NamedTuple):
    """One attempt of one step."""

    run_id: str
    step: str
    attempt: int


class Said(NamedTuple):
    """What somebody has reported of an attempt, in words of his own: an output, an error's stack, a skip's reason.
    Who postpones it says nothing.
    """

    mark: Mark
    end: End
    words: str | None


class Sent(NamedTuple):
    """An event from outside that somebody was told was taken."""

    run_id: str
    event: str
    data: str


@dataclass
class Oracle:
    """What all have noted; `check` holds a run against it."""

    holders: dict[Mark, str] = field(default_factory=dict)
    given: dict[Mark, Mapping[str, str | None]] = field(default_factory=dict)
    accepted: list[Said] = field(default_factory=list)
    refused: list[Said] = field(default_factory=list)
    checkpoints: list[tuple[Mark, str, str]] = field(default_factory=list)
    beats_us: dict[Mark, int] = field(default_factory=dict)
    signs_us: dict[Mark, list[int]] = field(default_factory=lambda: defaultdict(list))
    seen: dict[str, set[str]] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)

    def holds(self, mark: Mark, worker: str, given: Mapping[str, str | None]) -> None:
        """A worker was told that an attempt is its own, and given this."""
        holder = self.holders.setdefault(mark, worker)
        assert holder == worker, f"{mark} is held by {holder}, and by {worker}"
        self.given[mark] = given

    def beats(self, mark: Mark, now_us: int) -> None:
        """A worker was told that it holds an attempt still."""
        self.beats_us[mark] = now_us
        self.signs_us[mark].append(now_us)

    def saw(self, run_id: str, events: Iterable[Event]) -> None:
        """A reader was shown these events."""
        self.seen.setdefault(run_id, set()).update(event.event_id for event in events if event.type not in _SOFT)

    def check(self, checked: Checked, *, clocks_agree: bool = True) -> None:
        """Assert that the run has become what everybody was told."""
        run_id, events = checked.story.run.run_id, _by_mark(checked)
        self._check_holders(run_id, events)
        self._check_given(run_id, checked)
        self._check_said(run_id, events)
        self._check_checkpoints(run_id, checked)
        self._check_sent(run_id, checked)
        if clocks_agree:
            self._check_beats(run_id, events, checked.facts.timing.lease_us)
        gone = self.seen.get(run_id, set()) - {event.event_id for event in checked.events}
        assert not gone, f"somebody has seen events that are no more: {gone}"

    def _check_holders(self, run_id: str, events: Mapping[tuple[Mark, type], Any]) -> None:
        for mark, worker in self.holders.items():
            if mark.run_id == run_id:
                started = events.get((mark, StepStarted))
                assert started is not None, f"{worker} was told that it holds {mark}, which nobody has begun"
                assert started.worker_id == worker, f"{worker} was told that it holds {mark}: {started}"

    def _check_given(self, run_id: str, checked: Checked) -> None:
        told_of = (*checked.undone, *checked.events)
        ends = [event for event in told_of if isinstance(event, StepCompleted | StepSkipped)]
        won = {event.step_id: event.output if isinstance(event, StepCompleted) else None for event in ends}
        if (up := checked.story.run.up) is not None and up.is_item:
            won = defaultdict(lambda: checked.story.run.tail[0].get("input"))  # all that it is given is its item
        for mark, given in self.given.items():
            if mark.run_id == run_id:
                told = {step: _value(output) for step, output in given.items()}
                assert told == {step: _value(won[step]) for step in given}, f"{mark} was given other outputs"

    def _check_said(self, run_id: str, events: Mapping[tuple[Mark, type], Any]) -> None:
        for mark, end, words in (said for said in self.accepted if said.mark.run_id == run_id):
            event = events.get((mark, end))
            assert event is not None, f"it was taken, and is not there: {end.__name__} of {mark}"
            assert _words(event) == _spoken(end, words), f"other words than were said: {event}"
        for mark, end, words in (said for said in self.refused if said.mark.run_id == run_id):
            event = events.get((mark, end))
            assert event is None or _words(event) != _spoken(end, words), f"it was refused, and is there: {event}"

    def _check_checkpoints(self, run_id: str, checked: Checked) -> None:
        stored = {
            (Mark(run_id, event.step_id, event.attempt_number), event.name, event.data)
            for event in checked.events
            if isinstance(event, StepCheckpoint)
        }
        kept = {checkpoint for checkpoint in self.checkpoints if checkpoint[0].run_id == run_id}
        assert kept <= stored, f"checkpoints that are not there: {kept - stored}"

    def _check_sent(self, run_id: str, checked: Checked) -> None:
        """Who was told that it was first was: nothing else has come of the event, but a skip of what it depends on."""
        for _, event, data in (sent for sent in self.sent if sent.run_id == run_id):
            mine = [each for each in checked.events if getattr(each, "step_id", None) == event]
            given = [_value(each.output) for each in mine if isinstance(each, StepCompleted)]
            assert given in ([], [_value(data)]), f"{event} was sent {data}, and gave {given}"
            assert not [e for e in mine if isinstance(e, StepSkipped) and e.skip_type == "primary"], f"{event} was sent"
            over = given or [each for each in mine if isinstance(each, StepSkipped)]
            assert over or checked.status != "completed", f"the run has completed without {event}"

    def _check_beats(self, run_id: str, events: Mapping[tuple[Mark, type], Any], lease_us: int) -> None:
        """Nobody takes an attempt from a worker that was told, less than a lease ago, that it holds it."""
        for mark, beat_us in self.beats_us.items():
            if mark.run_id == run_id and (reclaimed := events.get((mark, StepReclaimed))) is not None:
                assert reclaimed.timestamp_us >= beat_us + lease_us, f"taken from who was not silent: {reclaimed}"


_SOFT = ("LogEntry", "StepHeartbeat")
"""Events whose times a reader may move, or of which only the newest is kept."""


def _by_mark(checked: Checked) -> Mapping[tuple[Mark, type], Any]:
    run_id = checked.story.run.run_id
    told: Sequence[Any] = [event for event in checked.events if hasattr(event, "attempt_number")]
    return {(Mark(run_id, event.step_id, event.attempt_number), type(event)): event for event in told}


def _words(event: Any) -> Any:
    """Who says something of the attempt of another, as sweeps and meddlers may, has words of its own."""
    match event:
        case StepCompleted():
            return _value(event.output)
        case StepFailed():
            return event.error.stack
        case StepSkipped():
            return event.reason
        case _:
            return None


def _spoken(end: End, words: str | None) -> Any:
    return _value(words) if end is StepCompleted else words


def _value(output: str | None) -> Any:
    return None if output is None else json.loads(output)
