"""The reaper's pulse: after each sweep it notes that it was there, so that anybody can tell when it falls silent."""

from __future__ import annotations

import logging
from collections.abc import Callable

from cascade_flow import clock
from cascade_flow.dynamodb.pulse import put_sweeps
from cascade_flow.engine.findings import Sweeps
from cascade_flow.errors import TransientError
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.tally import Swept

_log = logging.getLogger(__name__)
_MINUTE_US = 60_000_000


class Pulse:
    """What one process knows of its sweeps."""

    def __init__(self) -> None:
        self._before_us: int | None = None

    def noted(self, runtime: Runtime, sweep: Callable[[], Swept]) -> Swept:
        """What the sweep comes to, and that there was one."""
        begun_us = clock.now_us()
        swept = sweep()
        self.beat(runtime, begun_us)
        return swept

    def beat(self, runtime: Runtime, swept_us: int) -> None:
        """Note a sweep that began then. The sweep counts also where its note can't be written."""
        every_us = _MINUTE_US if self._before_us is None else max(1, swept_us - self._before_us)
        self._before_us = swept_us
        try:
            put_sweeps(runtime.ledger.table, Sweeps(swept_us, every_us))
        except TransientError as error:
            _log.warning("the sweep could not be noted: %s", error)
