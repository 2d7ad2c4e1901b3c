"""Errors by fingerprint: the list of kinds, and one kind with its occurrences."""

from __future__ import annotations

import pytest

from cascade_flow.analytics.errors import check_fingerprint, compute_error_detail, compute_errors_page
from cascade_flow.errors import InvalidIdError
from cascade_flow.fingerprints import compose_fingerprint, compute_error_fingerprints
from cascade_flow.model.events import StepError, StepEvent
from unit.analytics.happened import completed, failed

AT_LINE = [
    StepError(name="ValueError", message="no", stack=f'Traceback\n  File "/app/src/x.py", line {line}, in f')
    for line in (1, 2)
]
HISTORY: list[StepEvent] = [
    failed(50, error=AT_LINE[1], run_id="r1"),
    failed(10, error=AT_LINE[0], run_id="r1"),
    failed(20, error=AT_LINE[0], run_id="r2"),
    failed(30, 2, error=AT_LINE[0], run_id="r2"),
    failed(40, message="bare"),
    completed(60),
]
SAME = compose_fingerprint(compute_error_fingerprints(AT_LINE[0]), "exact")


def test_the_most_frequent_kind_comes_first() -> None:
    page = compute_errors_page(HISTORY, "exact", limit=50, offset=0)
    assert page.total == 3
    assert page.errors[0].to_wire() == {
        "fingerprint": SAME,
        "errorMessage": "no",
        "errorName": "ValueError",
        "sampleStack": AT_LINE[0].stack,
        "count": 3,
        "affectedRuns": 2,
        "firstSeen": 10,
        "lastSeen": 30,
    }
    bare = page.errors[2]
    assert (bare.error_name, bare.sample_stack) == ("Error", "")


@pytest.mark.parametrize("strategy", ["normalized", "portable"])
def test_a_coarser_look_joins_what_differs_by_line(strategy: str) -> None:
    page = compute_errors_page(HISTORY, strategy, limit=50, offset=0)  # type: ignore[arg-type]
    assert [group.count for group in page.errors] == ([4, 1] if strategy == "normalized" else [3, 1, 1])


def test_a_page_is_a_part_of_the_list() -> None:
    page = compute_errors_page(HISTORY, "exact", limit=1, offset=1)
    assert (page.total, [group.last_seen for group in page.errors]) == (3, [50])


def test_one_kind_with_its_newest_occurrences() -> None:
    detail = compute_error_detail(HISTORY, SAME, "exact", limit=2, offset=0)
    assert (detail.total, detail.total_count, detail.affected_runs) == (3, 3, 2)
    assert (detail.first_seen, detail.last_seen, detail.error_name) == (10, 30, "ValueError")
    assert [each.timestamp_us for each in detail.occurrences] == [30, 20]
    rest = compute_error_detail(HISTORY, SAME, "exact", limit=2, offset=2)
    assert [each.timestamp_us for each in rest.occurrences] == [10]


def test_a_kind_that_never_was_is_empty() -> None:
    detail = compute_error_detail(HISTORY, "a:b:c", "exact", limit=9, offset=0)
    assert (detail.error_message, detail.total_count, detail.first_seen, detail.occurrences) == ("", 0, 0, [])


@pytest.mark.parametrize("text", ["", "a", "a:b", "a:b:c:d"])
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(InvalidIdError, match="three hashes"):
        check_fingerprint(text)
    assert check_fingerprint("a:b:c") == "a:b:c"
