"""`Results` are read as a list of the same results is, and keep none of them."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

from hypothesis import given, strategies as st

from cascade_flow import Results

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(alphabet='ab,[]{}"\\ \n€'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(values, max_size=8), st.sampled_from([None, 1]), st.integers(-9, 9), st.integers(-9, 9))
def test_they_read_as_a_list_does(expected: list[Any], indent: int | None, first: int, last: int) -> None:
    results: Results[Any] = Results(json.dumps(expected, indent=indent), json.loads)
    assert list(results) == expected
    assert len(results) == len(expected)
    assert results[first:last] == expected[first:last]
    assert list(reversed(results)) == expected[::-1]
    if -len(expected) <= first < len(expected):
        assert results[first] == expected[first]


def test_those_that_are_in_memory_read_alike() -> None:
    results = Results.of(["a", "b"])
    assert (list(results), len(results), results[-1], results[:1]) == (["a", "b"], 2, "b", ["a"])
    assert repr(results) == "<2 results>"


def test_two_thousand_take_the_memory_of_one() -> None:
    text = json.dumps([{"id": number, "note": "x" * 1_000} for number in range(2_000)])
    tracemalloc.start()
    results: Results[Any] = Results(text, json.loads)
    assert sum(each["id"] for each in results) == 1_999_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000
