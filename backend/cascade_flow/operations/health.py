"""Whether the engine can work: what it can't do anything without is tried, once."""

from __future__ import annotations

from cascade_flow.errors import CascadeFlowError, UnhealthyError
from cascade_flow.operations.runtime import Runtime

TABLE = "table"
CHECKS = (TABLE,)


def check(runtime: Runtime) -> None:
    """Raises UnhealthyError, which says what doesn't work."""
    try:
        runtime.registry.metadata("cascade-flow")
    except CascadeFlowError as error:
        raise UnhealthyError(f"the table can't be read: {error}", checks={TABLE: str(error)}) from error
