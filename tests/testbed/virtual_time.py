"""Many things at once in a time that is played: each is a greenlet, and whoever waits lets the others go on.

So what a hundred threads of ten machines would take can be said to the microsecond, and is the same each time. A
`Processor` is a machine's share of a processor: whatever its threads compute stands in line. Nothing else takes time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import TypeVar

from greenlet import getcurrent, greenlet

from testbed.wire import Answer, Request, Send

Given = TypeVar("Given")
Got = TypeVar("Got")


class VirtualTime:
    """The clock, and who acts when."""

    def __init__(self, start_us: int) -> None:
        self._now_us = start_us
        self._turns: list[tuple[int, int, greenlet]] = []
        self._numbers = count()

    def now_us(self) -> int:
        return self._now_us

    def pause_us(self, us: int) -> None:
        """Let this much time pass for whoever calls."""
        self.at(self._now_us + us, getcurrent())
        self._hub.switch()

    def start(self, act: Callable[[], object], *, after_us: int = 0) -> None:
        """Let something else begin."""
        self.at(self._now_us + after_us, greenlet(lambda: act() and None, self._hub))

    def at(self, time_us: int, actor: greenlet) -> None:
        heappush(self._turns, (time_us, next(self._numbers), actor))

    def wait(self) -> None:
        """Stand still until somebody says `at` when to go on."""
        self._hub.switch()

    def run(self, *acts: Callable[[], object]) -> None:
        """Let these act, and whatever they start, until all are through."""
        self._hub = getcurrent()
        for act in acts:
            self.start(act)
        while self._turns:
            time_us, _, actor = heappop(self._turns)
            self._now_us = max(self._now_us, time_us)
            actor.switch()


class Lanes:
    """So many threads of one process (`cascade_flow.operations.lanes`)."""

    def __init__(self, time: VirtualTime, width: int) -> None:
        self.width = width
        self._time = time

    def each(self, act: Callable[[Given], Got], over: Sequence[Given]) -> list[Got]:
        if len(over) < 2:
            return [act(one) for one in over]
        left, answers = deque(enumerate(over)), dict[int, Got]()
        whole, me = len(over), getcurrent()

        def lane() -> None:
            while left:
                number, one = left.popleft()
                answers[number] = act(one)
                if len(answers) == whole:
                    self._time.at(self._time.now_us(), me)

        for _ in range(min(self.width, whole)):
            self._time.start(lane)
        self._time.wait()
        return [answers[number] for number in range(whole)]


class Processor:
    """A part of a processor; a gate before a client's requests, each of which is computed here and then under way."""

    def __init__(self, time: VirtualTime, *, share: float, cpu_us: Callable[[Request], float], way_us: int) -> None:
        self._time = time
        self._share = share
        self._cpu_us = cpu_us
        self._way_us = way_us
        self._free_us = 0

    def __call__(self, request: Request, send: Send) -> Answer:
        """The gate."""
        begun_us = max(self._time.now_us(), self._free_us)
        self._free_us = begun_us + round(self._cpu_us(request) / self._share)
        self._time.pause_us(self._free_us - self._time.now_us() + self._way_us)
        return send(request)
