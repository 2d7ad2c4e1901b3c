"""Things in portions: as large as may be, in their order, and none left out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from cascade_flow.portions import portions


def parts(sizes: list[int], *, most_bytes: int = 10, **most: int) -> list[list[int]]:
    return list(portions(sizes, size_of=lambda size: size, most_bytes=most_bytes, **most))


@pytest.mark.parametrize(
    ("sizes", "most", "found"),
    [
        ([], 9, []),
        ([10], 9, [[10]]),
        ([11], 9, [[11]]),
        ([4, 6], 9, [[4, 6]]),
        ([4, 7], 9, [[4], [7]]),
        ([11, 1, 11], 9, [[11], [1], [11]]),
        ([1, 9, 1, 9], 9, [[1, 9], [1, 9]]),
        ([0, 0, 0], 2, [[0, 0], [0]]),
        ([1, 1, 1, 1], 2, [[1, 1], [1, 1]]),
        ([6, 1, 6], 1, [[6], [1], [6]]),
    ],
)
def test_a_portion_is_as_large_as_it_may_be(sizes: list[int], most: int, found: list[list[int]]) -> None:
    assert parts(sizes, most=most) == found


@given(st.lists(st.integers(0, 12), max_size=30), st.integers(1, 5))
def test_nothing_is_lost_and_no_two_portions_could_be_one(sizes: list[int], most: int) -> None:
    found = parts(sizes, most=most)
    assert [size for part in found for size in part] == sizes
    assert all(part and len(part) <= most and (len(part) == 1 or sum(part) <= 10) for part in found)
    assert all(len(a) == most or sum(a) + b[0] > 10 for a, b in pairwise(found))


def test_without_a_number_the_size_alone_counts() -> None:
    assert parts([0] * 5_000) == [[0] * 5_000]
