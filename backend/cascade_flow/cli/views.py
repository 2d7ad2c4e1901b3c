"""A run as the commands look at it, made from what the API answers. Judgement, but no text and no terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple

Document = Mapping[str, Any]

OVER = frozenset({"completed", "failed", "cancelled"})


class Phase(Enum):
    """What a step is doing, in the word that people read."""

    WAITING = "waiting"
    AWAITED = "awaited"
    """It is an event from outside, and the run waits for it."""
    DELAYED = "delayed"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    NOT_READY = "not ready"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    STOPPED = "stopped"
    NOT_RUN = "not run"


class Undo(NamedTuple):
    """The run that this one undoes; the run that undoes this one, and how it stands with that."""

    undoes: str | None
    undone_by: str | None
    status: str


@dataclass(frozen=True)
class StepView:
    """One step of a run. `phase` depends on the run too: in a run that is over nothing waits any more."""

    document: Document
    run_over: bool
    now_us: int
    run_id: str = ""

    @property
    def event(self) -> Document | None:
        """How it stands with an event from outside, where the step is one."""
        return self.document.get("event")

    @property
    def id(self) -> str:
        return str(self.document["stepId"])

    @property
    def dependencies(self) -> list[str]:
        return list(self.document.get("dependencies") or ())

    @property
    def attempt(self) -> int:
        return int(self.document.get("attemptNumber") or 1)

    @property
    def laters(self) -> int:
        """How many of its attempts were not ready."""
        return int(self.document.get("laters") or 0)

    @property
    def later_reason(self) -> str | None:
        """Why the last one wasn't; None where it was."""
        return self.document.get("laterReason")

    @property
    def tried(self) -> int:
        """The attempt's number without those that were not ready."""
        return max(1, self.attempt - self.laters)

    @property
    def max_attempts(self) -> int:
        """How often its policy lets it be tried in an attempt of its run."""
        return int(self.document.get("maxAttempts") or 1)

    @property
    def error(self) -> Document | None:
        return self.document.get("error")

    @property
    def skip_reason(self) -> str:
        return str(self.document.get("skipReason") or "")

    @property
    def skipped_with(self) -> str | None:
        """The step whose skip this step's is a consequence of."""
        return self.document.get("cascadedFrom")

    @property
    def was_reclaimed(self) -> bool:
        return bool(self.document.get("wasReclaimed"))

    @property
    def due_us(self) -> int | None:
        """When a step that is scheduled may start."""
        return self.document.get("availableAtUs")

    @cached_property
    def phase(self) -> Phase:
        status = self.document.get("status", "pending")
        if self.event and self.event["waits"]:
            return Phase.AWAITED
        if status in ("completed", "failed", "skipped"):
            return Phase(status)
        if self.run_over:
            return Phase.NOT_RUN if status == "pending" else Phase.STOPPED
        if status == "running":
            return Phase.RUNNING
        return self._scheduled() if status == "scheduled" else Phase.WAITING

    @property
    def took_us(self) -> int | None:
        """How long the attempt that counts took, or has taken so far."""
        if self.phase is Phase.RUNNING:
            started_us = self.document.get("startedAtUs")
            return None if started_us is None else max(0, self.now_us - int(started_us))
        took_us: int | None = self.document.get("durationUs") if "children" not in self.document else self._whole_us
        return took_us if self.phase in (Phase.COMPLETED, Phase.FAILED) else None

    @property
    def _whole_us(self) -> int | None:
        """From when it was first due to its end: its last attempt only collected what others did."""
        changes, ended_us = self.document.get("stateChanges"), self.document.get("endedAtUs")
        return None if not changes or ended_us is None else int(ended_us) - int(changes[0]["timestampUs"])

    def _scheduled(self) -> Phase:
        if (self.due_us or 0) <= self.now_us and (self.later_reason is not None or not self.error):
            return Phase.QUEUED
        if self.later_reason is not None:
            return Phase.NOT_READY
        return Phase.RETRYING if self.attempt > 1 else Phase.DELAYED


@dataclass(frozen=True)
class RunView:
    """A run and its steps, at one moment."""

    document: Document
    now_us: int

    @property
    def run(self) -> Document:
        found: Document = self.document["run"]
        return found

    @property
    def id(self) -> str:
        return str(self.run["runId"])

    @property
    def workflow(self) -> str:
        return str(self.run["workflowSlug"])

    @property
    def status(self) -> str:
        return str(self.run["status"])

    @property
    def undo(self) -> Undo:
        """What undoes it, or what it undoes."""
        return Undo(self.run.get("undoes"), self.run.get("undoneBy"), str(self.document.get("undoStatus", "")))

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @property
    def error(self) -> Document | None:
        return self.document.get("error")

    @property
    def output(self) -> Any:
        """What the run gave: of a run that the engine drove, what the exported steps returned, by step."""
        return self.document.get("output")

    @property
    def outputs(self) -> Document:
        """What the exported steps returned; empty where the run's output is something else."""
        return self.output if isinstance(self.output, Mapping) else {}

    @property
    def failing_steps(self) -> list[StepView]:
        """The steps for which a run that still goes on is going to fail."""
        return [] if self.is_over else [step for step in self.steps if step.phase is Phase.FAILED]

    @property
    def running_steps(self) -> list[StepView]:
        return [step for step in self.steps if step.phase is Phase.RUNNING]

    @property
    def starts_us(self) -> int | None:
        """When the run will start, where that lies ahead."""
        due_us = self.run.get("availableAtUs") or 0
        return due_us if self.status == "pending" and due_us > self.now_us else None

    @property
    def took_us(self) -> int | None:
        """From the run's start to its end, or to now."""
        started_us = self.run.get("startedAtUs")
        if started_us is None:
            return None
        ended_us = self.run.get("endedAtUs") if self.is_over else None
        return max(0, int(ended_us or self.now_us) - int(started_us))

    @cached_property
    def steps(self) -> list[StepView]:
        return [StepView(each, self.is_over, self.now_us, self.id) for each in self.document.get("steps") or ()]
