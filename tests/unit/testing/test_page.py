"""What docs/testing.md and docs/growing.md show works: each example is run as a user's file, and each test passes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cascade_flow.testing import Engine

pytest_plugins = ["pytester"]

PAGE = Path(__file__).parents[3] / "docs" / "testing.md"
BLOCK = re.compile(r"```python(?: file=(\S+))?\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize(("page", "least"), [("testing.md", 6), ("growing.md", 2)])
def test_the_page_is_true(pytester: pytest.Pytester, page: str, least: int) -> None:
    blocks = BLOCK.findall(PAGE.with_name(page).read_text(encoding="utf-8"))
    for number, (name, code) in enumerate(blocks):
        (pytester.path / (name or f"test_example_{number}.py")).write_text(code, encoding="utf-8")
    pytester.makeini("[pytest]\npythonpath = .\nfilterwarnings = error")
    shown = sum(len(re.findall(r"^def test_", code, re.MULTILINE)) for _, code in blocks)
    assert shown >= least
    pytester.runpytest_inprocess().assert_outcomes(passed=shown)


def test_it_names_every_method() -> None:
    page = PAGE.read_text(encoding="utf-8")
    methods = [name for name in vars(Engine) if not name.startswith("_") and name not in ("close", "cancel")]
    assert [name for name in methods if f"`{name}" not in page and f".{name}" not in page] == []
