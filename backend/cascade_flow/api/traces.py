"""One X-Ray trace a run, whichever functions have carried it on: its id is made of the run's, so nothing hands it on.

Each attempt is a segment of it, sent to the daemon beside the function: a datagram, which nobody waits for. A run that
is tried again begins another trace; X-Ray finds both by the annotation `runId`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import socket
from collections.abc import Sequence
from typing import Any

from cascade_flow.engine.state import Branch, Facts
from cascade_flow.model.events import Event, StepCompleted, StepFailed, StepSkipped
from cascade_flow.operations.observer import Observer

_HEADER = b'{"format": "json", "version": 1}\n'
_log = logging.getLogger(__name__)


class Traces(Observer):
    """Sends a segment for each attempt that this process has claimed, or gone on to, and that is over."""

    def __init__(self, daemon: str) -> None:
        host, _, port = daemon.rpartition(":")
        self._daemon = (host, int(port))
        self._traces: dict[str, str] = {}

    def claimed(self, facts: Facts, branch: Branch) -> None:
        self._traces = {facts.run_id: trace_id(facts)}

    def committed(self, events: Sequence[Event]) -> None:
        for event in events:
            trace = self._traces.get(event.run_id)
            if trace is not None and isinstance(event, StepCompleted | StepFailed | StepSkipped):
                self._send(segment(trace, event))

    def _send(self, document: dict[str, Any]) -> None:
        datagram = _HEADER + json.dumps(document).encode()
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
                opened.sendto(datagram, self._daemon)
        except OSError as error:
            _log.warning("a trace's segment was not sent: %s", error)


def trace_id(facts: Facts) -> str:
    """The trace of a run's attempt: X-Ray wants the time of its beginning in it, and takes it for thirty days."""
    return f"1-{facts.started_at_us // 1_000_000:08x}-{hashlib.sha256(facts.run_id.encode()).hexdigest()[:24]}"


def segment(trace: str, event: StepCompleted | StepFailed | StepSkipped) -> dict[str, Any]:
    """What X-Ray shows of an attempt: when, how long, whose, and whether it failed. Nothing that was worked on."""
    ended_s = float(event.timestamp_us) / 1_000_000
    return {
        "name": f"{event.workflow_slug}/{event.step_id}"[:200],
        "id": secrets.token_hex(8),
        "trace_id": trace,
        "start_time": ended_s - float(event.duration_us) / 1_000_000,
        "end_time": ended_s,
        "fault": isinstance(event, StepFailed),
        "annotations": {"runId": event.run_id, "step": event.step_id, "attempt": int(event.attempt_number)},
    }
