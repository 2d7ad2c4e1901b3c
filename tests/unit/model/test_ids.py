"""What an id may look like."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from cascade_flow.errors import InvalidIdError
from cascade_flow.model.ids import check_run_id, check_slug, check_step_id

FLAT = [check_slug, check_run_id]
BAD_PARTS = ["", "-a", ".a", "_a", "a b", "a#b", "a$", "ä", "a\n", "a" * 257, "٣"]


@pytest.mark.parametrize("check", [*FLAT, check_step_id])
@pytest.mark.parametrize("id", ["a", "0", "A-b_c.d", "a" * 256])
def test_ids_that_are_allowed_come_back(check: Callable[[str], str], id: str) -> None:
    assert check(id) == id


@pytest.mark.parametrize("check", [*FLAT, check_step_id])
@pytest.mark.parametrize("id", BAD_PARTS)
def test_other_ids_are_refused(check: Callable[[str], str], id: str) -> None:
    with pytest.raises(InvalidIdError, match="it may hold"):
        check(id)


@pytest.mark.parametrize("check", FLAT)
def test_only_step_ids_may_be_nested(check: Callable[[str], str]) -> None:
    assert check_step_id("group/sub/step") == "group/sub/step"
    with pytest.raises(InvalidIdError):
        check("group/step")


@pytest.mark.parametrize("id", ["/a", "a/", "a//b", "a/../b", f"{'a' * 128}/{'b' * 128}"])
def test_every_part_of_a_step_id_counts(id: str) -> None:
    with pytest.raises(InvalidIdError):
        check_step_id(id)


def test_the_error_names_field_and_value() -> None:
    with pytest.raises(InvalidIdError) as caught:
        check_run_id("no/such")
    assert caught.value.facts == {"field": "run id", "value": "no/such"}


@given(st.text(max_size=5))
def test_no_id_holds_what_separates_keys(id: str) -> None:
    try:
        check_step_id(id)
    except InvalidIdError:
        return
    assert not set(id) & set("#$ \n")
