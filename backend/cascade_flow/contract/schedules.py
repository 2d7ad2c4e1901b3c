"""The way from a backend to its schedules, which the specification knows nothing of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.operations.runtime import Runtime

if TYPE_CHECKING:
    from cascade_flow.operations.schedules import Schedules


def schedules_of(runtime: Runtime) -> Schedules:
    """What people do with the schedules of a table; who never asks for it needs no calendar."""
    from cascade_flow.operations.schedules import Schedules  # noqa: PLC0415

    return Schedules(runtime)
