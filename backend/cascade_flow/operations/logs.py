"""Log lines of running steps: stored in chunks, since logs cost per kilobyte and not per line."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import ceil

from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.items import LogLine
from cascade_flow.dynamodb.table import Put
from cascade_flow.engine.state import LATEST_US, Run
from cascade_flow.errors import EventInvalidError
from cascade_flow.model.events import LogEntry
from cascade_flow.operations.history import Histories
from cascade_flow.operations.runtime import Runtime
from cascade_flow.portions import portions

_CHUNK_BYTES = 200_000
_LINE_BYTES = 30
"""What a line takes up beside its text: its time, its stream."""


class Logs:
    """The log lines of the runs in one table."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._histories = Histories(runtime)

    def store(self, run: Run, step_id: str, attempt: int, lines: Sequence[LogLine]) -> None:
        """Store lines of one attempt, as one or more chunks; the same lines again are the same chunks.

        Raises EventInvalidError for a time that is none.
        """
        timed = [(_time_of(us), stream, message) for us, stream, message in lines]
        for chunk in portions(timed, size_of=_bytes, most_bytes=_CHUNK_BYTES):
            mark = hashlib.sha256(repr(chunk).encode()).hexdigest()[:8]
            key = keys.log_chunk(run.run_id, step_id, attempt, chunk[0][0], mark)
            self._runtime.ledger.table.write([Put(items.log_item(key, chunk, expires_s=run.expires_s))])

    def load(
        self,
        run_id: str,
        step_id: str | None = None,
        attempt: int | None = None,
        *,
        workflow_slug: str | None = None,
    ) -> list[LogEntry] | None:
        """The lines in the order of their times; None where there is no such run (of this workflow)."""
        story = self._histories.story(run_id, workflow_slug=workflow_slug)
        if story is None:
            return None
        lines = self._histories.log_events(story.run, step_id=step_id, attempt=attempt)
        merged = self._histories.with_logs(story, lines)
        found = [event for event in merged if isinstance(event, LogEntry) and step_id in (None, event.step_id)]
        return [line for line in found if attempt in (None, line.attempt_number)]


def _time_of(timestamp_us: float) -> int:
    """A line's time as a whole number of microseconds that a key can hold."""
    time_us = ceil(timestamp_us)
    if not 0 <= time_us <= LATEST_US:
        raise EventInvalidError(f"timestampUs {time_us} is no time in microseconds since 1970: mend the line's time")
    return time_us


def _bytes(line: LogLine) -> int:
    return len(line[2].encode()) + _LINE_BYTES
