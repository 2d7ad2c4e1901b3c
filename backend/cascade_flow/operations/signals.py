"""What the outside says to a run: an event is told, once, and then looked at (protocol.md §13).

It may be told before anybody waits for it, and while its run is still to start; it is kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

from cascade_flow import clock
from cascade_flow.dynamodb.changes import BranchRefused, RunRefused
from cascade_flow.engine.joins import beyond
from cascade_flow.engine.state import ENDED, Branch, Facts, Run, Signal
from cascade_flow.errors import (
    ArgumentInvalidError,
    ConflictError,
    EventClosedError,
    EventNotFoundError,
)
from cascade_flow.graph import Graph
from cascade_flow.model.ids import check_step_id
from cascade_flow.model.parts import ValidationIssue
from cascade_flow.model.states import SentEvent
from cascade_flow.model.workflows import EventDefinition
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.outputs import outputs_in
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.validation import check_data
from cascade_flow.serialization import safe_serialize

_ROUNDS = 8
_LONGEST_KEY = 256
_log = logging.getLogger(__name__)


class Signals:
    """Events from outside, to the runs of one table."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._after_commit = AfterCommit(runtime)

    def send(self, run_id: str, event: str, data: Any, *, key: str | None = None, via: str = "signal") -> SentEvent:
        """Tell a run that something has happened outside; who says the same again is told that it is known.

        `key` is the sender's own for this: with it, the same is what has the same key and data; without, the same data.
        `via` says which way it came.

        Raises RunNotFoundError, EventNotFoundError, InputInvalidError (the data is not what the event takes),
        EventClosedError (somebody else was first, or it is too late), InvalidIdError, PayloadTooLargeError.
        """
        _check_key(key)
        run = self._live_run(run_id, check_step_id(event))
        facts = self._runtime.facts(run)
        text = safe_serialize(data)
        check_data(declared(facts.graph, event).payload_schema_json, text, event)
        is_new = self._tell(facts, event, text, mark_of(text, key), via)
        if run.status == "running" and run.stop is None:
            self._after_commit.look_if_possible(facts, event)
        return SentEvent(run_id=run_id, event=event, is_new=is_new)

    def _live_run(self, run_id: str, event: str) -> Run:
        """The run; one that goes on from another has all of its branches first, since what is kept must be there."""
        for _ in range(_ROUNDS):
            run = self._runtime.submitted(run_id)
            declared(self._runtime.facts(run).graph, event)
            if run.status in ENDED:
                raise EventClosedError(
                    f"run {run_id!r} is {run.status} already: it waits for {event!r} no more",
                    run_id=run_id,
                    status=run.status,
                )
            if run.parent is None or run.owed is None:
                return run
            self._make_owed(run)
        raise ConflictError(run_id=run_id)

    def _make_owed(self, run: Run) -> None:
        if run.stop is not None:
            raise ConflictError(f"run {run.run_id!r} is being stopped: ask again when it has ended", run_id=run.run_id)
        try:
            self._after_commit.make_owed_roots(self._runtime.facts(run), run)
        except RunRefused:
            _log.info("run %s: somebody else makes its branches", run.run_id)

    def _tell(self, facts: Facts, event: str, text: str, mark: str, via: str) -> bool:
        """Whether it is new. Raises EventClosedError."""
        aside = self._runtime.payloads.put_output(facts.run_id, event, 0, text, expires_s=facts.expires_s)
        place = aside.get(text)
        signal = Signal(mark, clock.now_us(), via, None if place else text, place)
        try:
            self._runtime.ledger.tell_event(facts, event, signal)
        except BranchRefused as refused:
            if refused.now is not None and refused.now.signal is not None and refused.now.signal.mark == mark:
                return False
            raise self._closed(facts, event, refused.now) from None
        return True

    def _closed(self, facts: Facts, event: str, now: Branch | None) -> EventClosedError:
        known: dict[str, Any] = {"run_id": facts.run_id, "event": event}
        if now is None or not was_sent(facts.graph, now):
            state = "skipped" if now is not None and event in now.skipped else "timed-out"
            words = "was skipped" if state == "skipped" else "has run out of time"
            return EventClosedError(f"event {event!r} of run {facts.run_id!r} {words}", state=state, **known)
        if now.signal is None:
            said = self._in_log(facts, event)
            whose = f"event {event!r} was sent already, to the run that run {facts.run_id!r} goes on from: {said}"
            return EventClosedError(whose, data=said, state="sent", **known)
        said = self._said(facts, event, now.signal)
        return EventClosedError(
            f"event {event!r} of run {facts.run_id!r} was sent already, and the first counts: {said}",
            sent_at_us=now.signal.at_us,
            data=said,
            state="sent",
            **known,
        )

    def _said(self, facts: Facts, event: str, first: Signal) -> str:
        """What the first said, as JSON text: where the event is over, the log has it."""
        if first.place is not None:
            return self._runtime.payloads.texts(facts.run_id, {first.place})[first.place]
        if first.text is not None:
            return first.text
        return self._in_log(facts, event)

    def _in_log(self, facts: Facts, event: str) -> str:
        history = self._runtime.ledger.history(facts.run_id)
        outputs = outputs_in(self._runtime, facts.run_id, history.records if history else (), [event])
        return outputs.get(event) or "null"


def was_sent(graph: Graph, event: Branch) -> bool:
    """Whether somebody has said what the event waits for: what a run has kept of another holds no signal any more."""
    return event.signal is not None or (event.name not in event.skipped and beyond(graph, event, event.name))


def declared(graph: Graph, event: str) -> EventDefinition:
    """What a graph says of an event. Raises EventNotFoundError, naming those that there are."""
    step = graph.steps.get(event)
    if step is None or step.event is None:
        known = ", ".join(name for name, each in graph.steps.items() if each.event is not None) or "none"
        raise EventNotFoundError(f"the run waits for no event {event!r} from outside; its events are {known}")
    return step.event


def mark_of(text: str, key: str | None) -> str:
    """By what two senders are known to say the same: key and data, in whatever order its fields come."""
    content = json.dumps([key, json.loads(text)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _check_key(key: str | None) -> None:
    if key is not None and not 0 < len(key) <= _LONGEST_KEY:
        message = f"Input should have 1 to {_LONGEST_KEY} characters"
        raise ArgumentInvalidError(issues=[ValidationIssue(path="key", message=message)])
