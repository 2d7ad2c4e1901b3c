"""A page holds what was asked for and what fits, and says where to go on only where there is more."""

from __future__ import annotations

import pytest

from cascade_flow.api import paging
from cascade_flow.api.paging import page

TIMED = [(10, "a"), (20, "b"), (30, "c")]


@pytest.mark.parametrize(
    ("limit", "found", "last_us"),
    [(1, ["a"], 10), (2, ["a", "b"], 20), (3, ["a", "b", "c"], None), (4, ["a", "b", "c"], None)],
)
def test_it_goes_on_after_the_last_that_was_told(limit: int, found: list[str], last_us: int | None) -> None:
    assert page(TIMED, limit) == (found, last_us)


@pytest.mark.parametrize(("room", "found"), [(1, ["a"]), (5, ["a"]), (6, ["a", "b"])])
def test_it_holds_what_fits_and_one_at_least(monkeypatch: pytest.MonkeyPatch, room: int, found: list[str]) -> None:
    monkeypatch.setattr(paging, "PAGE_CHARACTERS", room)
    assert page(TIMED, 9) == (found, 10 * len(found))


def test_of_nothing_there_is_one_empty_page() -> None:
    assert page([], 9) == ([], None)
