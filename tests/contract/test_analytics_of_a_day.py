"""Reports on a day of real runs: exactly what the definitions make of their events, read from what the range holds.

That every server answers alike is `test_analytics`; here the engine carries runs of every kind, on one server.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from cascade_flow import Event, InvalidIdError, RetryTier, StepError, StepRetrying, clock
from cascade_flow.analytics.past import Past
from cascade_flow.analytics.scope import Scope
from cascade_flow.dynamodb import digests, keys
from checker import check_run
from faults.moments import pausing
from reported import check_reports
from simulation import TIMING, Script, TickingClock, World, step
from testbed.meter import meter
from testbed.servers import Store
from testbed.wire import Answer, Floor, Request, Send, wire_of

TWICE = [RetryTier(max_attempts=2, delay_ms=1_000, jitter=0)]
STEPS = [step("a"), step("b", "a", retry=TWICE), step("c", "a"), step("d", "b", "c", export_output=True)]
SCRIPTS: Mapping[str, Script] = {
    "plain": {},
    "retried": {"b": ["fail", "ok"]},
    "exhausted": {"b": ["fail"]},
    "fatal": {"c": ["fatal"]},
    "skipped": {"b": ["skip"]},
    "reclaimed": {"b": ["die", "ok"]},
    "large": {"c": ["large"]},
}
ENDS = {
    **{run_id: "failed" if run_id in ("exhausted", "fatal") else "completed" for run_id in SCRIPTS},
    "cancelled": "cancelled",
}


@dataclass(frozen=True)
class Day:
    """What the engine made of a day: a run of every kind."""

    world: World
    start_us: int

    def past(self, run_ids: Any = None, **options: Any) -> Past:
        """The reports' input by another way: all events of all runs, loaded one by one."""
        return Past.of(Scope.of(clock.now_us(), **options), self.histories(run_ids or ENDS))

    def histories(self, run_ids: Iterable[str] = ENDS) -> list[list[Event]]:
        return [self.world.observer.load_events("flow", run_id) for run_id in run_ids]


@pytest.fixture
def day(dynamodb: Store) -> Iterator[Day]:
    with clock.use(TickingClock()) as time:
        world = World(dynamodb, clock=time)
        start_us = clock.now_us()
        world.register(STEPS)
        for run_id, world.script in SCRIPTS.items():
            world.submit(run_id=run_id)
            world.settle(run_id)
        world.submit(run_id="cancelled")
        world.backend.cancel_run("cancelled", "no longer wanted")
        yield Day(world, start_us)
        assert {run_id: check_run(world.observer, run_id).status for run_id in ENDS} == ENDS


def test_every_report_is_what_the_events_make_of_it(day: Day) -> None:
    within: dict[str, Any] = {"start_us": day.start_us, "end_us": clock.now_us()}
    check_reports(day.world.backend, day.histories(), **within)
    past = day.past(**within)
    summary = day.world.backend.get_analytics_summary(**within)
    assert summary == past.summary(day.world.backend.get_queue_depth())


def test_the_numbers_of_a_day(day: Day) -> None:
    summary = day.world.backend.get_analytics_summary()
    rate = summary.success_rate
    assert (rate.total_runs, rate.successful_runs, rate.failed_runs, rate.cancelled_runs) == (8, 5, 2, 1)
    assert (rate.success_rate, rate.failure_rate) == (62.5, 25)
    errors = summary.error_analysis
    assert (errors.total_failures, errors.unique_errors) == (4, 2)
    assert {each.failure_reason: each.count for each in errors.breakdown_by_reason} == {
        "execution-error": 3,
        "exhausted-retries": 1,
    }
    assert [(each.message, each.count) for each in errors.most_common_errors] == [("b can't", 3), ("c can't", 1)]
    retries = summary.retry_analysis
    assert (retries.total_retries, retries.retries_succeeded, retries.retries_failed) == (2, 1, 1)
    assert (retries.average_attempts_before_success, retries.retry_effectiveness_rate) == (2, 50)
    assert summary.worker_stability.steps_reclaimed_by_worker == {"worker-1": 1}
    assert summary.worker_stability.average_stale_time_us >= TIMING.lease_us
    assert (summary.throughput.runs_completed, summary.throughput.runs_failed) == (5, 2)
    assert summary.throughput.time_range_us == summary.time_range.duration_us == 86_400_000_000
    assert summary.workflow_duration.count == 8
    assert summary.step_duration.max_us == 123_456
    assert summary.scheduling_latency.count > 20
    assert set(summary.queue_depth.to_wire().values()) == {0}


