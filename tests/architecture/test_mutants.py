"""The catalogue of mutants is whole: every clause that the protocol marks, and every condition of every write.

That each of them is noticed is shown by `make mutants`.
"""

from __future__ import annotations

import ast
import gc
import json
import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from architecture.house import each
from mutants import children, clauses, events, undo
from mutants.catalogue import CATALOGUE
from mutants.equivalent import EQUIVALENT
from mutants.foreign import mutants_of
from mutants.mutant import PACKAGE, ROOT, TESTS, Mutant, Stale
from mutants.rules import by_rule
from mutants.swapping import functions
from mutants.trial import BROKEN, trials
from mutants.written import conditions_in, places

PROTOCOL = ROOT.parent / "shared" / "protocol.md"
"""Where the protocol lies on the machines of those who work on the project."""
MARKED = (*clauses.MARKED, *events.MARKED, *children.MARKED)
UNDOING_OF = re.compile(r"^7\. \*\*Compensation.*$", re.MULTILINE)
CLAUSES_OF = re.compile(r"^## (?:6|7|13)\..*?(?=^## )|^## 14\..*?(?=^7\. )", re.MULTILINE | re.DOTALL)


@each(CATALOGUE)
def test_a_mutant_is_one_mistake(mutant: Mutant) -> None:
    """Its text is there once, and what stands there instead is Python, and another program."""
    assert ast.dump(ast.parse(mutant.planted())) != _program(mutant.path)


@cache
def _program(path: Path) -> str:
    return ast.dump(ast.parse(path.read_text(encoding="utf-8")))


@each(CATALOGUE)
def test_a_mutant_has_tests_that_must_fail_with_it(mutant: Mutant) -> None:
    assert bool(mutant.tests) != bool(mutant.equivalent), "either a test fails with it, or nothing can"
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert "[" not in name or "[memory" in name, f"mutants are tried on the server in memory, not on that of {test}"
        assert f"def {name.partition('[')[0]}(" in (TESTS / path).read_text(encoding="utf-8"), f"there is no {test}"


def test_each_has_a_name_of_its_own() -> None:
    assert not [name for name, times in Counter(mutant.name for mutant in CATALOGUE).items() if times > 1]


def test_what_is_said_to_be_equivalent_is_a_mutant() -> None:
    places = {place for place, _ in EQUIVALENT}
    made = {(place, mutant.name.partition(" ")[2]) for place in places for mutant in by_rule(place)}
    assert not EQUIVALENT.keys() - made


@pytest.mark.parametrize("clause", [*MARKED, *undo.MARKED])
def test_each_marked_clause_is_broken(clause: str) -> None:
    assert [mutant for mutant in CATALOGUE if mutant.clause == clause and mutant.tests]


@pytest.mark.skipif(not PROTOCOL.exists(), reason="the protocol is not on this machine")
def test_the_marked_clauses_are_the_protocols() -> None:
    text = " ".join(" ".join(CLAUSES_OF.findall(PROTOCOL.read_text(encoding="utf-8"))).split())
    assert len(re.findall(r"\(M[):]", text)) == len(MARKED)
    assert not [clause for clause in MARKED if f"{clause} (M" not in text]
    undoing = " ".join(UNDOING_OF.findall(PROTOCOL.read_text(encoding="utf-8")))
    assert len(re.findall(r"\(M[):]", undoing)) == len(undo.MARKED)
    assert not [clause for clause in undo.MARKED if f"{clause} (M" not in undoing]


@pytest.mark.parametrize("place", places())
def test_each_condition_of_a_write_is_taken_away(place: str) -> None:
    """Each part of it is missing in some mutant."""
    written = conditions_in((PACKAGE / place).read_text(encoding="utf-8"))
    mutants = [mutant for mutant in CATALOGUE if mutant.place == place]
    taken = [written - conditions_in(mutant.planted()) for mutant in mutants]
    kept = [part for part in written if not any(gone[part] for gone in taken)]
    assert not kept, f"no mutant of {place} takes these away: {kept}"


def test_a_mutant_that_could_not_be_planted_is_not_taken_for_noticed() -> None:
    """As here, where the product is imported already."""
    mutant = CATALOGUE[0]
    import_module(mutant.module)
    [verdict] = trials([mutant], jobs=1, limit_s=60)
    assert verdict.outcome == BROKEN


def test_a_mutant_is_planted_and_noticed_and_the_checkout_stays_as_it_is() -> None:
    before = {mutant.path: mutant.path.read_bytes() for mutant in CATALOGUE}
    command = [sys.executable, "-m", "mutants", "--jobs", "1", "a heartbeat is refused by park"]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    told = (0, "== 1 killed: 100.0 of 100 noticed, of 100 wanted")
    assert (found.returncode, found.stdout.splitlines()[-1]) == told, found.stdout + found.stderr
    assert before == {path: path.read_bytes() for path in before}


def test_mutants_of_somebody_else_are_on_the_lines_of_their_text(tmp_path: Path) -> None:
    file, source = tmp_path / "mutants.json", (PACKAGE / "retry.py").read_text(encoding="utf-8")
    last = next(line for line in reversed(source.splitlines()) if source.count(line) == 1)
    file.write_text(json.dumps([["retry.py", last, f"{last} + 1"]]), encoding="utf-8")
    [mutant] = mutants_of(file)
    assert source.splitlines()[mutant.lines.start - 1 : mutant.lines.stop - 1] == [last]
    file.write_text(json.dumps([["retry.py", "nowhere in it", "pass"]]), encoding="utf-8")
    with pytest.raises(Stale, match="not once"):
        mutants_of(file)


def test_frozen_functions_are_swapped_too() -> None:
    gc.collect()
    gc.freeze()
    assert str(PACKAGE / "graph.py") in functions(), "no mutant would be planted, and each would survive"
    gc.freeze()
