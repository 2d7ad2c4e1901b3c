"""When a run is due, must be over, and expires: to the microsecond, without a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cascade_flow.engine.runs import Submission, latest_end_us, started_again, submit
from cascade_flow.engine.state import Run
from unit.engine.facts import NOW_US, TIMING, facts_of, run_of, step

FACTS = facts_of(step("a"), run_attempt=2)
TAIL = ({"hasInputSchema": False},)
HOUR_US = 3_600_000_000


def order(**said: int) -> Submission:
    return Submission("v1", **{"available_at_us": NOW_US, "has_input_schema": False, **said})


@pytest.mark.parametrize(("available_at_us", "status"), [(NOW_US, "running"), (NOW_US + 1, "pending")])
def test_what_is_due_now_starts_now(available_at_us: int, status: str) -> None:
    assert submit(FACTS, order(available_at_us=available_at_us), now_us=NOW_US).run.status == status


def test_a_delayed_run_has_its_whole_time_from_when_it_is_due() -> None:
    due_us = NOW_US + HOUR_US
    run = submit(FACTS, order(available_at_us=due_us), now_us=NOW_US).run
    assert (run.due_us, run.deadline_us) == (due_us, due_us + TIMING.timeout_us)
    run = submit(FACTS, order(available_at_us=due_us, timeout_us=7), now_us=NOW_US).run
    assert run.deadline_us == due_us + 7


def again(run: Run, *, now_us: int = NOW_US) -> Run:
    return started_again(FACTS, replace(run, status="failed", tail=TAIL), [], None, now_us=now_us).run


def test_a_retried_run_has_as_much_time_as_it_had() -> None:
    delayed = replace(run_of(), available_at_us=NOW_US - 50, deadline_us=NOW_US + 950)
    once = again(delayed)
    assert once.deadline_us - (once.started_at_us or 0) == 1_000
    twice = again(once, now_us=NOW_US + HOUR_US)
    assert twice.deadline_us - (twice.started_at_us or 0) == 1_000


def test_a_retried_run_is_over_well_before_it_expires() -> None:
    run = replace(run_of(), expires_s=(NOW_US + TIMING.retention_us // 90 + 5_000_000) // 1_000_000)
    assert latest_end_us(FACTS, run) == run.expires_s * 1_000_000 - TIMING.retention_us // 90
    assert again(run).deadline_us == latest_end_us(FACTS, run)


@pytest.mark.parametrize(("started_at_us", "owed"), [(None, 0), (NOW_US - 100, None)])
def test_what_never_started_owes_its_roots(started_at_us: int | None, owed: int | None) -> None:
    assert again(run_of(started_at_us=started_at_us)).owed == owed
