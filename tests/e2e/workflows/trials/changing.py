"""A workflow whose code a test changes while a run of it is under way."""

from __future__ import annotations

from cascade_flow import Workflow

changing = Workflow("changing")


@changing.step(export=True)
def kept() -> str:
    return "kept"


@changing.step(export=True)
def removed(kept: str) -> str:
    return kept