@pytest.mark.parametrize(
    "options",
    [{"workflow_slug": "flow"}, {"step_id": "b"}, {"run_ids": ["large", "plain", "large"]}],
    ids=str,
)
def test_reports_may_be_limited(day: Day, options: dict[str, Any]) -> None:
    within = {**options, "start_us": day.start_us, "end_us": clock.now_us()}
    for _ in ("from the histories", "from what was kept of these"):
        check_reports(day.world.backend, day.histories(dict.fromkeys(options.get("run_ids", ENDS))), **within)


def test_both_ends_of_a_range_are_included(day: Day) -> None:
    backend = day.world.backend
    [at_us] = [e.timestamp_us for e in day.past(["fatal"]).steps if e.type == "StepFailed"]
    for start_us, end_us, count in [(at_us, at_us, 1), (at_us + 1, at_us + 1, 0), (at_us - 1, at_us - 1, 0)]:
        assert backend.get_error_analysis(start_us=start_us, end_us=end_us).total_failures == count
        assert backend.get_errors_list(start_us=start_us, end_us=end_us).total == count


def test_what_nobody_knows_has_no_past(day: Day) -> None:
    unknown: list[dict[str, Any]] = [
        {"workflow_slug": "unknown"},
        {"step_id": "unknown"},
        {"run_ids": ["unknown"]},
        {"run_ids": []},
    ]
    for options in unknown:
        assert day.world.backend.get_step_duration(**options).count == 0, options
    assert day.world.backend.get_success_rate(step_id="b").total_runs == 0, "a question about a step is not about runs"
    with pytest.raises(InvalidIdError):
        day.world.backend.get_throughput(run_ids=["a#b"])
    mistyped: Any = {"workflow": "flow"}
    with pytest.raises(TypeError, match="workflow"):
        day.world.backend.get_throughput(**mistyped)


def test_errors_come_by_fingerprint(day: Day) -> None:
    backend = day.world.backend
    page = backend.get_errors_list(workflow_slug="flow")
    assert [(each.error_name, each.error_message, each.count, each.affected_runs) for each in page.errors] == [
        ("ValueError", "b can't", 3, 2),
        ("ValueError", "c can't", 1, 1),
    ]
    assert backend.get_errors_list(grouping_strategy="portable", limit=1, offset=1).errors[0].count == 1
    most = page.errors[0]
    detail = backend.get_error_detail(most.fingerprint, "exact", limit=2)
    assert (detail.total, detail.affected_runs, detail.last_seen) == (3, 2, most.last_seen)
    assert [(each.run_id, each.attempt_number) for each in detail.occurrences] == [("exhausted", 2), ("exhausted", 1)]
    last = backend.get_error_detail(most.fingerprint, "exact", offset=2)
    assert [each.run_id for each in last.occurrences] == ["retried"]
    assert backend.get_error_detail(most.fingerprint, "exact", end_us=most.first_seen).total == 1
    with pytest.raises(InvalidIdError, match="fingerprint"):
        backend.get_error_detail("nonsense", "exact")


@pytest.mark.servers("ministack")
def test_payloads_and_logs_are_not_read(day: Day) -> None:
    client = day.world.store.another_client()
    backend = day.world.another(client)
    backend.get_throughput(run_ids=["large"])
    with meter(client, day.world.store.table) as counting:
        assert backend.get_step_duration(run_ids=["large"]).count == 4
    assert [line.operation for line in counting.lines] == ["BatchGetItem", "Query"]


@pytest.mark.servers("ministack")
def test_what_lies_outside_of_a_range_is_not_read(day: Day) -> None:
    client = day.world.store.another_client()
    backend = day.world.another(client)
    with meter(client, day.world.store.table) as whole:
        assert backend.get_throughput(start_us=day.start_us).runs_completed == 5
    day.world.clock.pause_us(60_000_000)
    with meter(client, day.world.store.table) as nothing:
        assert backend.get_throughput(start_us=clock.now_us()).runs_completed == 0
    shards = 3 * keys.written().due
    assert [line.operation for line in nothing.lines] == ["Query"] * shards, "the index alone"
    assert len(whole.lines) >= shards + len(ENDS)


def test_what_a_run_was_given_by_another_counts_once(day: Day) -> None:
    world, before = day.world, day.world.backend.get_success_rate()
    again = world.backend.rerun_from(parent_run_id="plain", from_step_id="d").run_id
    world.settle(again)
    assert len(world.observer.load_events("flow", again, types=["StepCompleted"])) == 4
    after = world.backend.get_success_rate()
    assert (after.successful_runs, after.successful_steps) == (before.successful_runs + 1, before.successful_steps + 1)
    assert world.backend.get_success_rate(run_ids=[again]).total_steps == 1
    check_run(world.observer, again)


