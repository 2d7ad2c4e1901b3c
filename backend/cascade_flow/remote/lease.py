"""An attempt in the hands of a worker elsewhere: its words go over HTTP, again and again while the lease lasts.

How long that is, the worker reckons by itself, from when it asked: an outage of the API costs it the attempt only
where it outlasts the lease.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any, TypeVar

from cascade_flow import clock
from cascade_flow.client import Client
from cascade_flow.client.asking import Json
from cascade_flow.client.workers import Attempt
from cascade_flow.engine.commands import Command, Complete, Fail, KeepCheckpoint, Postpone, SkipStep
from cascade_flow.errors import CascadeFlowError, TransientError
from cascade_flow.model.events import CheckpointRef, ResourceSnapshot, ResourceUsage, StepError
from cascade_flow.model.states import Checkpoint
from cascade_flow.operations.checkpoints import CheckpointNumber
from cascade_flow.operations.patience import Patience
from cascade_flow.worker.log_buffer import LogLine
from cascade_flow.worker.telling import Telling

_T = TypeVar("_T")


class RemoteLease(Telling):
    """The held attempt, and what its worker tells of it. StaleAttemptError: it is held no more."""

    def __init__(self, client: Client, claim: Json, worker_id: str) -> None:
        super().__init__()
        self.claim = claim
        self.attempt = Attempt.of(claim, worker_id)
        self.goes_on = True
        self._client = client
        self._until_us: int = clock.now_us() + claim["leaseUs"]
        self._told_us = 0

    @property
    def started_us(self) -> int:
        """When the attempt began, as the engine has it: its log lines are later."""
        return int(self.claim["startedAtUs"])

    def given(self) -> Json:
        """What the step is given, with what lies in S3."""
        self.claim = self._asked(lambda: self._client.given(self.claim))
        return self.claim

    def beat(self, snapshot: ResourceSnapshot) -> None:
        """Prolong the lease."""
        if self._is_copy():
            return
        asked_us = clock.now_us()
        self._client.heartbeat(self.attempt, resource_snapshot=snapshot.to_wire())
        self._until_us = asked_us + self.claim["leaseUs"]

    @property
    def left_s(self) -> float:
        """How long the lease still lasts."""
        return max(0, self._until_us - clock.now_us()) / 1_000_000

    @contextmanager
    def watched(self, on_over: Callable[[], None]) -> Iterator[None]:
        """Call `on_over` if the lease ends within the block, whatever request waits for its answer then."""
        ended = Event()

        def watch() -> None:
            while not ended.wait(self.left_s):
                if not self.left_s:
                    on_over()
                    return

        threading.Thread(target=watch, name="step-lease", daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    def report(self, command: Command) -> Json:
        """What the engine answers; with `next`, the worker holds that attempt too. Raises what doesn't pass."""
        self._require_original(self.attempt.step_id)
        goes_on = self.goes_on  # what is said again is the same
        return self._asked(lambda: self._say(command, claim_next=goes_on))

    def release(self) -> Json:
        """Let another worker have it at once."""
        return self._asked(lambda: self._client.release(self.attempt))

    def log(self, lines: Sequence[LogLine]) -> None:
        if self._is_copy():
            return
        self._told_us = lines[-1].timestamp_us
        told = [{"stream": line.stream, "message": line.message, "timestampUs": line.timestamp_us} for line in lines]
        self._asked(lambda: self._client.write_logs(self.attempt, told))

    def exited(self, words: str) -> None:
        """Report that the user's code is ending this process, while there is one: a crash, but with a cause."""
        self.report(Fail(StepError(name="WorkerExit", message=words), "worker-crash", self._spent_us()))

    def recorded(self) -> Iterable[CheckpointNumber]:
        return map(_checkpoint_number, self.claim["checkpoints"])

    def _say(self, command: Command, *, claim_next: bool) -> Json:
        match command:
            case Complete():
                output, usage = json.loads(command.output), command.resource_usage
                measures = self._measures(command.duration_us, usage)
                return self._client.complete(self.attempt, output, claim_next=claim_next, **measures)
            case Fail():
                measures = self._measures(command.duration_us, command.resource_usage)
                return self._client.fail(
                    self.attempt,
                    command.error.to_wire(),
                    retryable=command.retryable,
                    reason=command.reason,
                    **measures,
                )
            case SkipStep():
                metadata = None if command.metadata is None else dict(command.metadata)
                measures = self._measures(command.duration_us, None)
                return self._client.skip(self.attempt, command.reason, metadata=metadata, **measures)
            case Postpone():
                when = {"delay_us": command.delay_us, "available_at_us": command.at_us}
                measures = self._measures(command.duration_us, None)
                return self._client.later(self.attempt, command.reason, **when, **measures)
            case KeepCheckpoint():
                return self._store(command)
        raise CascadeFlowError(f"{type(command).__name__} is nothing that a worker reports")

    def _store(self, kept: KeepCheckpoint) -> Json:
        self._client.checkpoint(
            self.attempt,
            kept.name,
            kept.sequence_number,
            None if kept.data is None else json.loads(kept.data),
            error=None if kept.error is None else kept.error.to_wire(),
            label=kept.label,
            parent=None if kept.parent is None else _place(kept.parent),
        )
        return {}

    def _measures(self, duration_us: int, usage: ResourceUsage | None) -> dict[str, Any]:
        told = {"durationUs": duration_us, "resourceUsage": usage and usage.to_wire(), "lastLogUs": self._told_us}
        return {name: value for name, value in told.items() if value is not None}

    def _spent_us(self) -> int:
        return max(0, clock.now_us() - self.started_us)

    def _asked(self, request: Callable[[], _T]) -> _T:
        """What is answered in the end; heartbeats prolong the patience meanwhile."""
        while True:
            until_us = self._until_us
            try:
                return Patience(until_us).ask(request)
            except TransientError:
                if self._until_us == until_us:
                    raise


def _place(checkpoint: CheckpointRef) -> Json:
    return {"name": checkpoint.name, "sequence": checkpoint.sequence_number}


def _checkpoint_number(told: Mapping[str, Any]) -> CheckpointNumber:
    place, attempt = _reference(told), told["attemptNumber"]
    parent = _reference(told["parent"]) if "parent" in told else None
    if "data" not in told:
        return CheckpointNumber(place, attempt, parent)
    stored = Checkpoint(
        name=place.name,
        sequence_number=place.sequence_number,
        attempt_number=attempt,
        data=json.dumps(told["data"], ensure_ascii=False),
        parent_checkpoint=parent,
    )
    return CheckpointNumber(place, attempt, parent, stored)


def _reference(place: Mapping[str, Any]) -> CheckpointRef:
    return CheckpointRef(name=place["name"], sequence_number=place["sequence"])
