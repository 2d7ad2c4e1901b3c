"""What a mutant is: a piece of the product's text, what stands there instead, and the tests that must fail with it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "backend" / "cascade_flow"
TESTS = ROOT / "tests"


class Stale(Exception):
    """The text of a mutant is not exactly once where it should be."""


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    `clause` says which promise it breaks: a section of protocol.md, and its words where the protocol marks them. One
    that no test can tell from the product has none, but says why (`equivalent`).
    """

    name: str
    clause: str
    place: str
    text: str
    instead: str
    tests: tuple[str, ...] = ()
    equivalent: str = ""

    @property
    def path(self) -> Path:
        return PACKAGE / self.place

    @property
    def module(self) -> str:
        """The full name of the module that it stands in."""
        return ".".join(("cascade_flow", *Path(self.place).with_suffix("").parts))

    def planted(self) -> str:
        """The module's source with the mistake in it; raises Stale."""
        source = self.path.read_text(encoding="utf-8")
        if (times := source.count(self.text)) != 1:
            raise Stale(f"{self.name!r}: {self.place} holds its text {times} times, not once")
        return source.replace(self.text, self.instead)

    def tree(self) -> ast.Module:
        """The module with the mistake in it."""
        return ast.parse(self.planted())

    def sound_tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @property
    def lines(self) -> range:
        """The lines of the module that hold its text: who executes none of them can't notice it."""
        before = self.path.read_text(encoding="utf-8").partition(self.text)[0]
        first = before.count("\n") + 1
        return range(first, first + self.text.count("\n") + 1)
