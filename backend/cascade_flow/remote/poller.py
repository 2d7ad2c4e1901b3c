"""Asks for due steps, in a thread of its own: one question at a time, for whichever slot is free.

Each waits for a step to come (a long poll). Where the API can't be asked, it is asked again after ever longer pauses.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

from cascade_flow import clock
from cascade_flow.client import Client
from cascade_flow.client.asking import Json
from cascade_flow.errors import CascadeFlowError

WAIT_MS = 5_000
"""How long a question waits for a step: as long, at the most, an idle worker takes to end."""
_FIRST_PAUSE_US = 500_000
_LONGEST_PAUSE_US = 30_000_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seat:
    """The place that a step is claimed for."""

    index: int
    worker_id: str


class Poller:
    """`take` hears of each answer: the seat, and a claim or none; `fail` of each failure that may pass; `end` of what
    ends it.
    """

    def __init__(
        self,
        client: Client,
        pool: str | None,
        concurrency: int,
        *,
        take: Callable[[Seat, Json | None], None],
        fail: Callable[[CascadeFlowError], None],
        end: Callable[[Exception], None],
    ) -> None:
        self._client = client
        self._pool = pool
        self._concurrency = concurrency
        self._take = take
        self._fail = fail
        self._end = end
        self._wanted: SimpleQueue[Seat] = SimpleQueue()

    def start(self) -> None:
        threading.Thread(target=self._ask, name="claims", daemon=True).start()

    def ask(self, seat: Seat) -> None:
        """Ask for a step for this seat, until there is an answer."""
        self._wanted.put(seat)

    def _ask(self) -> None:
        while True:
            seat = self._wanted.get()
            try:
                self._take(seat, self._answer(seat))
            except Exception as error:  # noqa: BLE001  the thread's last net: logged, and told
                _log.exception("nobody asks for steps any more")
                self._end(error)
                return

    def _answer(self, seat: Seat) -> Json | None:
        failures = 0
        while True:
            try:
                return self._claim(seat)
            except CascadeFlowError as error:
                self._fail(error)
            _pause(failures)
            failures += 1

    def _claim(self, seat: Seat) -> Json | None:
        return self._client.claim(
            seat.worker_id,
            pool=self._pool,
            wait_ms=WAIT_MS,
            slot_index=seat.index,
            worker_concurrency=self._concurrency,
        )


def _pause(failures: int) -> None:
    longest_us = min(_LONGEST_PAUSE_US, _FIRST_PAUSE_US * 2 ** min(failures, 10))
    clock.pause_us(round(longest_us * random.uniform(0.5, 1)))
