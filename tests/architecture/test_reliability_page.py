"""docs/reliability.md is true of the tests: what it names is there, and no suite of failures is left out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from architecture.house import ROOT

PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"tests/[\w/]+\.py", PAGE)))
INSIDE = re.findall(r"(tests/[\w/]+\.py) \((`\w+`(?:, `\w+`)*)\)", PAGE)
SUITES_OF_FAILURES = ("faults", "histories", "races")


def rows() -> Iterator[list[str]]:
    """The tables' rows that name tests."""
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and "tests/" in line:
            yield cells


@pytest.mark.parametrize("path", NAMED)
def test_every_file_that_is_named_is_there(path: str) -> None:
    assert (ROOT / path).is_file()


@pytest.mark.parametrize(("path", "names"), INSIDE)
def test_every_function_that_is_named_is_there(path: str, names: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {name.strip("`") for name in names.split(", ")} <= functions


def test_every_row_names_its_tests_last() -> None:
    for *said, tests in rows():
        assert tests.startswith("tests/"), tests
        assert not any("tests/" in cell for cell in said), said


def test_every_test_of_a_failure_is_named() -> None:
    found = [path for suite in SUITES_OF_FAILURES for path in (ROOT / "tests" / suite).glob("test_*.py")]
    assert {path.relative_to(ROOT).as_posix() for path in found} <= set(NAMED)


@pytest.mark.parametrize("place", ["README.md", "docs/architecture.md"])
def test_people_find_the_page(place: str) -> None:
    assert "reliability.md)" in (ROOT / place).read_text(encoding="utf-8")
