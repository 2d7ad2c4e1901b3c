"""What every run of chaos gets as its input, and the book in which each attempt says that it runs.

Steps and the harness import this module. The book is a file: an oracle that the engine knows nothing of.
"""

from __future__ import annotations

import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from cascade_flow import Retry, StepContext
from cascade_flow.clock import pause_us

PATIENT = Retry(max_attempts=200, delay=0.1, jitter=0)
"""A step that is only unlucky: each death of its worker costs an attempt."""
_DWELLS_US = (0, 0, 0, 20_000, 300_000, 1_500_000, 6_000_000)
"""The longest is longer than a lease."""


class Signed(BaseModel):
    """What an attempt gives, and the word that it drew when it began."""

    value: Any
    attempt: int
    word: str


class Begun(NamedTuple):
    """An attempt whose code really ran."""

    run_id: str
    step_id: str
    attempt: int
    word: str
    pid: int


class Order(BaseModel):
    """A run's input. `number` decides what the run gives, and how long its steps take."""

    folder: Path
    number: int

    def give(self, context: StepContext, value: Any) -> Signed:
        """Sign the book, stay for a while, and give this."""
        word = self.sign(context)
        self.dwell(context)
        return Signed(value=value, attempt=context.attempt, word=word)

    def sign(self, context: StepContext) -> str:
        """The word that this attempt is known by from now on."""
        word = secrets.token_hex(8)
        with self._book.open("a", encoding="utf-8") as book:
            book.write(f"{context.run_id} {context.step_id} {context.attempt} {word} {os.getpid()}\n")
        return word

    def dwell(self, context: StepContext) -> None:
        drawn = sha256(f"{self.number} {context.step_id}".encode()).digest()[0]
        pause_us(_DWELLS_US[drawn % len(_DWELLS_US)])

    def begun(self) -> list[Begun]:
        """All attempts that began, in order."""
        if not self._book.exists():
            return []
        lines = [line.split() for line in self._book.read_text(encoding="utf-8").splitlines()]
        return [Begun(run, step, int(attempt), word, int(pid)) for run, step, attempt, word, pid in lines]

    def mend(self, run_id: str) -> None:
        """Let what was broken for this run be whole from now on."""
        self._mended(run_id).touch()

    def is_mended(self, run_id: str) -> bool:
        return self._mended(run_id).exists()

    @property
    def _book(self) -> Path:
        return self.folder / "begun"

    def _mended(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.mended"
