"""A folder where steps and a test meet: a step signs the book and stays until the test lets it go.

Steps get it as their run's input; both sides import this module. Files are the only thing that both can see.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from cascade_flow import StepContext
from cascade_flow.clock import pause_us

_GLANCE_US = 20_000


class Visit(NamedTuple):
    """An attempt of a step that really ran, and where."""

    attempt: int
    pid: int


class Meeting(BaseModel):
    """`sign` and `attend` are for steps, the rest is for tests."""

    folder: Path

    def sign(self, context: StepContext, part: str | None = None) -> None:
        """Say that this attempt, or this part of it, runs, and in which process."""
        with self._book(part or context.step_id).open("a", encoding="utf-8") as book:
            book.write(f"{context.attempt} {os.getpid()}\n")

    def attend(self, context: StepContext) -> None:
        """Sign, and stay until the test lets go; whoever is thrown out earlier leaves a note of that."""
        self.sign(context)
        try:
            while not self._end(context.step_id).exists():
                pause_us(_GLANCE_US)
        except BaseException:
            self._note(context.step_id, context.attempt).touch()
            raise

    def visits(self, step_id: str) -> list[Visit]:
        """All attempts of a step that began to run so far."""
        book = self._book(step_id)
        lines = book.read_text(encoding="utf-8").splitlines() if book.exists() else []
        return [Visit(*map(int, line.split())) for line in lines]

    def let_go(self, *step_ids: str) -> None:
        """Let every attempt of these steps go on, those to come too."""
        for step_id in step_ids:
            self._end(step_id).touch()

    def was_thrown_out(self, step_id: str, attempt: int = 1) -> bool:
        """Whether this attempt was stopped while it stayed."""
        return self._note(step_id, attempt).exists()

    def _book(self, step_id: str) -> Path:
        return self.folder / f"{step_id}.visits"

    def _end(self, step_id: str) -> Path:
        return self.folder / f"{step_id}.end"

    def _note(self, step_id: str, attempt: int) -> Path:
        return self.folder / f"{step_id}.{attempt}.thrown-out"
