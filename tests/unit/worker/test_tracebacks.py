"""Where a traceback points: at the user's own file as it is imported, with our frames folded, and all of the error."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cascade_flow.worker.tracebacks import _end, step_error

CODE = """
from cascade_flow.portions import portions

def broken(*_):
    raise ValueError("line one\\nline two")

def through():
    list(portions([1], size_of=broken, most_bytes=1))

def inside():
    list(portions([1], size_of=None, most_bytes=1))

def chained():
    try:
        through()
    except ValueError as error:
        raise RuntimeError("after") from error

def grouped():
    try:
        through()
    except ValueError as error:
        raise ExceptionGroup("several", [error]) from None

def during():
    try:
        through()
    except ValueError:
        raise RuntimeError("after")

def deep(calls=70):
    if calls:
        deep(calls - 1)
    raise ValueError("at the bottom")

def unreadable():
    compile("x = = 1", __file__, "exec")
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A user's module in a layer that was unpacked somewhere."""
    package = tmp_path / "layers" / "0123456789abcdef" / "python" / "workflows"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "shop.py").write_text(CODE, encoding="utf-8")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.syspath_prepend(tmp_path / "layers")
    monkeypatch.delitem(sys.modules, "workflows", raising=False)
    yield importlib.import_module("workflows.shop")
    for name in ("workflows.shop", "workflows"):
        sys.modules.pop(name, None)


def stack_of(call: Callable[[], Any]) -> str:
    try:
        call()
    except (ValueError, RuntimeError, TypeError, SyntaxError, ExceptionGroup) as error:
        return step_error(error).stack or ""
    pytest.fail("nothing was raised")


FOLD = "  ... frames of cascade-flow: 1\n"


def test_a_file_is_named_as_it_is_imported(shop: Any) -> None:
    assert '  File "workflows/shop.py", line 5, in broken\n    raise ValueError("line one\\nline two")\n' in stack_of(
        shop.broken
    )


def test_our_frames_are_folded_where_they_stand(shop: Any) -> None:
    stack = stack_of(shop.through)
    assert f"in through\n    list(portions([1], size_of=broken, most_bytes=1))\n{FOLD}  File" in stack
    assert "portions.py" not in stack


def test_an_error_in_our_code_still_shows_theirs(shop: Any) -> None:
    stack = stack_of(shop.inside)
    assert "in inside" in stack
    assert f"{FOLD}TypeError: 'NoneType' object is not callable" in stack


@pytest.mark.parametrize("name", ["chained", "grouped", "during"])
def test_causes_and_groups_are_told_alike(shop: Any, name: str) -> None:
    stack = stack_of(getattr(shop, name))
    assert "portions.py" not in stack
    assert "frames of cascade-flow: 1\n" in stack
    assert str(Path(shop.__file__).parent) not in stack
    assert stack.count('File "workflows/shop.py"') >= 3


def test_the_whole_error_is_told(shop: Any) -> None:
    assert stack_of(shop.broken).endswith("ValueError: line one\nline two")


def test_of_many_frames_those_are_told_that_are_nearest_to_the_error(shop: Any) -> None:
    stack = stack_of(shop.deep)
    assert stack.endswith('    raise ValueError("at the bottom")\nValueError: at the bottom')
    assert "in stack_of" not in stack


def test_a_file_that_can_not_be_compiled_is_named_as_it_is_imported(shop: Any) -> None:
    stack = stack_of(shop.unreadable)
    assert stack.count('File "workflows/shop.py"') == 2
    assert "SyntaxError: invalid syntax" in stack


def test_what_is_longer_than_may_be_says_how_much_is_left_out() -> None:
    assert _end("abc", 3) == "abc"
    assert _end("abcde", 3) == "… (2 characters before)\ncde"
