"""Mutants that somebody else has thought of: a file of JSON, a list of [module, text, instead].

`python -m mutants --of FILE` holds them against the gate as it holds those by rule.
"""

from __future__ import annotations

import json
from pathlib import Path

from mutants.mutant import Mutant
from mutants.rules import suites_of

_SHOWN = 60


def mutants_of(file: Path) -> list[Mutant]:
    """What a file names; raises Stale where a text is not exactly once where it should be."""
    found = [_mutant(*entry) for entry in json.loads(file.read_text(encoding="utf-8"))]
    for mutant in found:
        mutant.tree()
    return found


def _mutant(place: str, text: str, instead: str) -> Mutant:
    mutant = Mutant("", "by somebody else", place, text, instead, suites_of(place))
    name = f"{place}:{mutant.lines.start} {_short(text)} → {_short(instead)}"
    return Mutant(name, mutant.clause, place, text, instead, mutant.tests)


def _short(text: str) -> str:
    return " ".join(text.split())[:_SHOWN]
