"""What a worker names in all that it says of an attempt, and its sign of life: what most requests are."""

from __future__ import annotations

from cascade_flow.api.shapes import Name, Shape
from cascade_flow.model.parts import ResourceSnapshot
from cascade_flow.model.wire import Count, Ordinal


class AttemptReport(Shape):
    """What every report names: who holds the attempt, and which one."""

    worker_id: Name
    """Who claimed it."""
    attempt_number: Ordinal
    """Which attempt of the step."""


class Snapshot(Shape):
    """What an attempt uses at the moment."""

    memory_bytes: Count
    cpu_time_us: Count | None = None


class Heartbeat(AttemptReport):
    """A sign of life from the worker that holds an attempt."""

    resource_snapshot: Snapshot | None = None

    @property
    def snapshot(self) -> ResourceSnapshot | None:
        given = self.resource_snapshot
        if given is None:
            return None
        return ResourceSnapshot(memory_bytes=given.memory_bytes, cpu_time_us=given.cpu_time_us)
