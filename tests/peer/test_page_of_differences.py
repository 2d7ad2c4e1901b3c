"""docs/peer.md names every rule by which an answer may differ from the peer's, and tests that are there."""

from __future__ import annotations

import ast
from pathlib import Path

from peer.answers import ALTERED, NOT_COMPARED, UNTOLD
from peer.both import COLLIDES
from peer.rules import REFUSALS
from peer.translations import TRANSLATIONS

ROOT = Path(__file__).parents[2]
COLUMNS = 5


def rows() -> dict[str, list[str]]:
    """The rows of the page's tables by name."""
    lines = (ROOT / "docs" / "peer.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    found = [row for row in cells if row[0] != "name" and set(row[0]) != {"-"}]
    assert all(len(row) == COLUMNS and all(row) for row in found)
    assert len({row[0] for row in found}) == len(found), "a name is there twice"
    return {row[0]: row for row in found}


def functions_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_row_has_a_test_of_its_name() -> None:
    for name, row in rows().items():
        path, test = row[-1].split("::")
        assert test in functions_in(path), row
        assert test == "test_" + name.replace("-", "_")


def test_every_test_of_a_difference_has_a_row() -> None:
    told = {row[-1].split("::")[1] for row in rows().values()}
    assert {name for name in functions_in("tests/peer/test_differences.py") if name.startswith("test_")} == told


def test_every_rule_has_a_row() -> None:
    refused, translated = [rule.name for rule in REFUSALS], [rule.name for rule in TRANSLATIONS.values()]
    altered, apart = [rule.name for rule in ALTERED], [rule.name for rule in NOT_COMPARED]
    untold = [rule.name for rule in UNTOLD]
    assert {COLLIDES, *refused, *translated, *altered, *apart, *untold} <= rows().keys()
