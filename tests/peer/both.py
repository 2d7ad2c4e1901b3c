"""Plays one sequence on our backend and on the peer's, and holds every answer of ours against the peer's.

Ours goes first, so that the whole sequence is one question to the peer: what we refused is withheld from it. Before
each operation and each question the peer is also asked what it knows (`peer.seen`): by that is judged whether we were
right. Both clocks stand still during an operation, so times agree to the microsecond.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cascade_flow import DynamoDBBackend, clock
from peer.answers import assert_same, not_compared
from peer.operations import Call, Operation, Outcome, calls_of, perform, to_wire
from peer.oracle import Answer, TimedCall, shared_oracle
from peer.questions import STRATEGIES, Asked, Question
from peer.rules import refusal_of
from peer.seen import Seen, calls_to_see, seen
from peer.translations import TRANSLATIONS, check_reclaimed

Runs = Mapping[str, str]
COLLIDES = "copies-that-collide"


@dataclass(frozen=True)
class _Scene:
    """One operation or question, what we made of it, and the calls of the peer that stand for it."""

    act: Operation | Asked
    ours: Any
    calls: Sequence[Call]

    @property
    def at_us(self) -> int:
        return self.act.at_us


class Both:
    """Our backend and the peer's, which knows the same runs. `counts` says how much was compared, and what was not."""

    def __init__(self, backend: DynamoDBBackend, time: clock.SteppingClock, runs: Runs) -> None:
        self.counts: Counter[str] = Counter()
        self._backend = backend
        self._time = time
        self._runs = runs
        self._scenes: list[_Scene] = []

    def play(self, acts: Sequence[Operation | Asked], questions: Sequence[Question]) -> None:
        """Do all this on our side; at the end come these questions, and one about each error that was seen."""
        for act in acts:
            self._time.advance(act.at_us - self._time.now_us())
            self._scenes += self._do(act) if isinstance(act, Operation) else [self._ask(act)]
        end_us = self._time.advance(5_000_000)
        self._scenes += [self._ask(Asked(question, end_us)) for question in [*questions, *self._details()]]

    def compare(self) -> None:
        """Have the peer play the same, and assert that it gives the same answers."""
        answers = iter(shared_oracle().ask_backend(list(self._script())))
        known = Seen({}, {})
        for known_run, sees in self._seeing():
            known = seen(self._runs, [next(answers) for _ in calls_to_see(self._runs)]) if sees else known
            theirs = [next(answers) for _ in known_run.calls]
            if isinstance(known_run.act, Operation):
                self._judge(known_run.act, known_run.ours, theirs, known)
            else:
                self._lease(known_run.act.question, known_run.ours, theirs[0], known)

    # -- our side -----------------------------------------------------------------------------------------------------

    def _do(self, operation: Operation) -> Iterator[_Scene]:
        if self._collides(operation):
            self.counts[COLLIDES] += 1
            return
        outcome = perform(self._backend, operation)
        yield _Scene(operation, outcome, self._calls(operation, outcome))

    def _calls(self, operation: Operation, outcome: Outcome) -> list[Call]:
        if outcome.refusal is not None:
            return []
        translation = TRANSLATIONS.get(operation.name)
        return translation.calls(operation, outcome.value, self._backend) if translation else calls_of(operation)

    def _ask(self, asked: Asked) -> _Scene:
        return _Scene(asked, asked.question.ask(self._backend), [asked.question.call])

    def _details(self) -> Iterator[Question]:
        for strategy in STRATEGIES:
            page = self._backend.get_errors_list(grouping_strategy=strategy)
            yield from (Question("get_error_detail", (error.fingerprint, strategy)) for error in page.errors)

    def _collides(self, operation: Operation) -> bool:
        """Whether a copy would meet other events at its events' times: we keep both, the peer one or both."""
        if not operation.name.startswith("copy_"):
            return False
        slug, source, target = operation.place
        there = {event.timestamp_us: event for event in self._backend.load_events(slug, target)}
        coming = [e.model_copy(update={"run_id": target}) for e in self._backend.load_events(slug, source)]
        return any(there.get(event.timestamp_us, event) != event for event in coming)

    # -- the peer's side ----------------------------------------------------------------------------------------------

    def _script(self) -> Iterator[TimedCall]:
        for known_run, sees in self._seeing():
            for call in [*(calls_to_see(self._runs) if sees else ()), *known_run.calls]:
                yield [known_run.at_us, *call]

    def _seeing(self) -> Iterator[tuple[_Scene, bool]]:
        """All scenes; and whether anything may have changed since the one before."""
        last: _Scene | None = None
        for known_run in self._scenes:
            yield known_run, last is None or isinstance(last.act, Operation)
            last = known_run

    def _judge(self, operation: Operation, outcome: Outcome, theirs: Sequence[Answer], known: Seen) -> None:
        due = refusal_of(operation, known)
        if due is not None or outcome.refusal is not None:
            assert due is not None, f"refused without a rule: {operation}: {outcome.refusal!r}"
            assert type(outcome.refusal) is due.error, f"not refused, against {due.name}: {operation}: {outcome}"
            self.counts[f"rule {due.name}"] += 1
            return
        refused = [answer.error for answer in theirs if answer.refused]
        assert not refused, f"the peer refuses {operation}: {refused}"
        self.counts["operations"] += 1
        if translation := TRANSLATIONS.get(operation.name):
            translation.check(operation, outcome.value, known)
            self._check_reclaimed(operation, known)
            self.counts[f"rule {translation.name}"] += 1
        if operation.name == "claim_scheduled_step" and not theirs:
            assert known[operation.run_id].ended, operation
        elif translation is None or operation.name == "claim_scheduled_step":
            assert to_wire(outcome.value) == theirs[0].value, operation

    def _check_reclaimed(self, operation: Operation, known: Seen) -> None:
        if operation.name == "reclaim_stale_steps":
            [calls] = [known_run.calls for known_run in self._scenes if known_run.act is operation]
            for run_id, run in known.items():
                check_reclaimed(operation, run, [event for _, __, of_run, event in calls if of_run == run_id])

    def _lease(self, question: Question, ours: Any, theirs: Answer, known: Seen) -> None:
        assert not theirs.refused, f"{question}: {theirs.error}"
        if rule := not_compared(question, known):
            self.counts[f"apart {rule.name}"] += 1
            return
        assert_same(question, ours, theirs.value, known)
        self.counts["answers"] += 1
