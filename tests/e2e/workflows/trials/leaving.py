"""A workflow that a test deploys no more."""

from __future__ import annotations

from cascade_flow import Workflow

leaving = Workflow("leaving")


@leaving.step(export=True)
def here() -> str:
    return "here"
