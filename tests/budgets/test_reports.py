"""A run that has ended is read once by reports, and written down in less than a unit; from then on, by thousands."""

from __future__ import annotations

from budgets.reports import asked_twice
from testbed.servers import Store


def test_a_report_reads_ended_runs_by_thousands_once_it_was_asked_for(dynamodb: Store) -> None:
    first, again = asked_twice(dynamodb, 500)
    assert not first.exceeded
    assert not again.exceeded