# -- runs that have ended are read once -------------------------------------------------------------------------------


def requests_of_a_report(day: Day) -> list[str]:
    """What a report asks the table for, beyond the index's shards, of a process that has worked before."""
    client = day.world.store.another_client()
    backend = day.world.another(client)
    backend.get_queue_depth()
    backend.get_throughput(run_ids=["plain"])
    with meter(client, day.world.store.table) as counting:
        backend.get_throughput()
    asked = [line.operation for line in counting.lines]
    assert asked[: 3 * keys.written().due] == ["Query"] * 3 * keys.written().due
    return asked[3 * keys.written().due :]


def test_a_run_that_has_ended_is_read_once_for_ever(day: Day) -> None:
    first = requests_of_a_report(day)
    assert Counter(first) == {"Query": 1 + len(ENDS), "BatchGetItem": 1, "PutItem": 1}
    assert requests_of_a_report(day) == ["Query"]
    day.world.script = {}
    day.world.settle(day.world.submit(run_id="another"))
    assert Counter(requests_of_a_report(day)) == {"Query": 1 + 1, "BatchGetItem": 1, "PutItem": 1}
    assert requests_of_a_report(day) == ["Query"]


def test_a_run_that_goes_on_again_is_read_again(day: Day) -> None:
    check_reports(day.world.backend, day.histories())
    day.world.backend.retry_run("exhausted")
    check_reports(day.world.backend, day.histories())
    day.world.script = {"b": ["fail"]}
    day.world.settle("exhausted")
    check_reports(day.world.backend, day.histories())
    assert requests_of_a_report(day) == ["Query"]
    day.world.backend.retry_run("cancelled")
    day.world.backend.cancel_run("cancelled", "once more")
    check_reports(day.world.backend, day.histories())


def test_what_is_added_to_a_run_that_has_ended_is_told(day: Day) -> None:
    check_reports(day.world.backend, day.histories())
    [failed] = day.past(["retried"]).error_analysis().most_common_errors
    at: dict[str, Any] = {"workflow_slug": "flow", "run_id": "retried", "step_id": "b", "attempt_number": 1}
    for _ in range(2):
        told = StepRetrying(timestamp_us=failed.last_occurrence, **at, next_attempt=2, error=StepError(message="no"))
        day.world.backend.append_event("flow", "retried", told)
        check_reports(day.world.backend, day.histories())
        check_reports(day.world.backend, day.histories())
    assert day.past(["retried"]).retry_analysis().total_retries == 3


def test_what_was_kept_of_a_run_ends_with_it(day: Day) -> None:
    backend = day.world.backend
    assert backend.get_throughput(start_us=day.start_us).runs_completed == 5
    expires_s = {run_id: backend.runtime.run(run_id).expires_s for run_id in ENDS}
    with clock.use(clock.SteppingClock(expires_s["plain"] * 1_000_000)):
        left = [run_id for run_id in ENDS if backend.runtime.ledger.run(run_id) is not None]
        assert "plain" not in left
        assert backend.get_success_rate(start_us=day.start_us).total_runs == len(left)


def test_a_run_that_ends_while_a_report_is_made_and_is_kept_by_another_counts_once(day: Day) -> None:
    world = day.world
    world.script, world.chained = {}, False
    live = 2 * keys.written().due
    for moment in range(live - 1, live + 2):
        run_id = world.submit()
        world.deliver(world.mailbox.wakes.pop(0))
        known = world.observer.get_step_duration().count

        def others(run_id: str = run_id) -> None:
            world.settle(run_id)
            world.observer.get_step_duration()

        assert pausing(world, "Query", others, at=moment).get_step_duration().count == known


def test_what_another_release_has_kept_is_not_read(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    check_reports(day.world.backend, day.histories())
    monkeypatch.setattr(digests, "FORM", digests.FORM + 1)
    check_reports(day.world.backend, day.histories())
    assert requests_of_a_report(day) == ["Query"]
    monkeypatch.undo()
    assert requests_of_a_report(day) == ["Query"]


def test_who_may_only_read_gets_the_same_reports(day: Day) -> None:
    reader = day.world.another(client := day.world.store.another_client())
    wire_of(client).add(read_only, floor=Floor.FAULT)
    for _ in range(2):
        check_reports(reader, day.histories())
    assert "PutItem" in requests_of_a_report(day), "nothing was kept"


def read_only(request: Request, send: Send) -> Answer:
    """The answers to who may only read."""
    if request.operation != "PutItem":
        return send(request)
    return request.answered(400, {"__type": "AccessDeniedException", "message": "not authorized"})
