"""Who acts in the random histories, each a process of its own: what they do is drawn, what they are told is noted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from cascade_flow import (
    Checkpoint,
    DynamoDBBackend,
    LogEntry,
    StaleAttemptError,
    StepCompleted,
    StepError,
    StepFailed,
    StepSkipped,
    clock,
)
from cascade_flow.dynamodb import keys
from cascade_flow.engine.commands import KeepCheckpoint
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.operations.worker_outcomes import Attempt, Measures, WorkerOutcomes
from oracle import Mark, Said
from simulation import LATER_US, OUTPUT, TIMING, items_of, mark_of
from testbed.requests import WRITES
from testbed.wire import Answer, Request, Send

if TYPE_CHECKING:
    from histories.stage import Stage

SLUG = "flow"
DOZES = 0.03
DOZES_BEFORE_BRANCHES = 0.3
"""Who reads a run's branches has read the run before."""

Act = Callable[[str, DynamoDBBackend], object]


class Actors:
    """The roles; `runs` are the runs that have come of what they did.

    `halted_for_nothing` says whether a branch was seen that nobody was to stop: here, inside of a request, an assertion
    would be one more thing that a sweep outlives.
    """

    def __init__(self, stage: Stage, run_id: str) -> None:
        self._stage = stage
        self._world, self._gate, self._dice = stage.world, stage.gate, stage.dice
        self._run_id = run_id
        self.runs = [run_id]
        self.halted_for_nothing = False
        self._retry_moments = 0
        self._world.busy = self._busy
        self.by_role: Mapping[str, Act] = {
            "works": self._work,
            "works by name": self._work_by_name,
            "serves": self._serve,
            "sends": self._send,
            "sweeps": self._sweep,
            "cancels": self._cancel,
            "retries": self._retry,
            "meddles": self._meddle,
            "copies": self._copy,
            "reads": self._read,
        }

    # -- workers --------------------------------------------------------------------------------------------------

    def _work(self, name: str, backend: DynamoDBBackend) -> None:
        """Take a message; now and then it is delivered once more."""
        wakes = self._world.mailbox.wakes
        self._gate.pause("look for a message")
        if wakes:
            wake = self._dice.choice(wakes)
            if self._dice.random() < 0.8:
                wakes.remove(wake)
            self._world.deliver(wake, backend, worker=name)

    def _serve(self, name: str, backend: DynamoDBBackend) -> None:
        """Ask for what waits for a pool."""
        self._gate.pause("look what waits for a pool")
        self._world.serve(self._dice.choice(sorted(self._world.pools)), backend, worker=name)

    def _busy(self, steps: Steps, held: HeldAttempt) -> HeldAttempt:
        """Beat, store a checkpoint, or fall silent for longer than a lease: then another has the attempt."""
        for _ in range(self._dice.randrange(3)):
            match self._dice.randrange(4):
                case 0 | 1:
                    now_us = clock.now_us()
                    held = steps.heartbeat(held)
                    self._world.oracle.beats(mark_of(held), now_us)
                case 2:
                    held = self._checkpoint(steps, held)
                case 3:
                    self._gate.pause("fall silent")
                    self._world.clock.pause_us(self._dice.choice([10, TIMING.lease_us + 1]))
        return held

    def _checkpoint(self, steps: Steps, held: HeldAttempt) -> HeldAttempt:
        data = json.dumps([held.branch.step, held.branch.attempt, held.branch.worker])
        name = f"part {self._dice.randrange(10**9)}"
        held = steps.report(held, KeepCheckpoint(name, 0, data))
        self._world.oracle.checkpoints.append((mark_of(held), name, data))
        return held

    def _work_by_name(self, name: str, backend: DynamoDBBackend) -> None:
        """A worker that is no part of the engine: it names step and attempt."""
        self._gate.pause("look what is scheduled")
        due = [step for step in backend.list_scheduled_steps() if not self._is_of_a_family(step.run_id, step.step_id)]
        if not due:
            return
        step = self._dice.choice(due)
        claim = backend.claim_scheduled_step(SLUG, step.run_id, step.step_id, name)
        if claim is None:
            return
        mark = Mark(step.run_id, step.step_id, claim.attempt_number)
        self._world.oracle.holds(mark, name, {})
        if self._dice.random() < 0.5:
            self._beat_and_keep(mark, name, backend)
        self._end_by_name(mark, name, backend)

    def _is_of_a_family(self, run_id: str, step_id: str) -> bool:
        """Whether only a worker of ours knows what to do with it."""
        return "~" in run_id or any(step.id == step_id and step.children for step in self._stage.steps)

    def _beat_and_keep(self, mark: Mark, name: str, backend: DynamoDBBackend) -> None:
        now_us, data = clock.now_us(), json.dumps([*mark, name])
        backend.save_step_heartbeat(SLUG, mark.run_id, mark.step, name, mark.attempt)
        self._world.oracle.beats(mark, now_us)
        kept = Checkpoint(name="part", sequence_number=0, attempt_number=mark.attempt, data=data)
        backend.save_step_checkpoint(SLUG, mark.run_id, mark.step, kept)
        self._world.oracle.checkpoints.append((mark, "part", data))

    def _end_by_name(self, mark: Mark, name: str, backend: DynamoDBBackend) -> None:
        """As the script has it; who speaks by step and attempt is believed, so nobody else may hold this attempt."""
        acts = self._world.script.get(mark.step, ["ok"])
        spent: dict[str, Any] = {"duration_us": 1_000, "attempt_number": mark.attempt}
        place = (SLUG, mark.run_id, mark.step)
        match acts[min(mark.attempt, len(acts)) - 1]:
            case "ok" | "large":
                output = {**OUTPUT, "by": [mark.step, mark.attempt, name]}
                exported = any(step.id == mark.step and step.export_output for step in self._stage.steps)
                said = Said(mark, StepCompleted, json.dumps(output))
                self._say(said, lambda: backend.save_step_complete(*place, output, export_output=exported, **spent))
            case act if act.endswith(" items"):
                given = items_of(act)
                said = Said(mark, StepCompleted, json.dumps(given))
                self._say(said, lambda: backend.save_step_complete(*place, given, export_output=False, **spent))
            case "skip":
                said = Said(mark, StepSkipped, f"nothing to do, says {name}")
                skip: dict[str, Any] = {"skip_type": "primary", "reason": said.words, **spent}
                self._say(said, lambda: backend.save_step_skipped(*place, **skip))
            case "later":
                attempt = Attempt(mark.run_id, mark.step, name, mark.attempt)
                postponed = partial(WorkerOutcomes(backend.runtime).postpone, attempt, "not ready", Measures())
                self._say(Said(mark, LogEntry, None), partial(postponed, at_us=None, delay_us=LATER_US))
            case act:
                error = StepError(name="ValueError", message=f"{mark.step} can't", stack=f"in {name}")
                fail: dict[str, Any] = {"terminal": act != "fail", "failure_reason": "execution-error", **spent}
                self._say(Said(mark, StepFailed, error.stack), lambda: backend.save_step_failed(*place, error, **fail))

    def _say(self, said: Said, report: Callable[[], object]) -> None:
        oracle, lost = self._world.oracle, self._world.answers_lost()
        try:
            report()
        except StaleAttemptError:
            oracle.refused += [said] * (lost == self._world.answers_lost())
            raise
        oracle.accepted.append(said)

    def _send(self, name: str, backend: DynamoDBBackend) -> None:
        """Say one of two things to an event; sometimes the same again."""
        for _ in range(self._dice.randrange(12)):
            self._gate.pause("hesitate")
        event, data = self._dice.choice(self._stage.events), {"ok": self._dice.random() < 0.5}
        for _ in range(self._dice.choice([1, 1, 2])):
            self._world.send(self._dice.choice(self.runs), event, data, backend)

    # -- those who look after runs --------------------------------------------------------------------------------

    def _sweep(self, name: str, backend: DynamoDBBackend) -> None:
        self._gate.pause("let time pass")
        self._world.clock.pause_us(self._dice.choice([10, TIMING.grace_us, TIMING.lease_us]))
        self._world.sweep(backend)

    def _cancel(self, name: str, backend: DynamoDBBackend) -> None:
        if self._waits_for("running"):
            backend.cancel_run(self._run_id, "no longer wanted")

    def _retry(self, name: str, backend: DynamoDBBackend) -> None:
        if self._waits_for("failed", "cancelled"):
            self._retry_moments += 1
            backend.retry_run(self._run_id, "mended")
            self._retry_moments += 1

    def _copy(self, name: str, backend: DynamoDBBackend) -> None:
        """Two of all episodes make another run of this one."""
        if len(self.runs) > 2 or not self._waits_for("failed", "cancelled", "running"):
            return
        if self._dice.random() < 0.5:
            self.runs.append(backend.resume_run(self._run_id).run_id)
        else:
            step = self._dice.choice(self._stage.steps)
            self.runs.append(backend.rerun_from(parent_run_id=self._run_id, from_step_id=step.id).run_id)

    def _meddle(self, name: str, backend: DynamoDBBackend) -> None:
        """Take attempts from the silent; or say of an attempt what nobody has found by working on it."""
        self._gate.pause("think of something")
        if self._dice.random() < 0.5:
            backend.reclaim_stale_steps(TIMING.lease_us, name)
            return
        for step in backend.list_scheduled_steps()[:1]:
            mark = Mark(step.run_id, step.step_id, step.attempt_number or 1)
            self._say_without_work(mark, name, backend)

    def _say_without_work(self, mark: Mark, name: str, backend: DynamoDBBackend) -> None:
        spent: dict[str, Any] = {"duration_us": 0, "attempt_number": mark.attempt}
        place = (SLUG, mark.run_id, mark.step)
        words = f"not wanted, says {name}"
        is_skip = self._dice.random() < 0.5
        if is_skip:
            backend.save_step_skipped(*place, skip_type="primary", reason=words, **spent)
        else:
            error = StepError(name="Meddling", message="not wanted", stack=words)
            backend.save_step_failed(*place, error, terminal=True, failure_reason="execution-error", **spent)
        self._world.oracle.accepted.append(Said(mark, StepSkipped if is_skip else StepFailed, words))

    def _read(self, name: str, backend: DynamoDBBackend) -> None:
        """What a reader was shown stays; and a page of events is in order."""
        self._gate.pause("look at the run")
        events = backend.load_events(SLUG, self._run_id)
        times = [event.timestamp_us for event in events]
        assert times == sorted(set(times)), f"out of order: {times}"
        self._world.oracle.saw(self._run_id, events)
        backend.get_run(self._run_id)

    # -- waiting --------------------------------------------------------------------------------------------------

    def _waits_for(self, *statuses: str) -> bool:
        """Wait until the run has one of these; answers whether it came to that. Then others may be quicker."""
        self._gate.pause("wait for the run", until=lambda: self._status() in statuses)
        for _ in range(self._dice.randrange(20)):
            self._gate.pause("hesitate")
        return self._status() in statuses

    def _status(self) -> str:
        run = self._stage.shelf.item(self._world.store.table, *keys.run(self._run_id))
        return str(run and run["st"]["S"])

    def doze(self, request: Request, send: Send) -> Answer:
        """Some fall asleep between what they have read and what they do, and wake when the run is tried again.

        Before each write we look whether somebody has stopped what is to go on.
        """
        self.halted_for_nothing |= request.operation in WRITES and self._stands_still()
        reads_branches = request.operation == "Query" and "IndexName" not in request.body
        if self._stage.cast.stops and self._dice.random() < (DOZES_BEFORE_BRANCHES if reads_branches else DOZES):
            until = self._retry_moments + self._dice.choice([1, 2])
            self._gate.pause("doze", until=lambda: self._retry_moments >= until)
        return send(request)

    def _stands_still(self) -> bool:
        """Whether a branch is halted in the attempt in which its run goes on: only another retry would free it."""
        items = self._stage.shelf.contents(self._world.store.table).get(keys.run(self._run_id).pk, {})
        run = items[keys.RUN]
        goes_on = run["st"]["S"] == "running" and "stop" not in run
        return goes_on and any(item.get("h") == {"S": "stop"} and item["ra"] == run["ra"] for item in items.values())
