"""Who listens to what the functions commit: metrics, and traces where they are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from cascade_flow.api.metrics import Metrics
from cascade_flow.engine.state import Branch, Facts
from cascade_flow.model.events import Event
from cascade_flow.operations.observer import Observer


class Telemetry(Observer):
    """Tells all that it hears to each of its listeners."""

    def __init__(self, metrics: Metrics | None, *others: Observer) -> None:
        self._metrics = metrics
        self._listeners = (*([] if metrics is None else [metrics]), *others)

    @classmethod
    def of(cls, *, metrics: Literal["none", "service", "workflow"], daemon: str | None) -> Self:
        """What traces is not even imported where nobody takes them."""
        counting = None if metrics == "none" else Metrics(by_workflow=metrics == "workflow")
        if daemon is None:
            return cls(counting)
        from cascade_flow.api.traces import Traces  # noqa: PLC0415

        return cls(counting, Traces(daemon))

    def committed(self, events: Sequence[Event]) -> None:
        for listener in self._listeners:
            listener.committed(events)

    def undoing(self, events: Sequence[Event]) -> None:
        for listener in self._listeners:
            listener.undoing(events)

    def claimed(self, facts: Facts, branch: Branch) -> None:
        for listener in self._listeners:
            listener.claimed(facts, branch)

    def overtaken(self, facts: Facts) -> None:
        for listener in self._listeners:
            listener.overtaken(facts)

    def swept(self, swept: Mapping[str, Any]) -> None:
        """What a sweep came to."""
        if self._metrics is not None:
            self._metrics.swept(swept)

    def write(self) -> None:
        """Write what was measured since the last time."""
        if self._metrics is not None:
            self._metrics.write()
