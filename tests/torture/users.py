"""Users of the stack under chaos: each submits runs over HTTP, waits for them, and sometimes stops or repeats one.

What a run must come to is written down before it is asked for. A user who gets no answer asks again, as people do.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from cascade_flow.client import Client
from cascade_flow.clock import now_us, pause_us
from cascade_flow.engine.state import ENDED
from cascade_flow.errors import CascadeFlowError, EventClosedError, GoneError, RequestError, TransientError
from e2e.stack import Stack, client_of
from torture.workflows.chaos.growth import HEADS
from torture.workflows.chaos.order import Begun, Order
from torture.workflows.chaos.shapes import PARTS, text_of

_GLANCE_US = 300_000
_PATIENCE_US = 120_000_000
_RINGS = 1_000
"""More steps than `growing` will ever have."""

Output = Mapping[str, Any]
T = TypeVar("T")


@dataclass
class Promised:
    """A run, and what it must come to: one of these ends, and where it completes one of these outputs."""

    run_id: str
    shape: str
    order: Order
    ends: frozenset[str]
    outputs: list[Output]


@dataclass
class Town:
    """What all users share."""

    stack: Stack
    folder: Path
    begun_us: int = field(default_factory=now_us)
    over: threading.Event = field(default_factory=threading.Event)
    promised: list[Promised] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def begun(self) -> list[Begun]:
        """All attempts whose code began to run so far, in order."""
        return Order(folder=self.folder, number=0).begun()


def outputs_of(shape: str, number: int) -> list[Output]:
    """What a run of this shape may give."""
    if shape == "growing":
        return [{f"ring/{ring}": number for ring in range(rings)} for rings in range(1, _RINGS)]
    return [_OUTPUTS[shape](number)]


_OUTPUTS: Mapping[str, Callable[[int], Output]] = {
    "chain": lambda number: {"fourth": number + 3},
    "fork": lambda number: {"0": number * 4 + 1},
    "flaky": lambda number: {"unreliable": number},
    "skipping": lambda number: {"bill": f"{number} less None"},
    "bulky": lambda number: {"read": sha256(text_of(number).encode()).hexdigest()},
    "parts": lambda number: {"summit": [f"{part} {number}" for part in PARTS]},
    "doomed": lambda number: {"beside": number + 1, "a-draw": number + 2},
    "poison": lambda number: {},
    "crowd": lambda number: {"count": [number + head for head in range(HEADS)]},
    "calls": lambda number: {"heard": number + 3},
    "gated": lambda number: {"pass-the-gate": number},
    "asking": lambda number: {"told": number},
    "regret": lambda number: {},
    "ticking": lambda number: {"tick": "tock"},
}
PLAIN = ("chain", "fork", "flaky", "skipping", "bulky", "parts", "growing", "crowd", "calls", "gated", "gated", "gated")
STOPPED = ("chain", "fork", "parts", "bulky", "crowd", "calls")


class User:
    """One of many at work at the same time; the same seed and name want the same."""

    def __init__(self, town: Town, seed: int, name: str) -> None:
        self._town = town
        self._dice = random.Random(f"{seed} {name}")
        self._name = name
        self._client: Client = town.stack.client
        self._wishes = 0
        self._shapes: list[str] = []

    def look_around(self) -> None:
        """See one run come to its end before anything is broken."""
        with client_of(self._town.stack.local) as self._client:
            run = self._submit("chain", "completed")
            assert self._ended(run), f"the stack doesn't work: {self._town.stack.told(run.run_id)}"

    def work(self) -> None:
        """Want one thing after the other until time is over."""
        with client_of(self._town.stack.local) as self._client:
            while not self._town.over.is_set():
                want = self._dice.choice(
                    [
                        *(self._plain, self._plain, self._mended, self._stopped, self._stopped, self._again),
                        *(self._lost, self._undone, self._asked),
                    ]
                )
                try:
                    want()
                except CascadeFlowError as error:
                    self._town.complaints.append(f"{self._name} was told {type(error).__name__}: {error}")

    # -- what a user wants --------------------------------------------------------------------------------------------

    def _plain(self) -> None:
        for _ in range(self._dice.choice([1, 1, 3])):
            run = self._submit(self._next_shape(), "completed", delay_s=self._dice.choice([None, None, 2]))
        self._ended(run)

    def _next_shape(self) -> str:
        """Each as often as the others, in another order every time."""
        self._shapes = self._shapes or self._dice.sample(PLAIN, len(PLAIN))
        return self._shapes.pop()

    def _lost(self) -> None:
        self._ended(self._submit("poison", "failed"))

    def _undone(self) -> None:
        self._ended(self._submit("regret", "failed"))

    def _asked(self) -> None:
        """A run that is told something, before or when it asks; what is said after that is not heard."""
        run = self._submit("asking", "completed")
        pause_us(self._dice.randrange(4_000_000))
        self._tell(run, run.order.number)
        with suppress(EventClosedError):
            self._tell(run, run.order.number + 1)
            self._town.complaints.append(f"{run.run_id} was told twice, and heard both")
        self._ended(run)

    def _mended(self) -> None:
        """A run that fails until what it needs is mended, and then is tried again until it completes."""
        run = self._submit("doomed", "failed")
        if not self._ended(run):
            return
        run.ends = frozenset({"failed", "completed"})
        run.order.mend(run.run_id)
        while self._status(run) == "failed" and not self._town.over.is_set():
            self._town.stack.backend.retry_run(run.run_id, "mended")
            self._ended(run)

    def _stopped(self) -> None:
        """A run that is cancelled somewhere, then left, tried again, or resumed as another."""
        run = self._submit(self._dice.choice(STOPPED), "completed", "cancelled")
        pause_us(self._dice.randrange(6_000_000))
        if not self._cancelled(run):
            return
        match self._dice.choice(["left", "tried", "resumed"]):
            case "tried":
                run.ends = frozenset({"completed"})
                self._town.stack.backend.retry_run(run.run_id, "after all")
                self._ended(run)
            case "resumed" if self._has_more(run):
                resumed = self._town.stack.backend.resume_run(run.run_id).run_id
                self._ended(self._promise(resumed, run.shape, run.order, {"completed"}, run.outputs))

    def _again(self) -> None:
        """A chain that completes, and begins again in its second step with another number."""
        run = self._submit("chain", "completed")
        if not self._ended(run) or self._town.over.is_set():
            return
        order = run.order.model_copy(update={"number": self._dice.randrange(1_000_000)})
        again = self._town.stack.backend.rerun_from(
            parent_run_id=run.run_id, from_step_id="second", input=order.model_dump(mode="json")
        )
        self._ended(self._promise(again.run_id, "chain", order, {"completed"}, run.outputs))

    # -- how a user gets it -------------------------------------------------------------------------------------------

    def _submit(self, shape: str, *ends: str, delay_s: float | None = None) -> Promised:
        """Submit until it is answered: one key makes one run."""
        self._wishes += 1
        order = Order(folder=self._town.folder, number=self._dice.randrange(1_000_000))
        wishes: dict[str, Any] = {
            "input": order.model_dump(mode="json"),
            "idempotency_key": f"{self._name}-{self._wishes}",
            "priority": self._wishes % 3 - 1,
        }
        told = self._insist(lambda: self._client.submit(shape, delay_s=delay_s, **wishes))
        return self._promise(told["runId"], shape, order, set(ends), outputs_of(shape, order.number))

    def _promise(self, run_id: str, shape: str, order: Order, ends: set[str], outputs: list[Output]) -> Promised:
        run = Promised(run_id, shape, order, frozenset(ends), outputs)
        self._town.promised.append(run)
        return run

    def _tell(self, run: Promised, said: int) -> None:
        self._insist(lambda: self._client.send(run.run_id, "word", said, idempotency_key=f"{self._name}-{said}"))

    def _cancelled(self, run: Promised) -> bool:
        """Whether the run was cancelled before it was over."""
        try:
            self._insist(lambda: self._client.cancel(run.run_id, "no longer wanted"))
        except GoneError:
            return self._status(run) == "cancelled"
        return True

    def _has_more(self, run: Promised) -> bool:
        steps = self._insist(lambda: self._client.run(run.run_id))["steps"]
        return any(step["status"] not in ("completed", "skipped") for step in steps)

    def _ended(self, run: Promised) -> bool:
        """Wait for a run's end, but not for ever, and not when time is over; answers whether it has ended."""
        deadline_us = now_us() + _PATIENCE_US
        while self._status(run) not in ENDED and now_us() < deadline_us:
            if self._town.over.wait(_GLANCE_US / 1_000_000):
                break
        return self._status(run) in ENDED

    def _status(self, run: Promised) -> str:
        return self._town.stack.status(run.run_id)

    def _insist(self, ask: Callable[[], T]) -> T:
        """Ask until there is an answer; a word about the request itself is one too."""
        deadline_us = now_us() + _PATIENCE_US
        while True:
            try:
                return ask()
            except (GoneError, RequestError):
                raise
            except TransientError:
                if now_us() > deadline_us:
                    raise
                pause_us(_GLANCE_US)
