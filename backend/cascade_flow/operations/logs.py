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
from cascade_flow.operations.history import Histories, RunHistory, StepLine, log_entries
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

    def lines(self, run_id: str, step_id: str | None = None, attempt: int | None = None) -> list[StepLine]:
        """The lines in the order of their times; none where there is no such run."""
        story = self._histories.outline(run_id)
        return self.of(story, step_id, attempt) if story else []

    def load(
        self, run_id: str, step_id: str, attempt: int | None = None, *, workflow_slug: str
    ) -> list[LogEntry] | None:
        """The lines as events; None where there is no such run of this workflow."""
        story = self._histories.outline(run_id, workflow_slug=workflow_slug)
        return list(log_entries(story.run, self.of(story, step_id, attempt))) if story else None

    def of(self, story: RunHistory, step_id: str | None, attempt: int | None) -> list[StepLine]:
        """A run's lines in the order of their times."""
        stored = self._histories.log_lines(story, step_id=step_id, attempt=attempt)
        lines = sorted([*_appended(story), *stored])
        return [line for line in lines if step_id in (None, line.step_id) and attempt in (None, line.attempt_number)]


def _appended(story: RunHistory) -> list[StepLine]:
    """Lines that came as events of their own."""
    return [
        StepLine(event.timestamp_us, event.step_id, event.attempt_number, event.stream, event.message)
        for event in story.events
        if isinstance(event, LogEntry)
    ]


def _time_of(timestamp_us: float) -> int:
    """A line's time as a whole number of microseconds that a key can hold."""
    time_us = ceil(timestamp_us)
    if not 0 <= time_us <= LATEST_US:
        raise EventInvalidError(f"timestampUs {time_us} is no time in microseconds since 1970: mend the line's time")
    return time_us


def _bytes(line: LogLine) -> int:
    return len(line[2].encode()) + _LINE_BYTES
