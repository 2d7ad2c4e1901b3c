"""A thread that says, again and again, that an attempt is alive; and that learns when the attempt was given away.

It holds no opinion on leases: `beat` asks the engine, whose answer is what counts. An attempt that the engine gave to
another worker is `lost`: nothing that it does from then on is stored.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from cascade_flow.clock import now_us
from cascade_flow.errors import StaleAttemptError
from cascade_flow.model.events import ResourceSnapshot
from cascade_flow.worker.capture import unrecorded

Beat = Callable[[ResourceSnapshot], None]


class Heartbeat:
    """Beats inside its `with` block: every `every_ms`, the first time after one such interval.

    It ends when the block does, when the attempt is lost, or `stop_after_ms` after its start (None: never): then the
    lease runs out, which is what frees a step whose code hangs. Until then the worker can still report, so it beats.
    StaleAttemptError from `beat` sets `lost` and calls `on_lost`; any other error is kept in `error`, and the beat is
    tried again after a quarter of `every_ms`: a thread that ended with it would let the attempt be given away.
    """

    def __init__(
        self,
        beat: Beat,
        *,
        every_ms: int,
        snapshot: Callable[[], ResourceSnapshot],
        on_lost: Callable[[], None],
        stop_after_ms: int | None = None,
    ) -> None:
        self.lost = False
        self.error: Exception | None = None
        self._beat = beat
        self._every_ms = every_ms
        self._snapshot = snapshot
        self._on_lost = on_lost
        self._stop_after_ms = stop_after_ms
        self._ended = threading.Event()
        self._beating = threading.Lock()
        self._thread = threading.Thread(target=self._keep_beating, name="step-heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def beat(self) -> None:
        """Beat now, from any thread. Errors are kept, as in the thread; after a loss it does nothing."""
        with self._beating:
            if self.lost:
                return
            try:
                self._beat(self._snapshot())
                self.error = None
            except StaleAttemptError as error:
                self._lose(error)
            except Exception as error:  # noqa: BLE001  whatever fails here, the attempt must stay alive
                self.error = error

    def _keep_beating(self) -> None:
        stop_us = None if self._stop_after_ms is None else now_us() + self._stop_after_ms * 1000
        wait_ms = self._every_ms
        with unrecorded():
            while not self._ended.wait(wait_ms / 1000) and (stop_us is None or now_us() < stop_us):
                self.beat()
                wait_ms = self._every_ms if self.error is None else max(1, self._every_ms // 4)

    def _lose(self, error: StaleAttemptError) -> None:
        self.lost = True
        self.error = error
        self._ended.set()
        self._on_lost()
