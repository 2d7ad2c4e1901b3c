"""Our conditions are spelled as boto3 spells its own."""

from __future__ import annotations

from typing import Any

from boto3.dynamodb import conditions as theirs
from hypothesis import given, strategies as st

from cascade_flow.dynamodb import conditions as ours

_COMPARISONS = ("eq", "ne", "lt", "lte", "gt", "gte")
_NAMES = st.sampled_from(["st", "sq", "a", "av"])
_VALUES = st.text(max_size=3) | st.integers()

Both = tuple[Any, Any]


def _both(name: str, word: str, *values: Any) -> Both:
    return getattr(ours.Attr(name), word)(*values), getattr(theirs.Attr(name), word)(*values)


_QUESTIONS = (
    st.builds(_both, _NAMES, st.sampled_from(_COMPARISONS), _VALUES)
    | st.builds(_both, _NAMES, st.sampled_from(("exists", "not_exists")))
    | st.builds(_both, _NAMES, st.just("between"), _VALUES, _VALUES)
)


def _joined(parts: st.SearchStrategy[Both]) -> st.SearchStrategy[Both]:
    def join(left: Both, right: Both, is_and: bool) -> Both:
        if is_and:
            return left[0] & right[0], left[1] & right[1]
        return left[0] | right[0], left[1] | right[1]

    return st.builds(join, parts, parts, st.booleans())


@given(st.recursive(_QUESTIONS, _joined, max_leaves=6))
def test_a_condition_is_spelled_as_boto3_does(both: Both) -> None:
    mine, other = both
    told = ours.Expressions()
    built = theirs.ConditionExpressionBuilder().build_expression(other)
    assert (mine.spelled(told), told.names, told.values) == tuple(built)


@given(_NAMES, _VALUES, _VALUES)
def test_a_key_condition_too(name: str, first: Any, last: Any) -> None:
    mine = ours.Key("pk").eq(first) & ours.Key(name).between(first, last)
    other = theirs.Key("pk").eq(first) & theirs.Key(name).between(first, last)
    told = ours.Expressions()
    built = theirs.ConditionExpressionBuilder().build_expression(other, is_key_condition=True)
    assert (mine.spelled(told), told.names, told.values) == tuple(built)
