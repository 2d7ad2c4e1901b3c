"""A worker: hands due steps to its slots, tells of what happens, replaces slots that die, and ends when it is told to.

First it drains: it asks for no further step, and lets those that run finish, and what it had asked for: to give that
back would cost the step a try. Told again, or after `drain_s`, it gives back what still runs, so that another worker
has it at once.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from cascade_flow import clock
from cascade_flow.client import Client
from cascade_flow.client.asking import Json
from cascade_flow.client.workers import Attempt
from cascade_flow.errors import CascadeFlowError, ConfigurationError, StaleAttemptError
from cascade_flow.remote.place import SlotProcess
from cascade_flow.remote.poller import Poller, Seat
from cascade_flow.remote.slot import SECONDS_TO_GIVE_BACK

Tell = Callable[[Json], None]


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """Which steps, how many at a time, and how long they may take to finish once the worker is to end."""

    workflows: str
    path: tuple[str, ...]
    pool: str | None = None
    concurrency: int = 1
    drain_s: float | None = None
    url: str | None = None
    region: str | None = None
    profile: str | None = None


@dataclass(frozen=True)
class _Heard:
    slot: SlotProcess
    said: Json | None


@dataclass(frozen=True)
class _Claimed:
    seat: Seat
    claim: Json | None


@dataclass(frozen=True)
class _Failed:
    error: CascadeFlowError


@dataclass(frozen=True)
class _Ended:
    error: Exception


@dataclass(frozen=True)
class _Signalled:
    number: int


_Event = _Heard | _Claimed | _Failed | _Ended | _Signalled


class Dispatcher:
    """`tell` is told what happens, as `{event, ...}`."""

    def __init__(self, client: Client, wishes: Wishes, tell: Tell) -> None:
        self._client = client
        self._wishes = wishes
        self._tell = tell
        self._events: SimpleQueue[_Event] = SimpleQueue()
        self._slots: dict[int, SlotProcess] = {}
        self._poller = Poller(
            client, wishes.pool, wishes.concurrency, take=self._note_claim, fail=self._note_failure, end=self._note_end
        )
        self._is_asking = self._was_there = self._is_away = False
        self._drains = self._gives_back = False
        self._until_us: int | None = None

    def run(self) -> None:
        """Work until a signal has ended it. Raises CascadeFlowError where it can't even begin."""
        with self._signals():
            try:
                self._poller.start()
                for index in range(self._wishes.concurrency):
                    self._open(index)
                while self._has_work():
                    self._ask()
                    self._take_next()
            finally:
                for slot in self._slots.values():
                    slot.kill()

    # -- what is heard --------------------------------------------------------------------------------------------

    def _take_next(self) -> None:
        try:
            event = self._events.get(timeout=self._left_s())
        except Empty:
            self._out_of_time()
            return
        match event:
            case _Heard(slot, None):
                self._slot_died(slot)
            case _Heard(slot, said) if said is not None:
                self._slot_said(slot, said)
            case _Claimed(seat, claim):
                self._claimed(seat, claim)
            case _Failed(error):
                self._failed(error)
            case _Ended(error):
                self._is_asking = False
                self._unable(f"steps can't be claimed any more: {error}")
            case _Signalled():
                self._told_to_end()

    def _slot_said(self, slot: SlotProcess, said: Json) -> None:
        match said["event"]:
            case "ready":
                slot.is_ready, slot.is_free = True, slot.holds is None
                self._ready(said)
            case "unable":
                self._unable(said["reason"])
            case "idle":
                slot.is_free, slot.holds = True, None
            case "began":
                slot.holds = said
                self._tell({**said, "slot": slot.seat.index})
            case _:
                slot.holds = None
                self._tell({**said, "slot": slot.seat.index})

    def _slot_died(self, slot: SlotProcess) -> None:
        """The process ended, by whatever its step did, or the machine: another takes its place."""
        words, attempt = f"the step's process {slot.end()}", slot.attempt
        if attempt is not None:
            self._tell({"event": "crashed", **_named(attempt), "slot": slot.seat.index, "reason": words})
            self._lost(attempt, words)
        if not slot.is_ready:
            self._unable(f"a process for steps could not be started: it {slot.end()}")
        if self._drains:
            self._slots.pop(slot.seat.index, None)
        else:
            self._open(slot.seat.index)

    def _unable(self, reason: str) -> None:
        """No process can be started for steps. Those that run finish, and then somebody has to mend that."""
        if not self._busy:
            raise ConfigurationError(reason)
        if not self._drains:
            self._tell({"event": "unable", "reason": reason})
            self._told_to_end()

    def _claimed(self, seat: Seat, claim: Json | None) -> None:
        self._is_asking = False
        if self._is_away:
            self._tell({"event": "back"})
        self._was_there, self._is_away = True, False
        if claim is None:
            return
        slot = self._slots.get(seat.index)
        if self._gives_back or slot is None:
            self._let_go(Attempt.of(claim, seat.worker_id))
        else:
            slot.begin(claim)

    def _failed(self, error: CascadeFlowError) -> None:
        """The API can't be asked. Where it never could, somebody has to mend that."""
        if not self._was_there:
            raise error
        if not self._is_away:
            self._tell({"event": "away", "reason": str(error)})
        self._is_away = True

    def _told_to_end(self) -> None:
        if self._drains:
            self._give_back()
            return
        self._drains = True
        self._until_us = None if self._wishes.drain_s is None else _in(self._wishes.drain_s)
        self._tell({"event": "draining", "steps": len(self._busy)})
        for slot in self._slots.values():
            slot.drain()

    def _out_of_time(self) -> None:
        if not self._gives_back:
            self._give_back()
            return
        self._until_us = None
        for slot in self._busy:
            slot.kill()

    # -- what is done ---------------------------------------------------------------------------------------------

    @property
    def _busy(self) -> list[SlotProcess]:
        return [slot for slot in self._slots.values() if slot.holds is not None]

    def _has_work(self) -> bool:
        """A question that is under way may still be answered with a step, which is this worker's then."""
        awaits = self._is_asking and not self._is_away
        return not self._drains or awaits or bool(self._busy)

    def _ask(self) -> None:
        free = [slot for slot in self._slots.values() if slot.is_free]
        if free and not self._is_asking and not self._drains:
            self._is_asking = True
            self._poller.ask(free[0].seat)

    def _open(self, index: int) -> None:
        seat = Seat(index, f"{socket.gethostname()[:100]}-{os.getpid()}-{index}")
        wishes = self._wishes
        spec = {name: getattr(wishes, name) for name in ("workflows", "path", "url", "region", "profile")}
        self._slots[index] = SlotProcess(seat, spec, self._note_words)

    def _ready(self, said: Json) -> None:
        if all(slot.is_ready for slot in self._slots.values()):
            told = {"pool": self._wishes.pool, "workflows": said["workflows"], "poolsDeclared": said["pools"]}
            self._tell({"event": "ready", **told, "slots": [slot.pid for slot in self._slots.values()]})

    def _give_back(self) -> None:
        self._gives_back = True
        self._until_us = _in(SECONDS_TO_GIVE_BACK)
        self._tell({"event": "giving back", "steps": len(self._busy)})
        for slot in self._slots.values():
            slot.give_back()

    def _lost(self, attempt: Attempt, words: str) -> None:
        """Say for a slot that can't any more what became of its attempt: then nobody waits for the lease to end."""
        if self._gives_back:
            self._let_go(attempt)
        else:
            self._say(attempt, lambda: self._client.fail(attempt, _exit(words), reason="worker-crash"))

    def _let_go(self, attempt: Attempt) -> None:
        self._say(attempt, lambda: self._client.release(attempt))

    def _say(self, attempt: Attempt, words: Callable[[], object]) -> None:
        try:
            words()
        except StaleAttemptError:
            return  # it had said so itself, before its end
        except CascadeFlowError as error:
            self._tell({"event": "untold", **_named(attempt), "reason": str(error)})

    # -- from other threads ---------------------------------------------------------------------------------------

    def _note_words(self, slot: SlotProcess, said: Json | None) -> None:
        self._events.put(_Heard(slot, said))

    def _note_claim(self, seat: Seat, claim: Json | None) -> None:
        self._events.put(_Claimed(seat, claim))

    def _note_failure(self, error: CascadeFlowError) -> None:
        self._events.put(_Failed(error))

    def _note_end(self, error: Exception) -> None:
        self._events.put(_Ended(error))

    def _left_s(self) -> float | None:
        return None if self._until_us is None else max(0, self._until_us - clock.now_us()) / 1_000_000

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the worker, in its own time."""
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {each: signal.signal(each, lambda n, _: self._events.put(_Signalled(n))) for each in numbers}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def _in(seconds: float) -> int:
    return clock.now_us() + round(seconds * 1_000_000)


def _named(attempt: Attempt) -> Json:
    return {"runId": attempt.run_id, "stepId": attempt.step_id, "attemptNumber": attempt.attempt_number}


def _exit(words: str) -> Json:
    return {"name": "WorkerExit", "message": words}
