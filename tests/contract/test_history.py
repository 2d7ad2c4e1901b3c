"""What happened is read back: all of it, by filter, and as the smaller views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import (
    DynamoDBBackend,
    EventInvalidError,
    InvalidIdError,
    LogEntry,
    RunNotFoundError,
    StepNotFoundError,
    clock,
)
from contract.called import Called
from contract.outside import ERROR, FLOW, Outside, register, step
from simulation import TIMING, TickingClock

pytestmark = pytest.mark.servers("all")


def line(run: Outside, message: str, *, step_id: str = "a", attempt: int = 1, **options: Any) -> LogEntry:
    given: dict[str, Any] = {"timestamp_us": clock.now_us(), "stream": "stdout", **options}
    return LogEntry(
        workflow_slug=FLOW, run_id=run.run_id, step_id=step_id, message=message, attempt_number=attempt, **given
    )


def log(run: Outside, *lines: LogEntry, step_id: str = "a") -> None:
    run.backend.save_step_logs(FLOW, run.run_id, step_id, lines)


def messages(lines: Sequence[LogEntry] | None) -> list[str]:
    assert lines is not None
    return [entry.message for entry in lines]


@pytest.fixture
def told(backend: DynamoDBBackend, time: TickingClock) -> Outside:
    """A run in which much has happened: a retry with logs and a heartbeat, a completion, a failure for good."""
    run = Outside.at(backend, step("a"), step("b", "a"))
    run.take("a")
    log(run, line(run, "one"), line(run, "two", stream="stderr"))
    run.beat("a")
    run.fail("a")
    time.pause_us(2_000_000)
    run.take("a")
    log(run, line(run, "three", attempt=2))
    run.complete("a", 2, {"rows": 3})
    run.fail("b", run.take("b"), terminal=True)
    return run


OF_A = [
    "StepScheduled",
    "StepStarted",
    "LogEntry",
    "LogEntry",
    "StepHeartbeat",
    "StepFailed",
    "StepRetrying",
    "StepScheduled",
    "StepStarted",
    "LogEntry",
    "StepCompleted",
]
OF_B = ["StepScheduled", "StepStarted", "StepFailed"]
OF_THE_RUN = ["RunSubmitted", "WorkflowInputValidation", "WorkflowStarted", "WorkflowFailed"]


def test_events_come_in_order(told: Outside) -> None:
    assert told.kinds() == [*OF_THE_RUN[:3], *OF_A, *OF_B, "WorkflowFailed"]


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"category": "workflow"}, OF_THE_RUN),
    ({"category": "step"}, [*OF_A, *OF_B]),
    ({"step_id": "b"}, OF_B),
    ({"category": "workflow", "step_id": "b"}, []),
    ({"types": ["StepFailed"]}, ["StepFailed"] * 2),
    ({"types": ["LogEntry"], "step_id": "a"}, ["LogEntry"] * 3),
    ({"types": ["WorkflowFailed", "StepFailed"], "category": "step", "step_id": "a"}, ["StepFailed"]),
    ({"step_id": "x"}, []),
    ({"types": []}, []),
]


def test_events_are_filtered(told: Outside) -> None:
    for filters, kinds in FILTERS:
        assert [event.type for event in told.backend.load_events(FLOW, told.run_id, **filters)] == kinds, filters


def test_what_projections_need_is_loaded_by_step(told: Outside) -> None:
    found = told.backend.load_step_events_for_projection(FLOW, told.run_id)
    left_out = ("LogEntry", "StepHeartbeat", "StepRetrying")
    kinds = {step_id: [event.type for event in events] for step_id, events in found.items()}
    assert kinds == {"a": [kind for kind in OF_A if kind not in left_out], "b": OF_B}


def test_a_run_is_loaded_as_records(told: Outside) -> None:
    a, b = told.backend.load_run(FLOW, told.run_id)
    assert (a.step_id, a.status, a.output) == ("a", "completed", '{"rows":3}')
    assert (b.step_id, b.status, b.error, b.dependencies) == ("b", "failed", ERROR, ["a"])


def test_failed_steps_are_named(told: Outside) -> None:
    [failed] = told.backend.get_failed_steps(FLOW, told.run_id)
    assert (failed.step_id, failed.error, failed.attempt_number) == ("b", ERROR, 1)


def test_a_step_that_was_tried_again_has_not_failed(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    run.fail("a", run.take("a"))
    assert backend.get_failed_steps(FLOW, run.run_id) == []


@pytest.mark.parametrize("slug", ["bill", FLOW])
def test_where_there_is_no_run_there_is_no_history(told: Outside, slug: str) -> None:
    register(told.backend, slug="bill")
    run_id = told.run_id if slug == "bill" else "unknown"
    assert told.backend.load_events(slug, run_id) == []
    assert told.backend.load_step_events_for_projection(slug, run_id) == {}
    assert told.backend.load_run(slug, run_id) == []
    assert told.backend.get_failed_steps(slug, run_id) == []
    assert told.backend.load_step_logs(slug, run_id, "a") is None


def test_a_bad_id_is_refused(backend: DynamoDBBackend) -> None:
    with pytest.raises(InvalidIdError):
        backend.load_events(FLOW, "a#b")
    with pytest.raises(InvalidIdError):
        backend.load_step_logs(FLOW, "a#b", "a")


def test_logs_are_loaded_by_step_and_attempt(told: Outside) -> None:
    load = told.backend.load_step_logs
    assert messages(load(FLOW, told.run_id, "a")) == ["one", "two", "three"]
    assert messages(load(FLOW, told.run_id, "a", 1)) == ["one", "two"]
    assert messages(load(FLOW, told.run_id, "a", 2)) == ["three"]
    assert messages(load(FLOW, told.run_id, "b")) == []
    one, two, _ = load(FLOW, told.run_id, "a") or []
    assert (one.stream, two.stream, one.attempt_number) == ("stdout", "stderr", 1)


def test_logs_of_a_running_step_can_be_followed(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a/b"), step("a"))
    run.take("a")
    log(run, line(run, "first"))
    assert messages(backend.load_step_logs(FLOW, run.run_id, "a")) == ["first"]
    log(run, line(run, "second"))
    assert messages(backend.load_step_logs(FLOW, run.run_id, "a")) == ["first", "second"]
    assert messages(backend.load_step_logs(FLOW, run.run_id, "a/b")) == []


def test_lines_of_one_time_stay_apart(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    run.take("a")
    same_us = clock.now_us()
    log(run, *(line(run, str(number), timestamp_us=same_us) for number in range(5)))
    found = backend.load_step_logs(FLOW, run.run_id, "a")
    assert messages(found) == ["0", "1", "2", "3", "4"]
    assert len({entry.timestamp_us for entry in found or []}) == 5


def test_a_zombies_lines_are_dropped(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"))
    run.take("a")
    log(run, line(run, "alive"))
    time.pause_us(TIMING.lease_us + 1)
    backend.reclaim_stale_steps(TIMING.lease_us, "reaper")
    log(run, line(run, "dead"))
    assert messages(backend.load_step_logs(FLOW, run.run_id, "a")) == ["alive"]
    run.complete("a", run.take("a"))


def test_what_an_attempt_says_after_its_time_is_over_is_its_holders(backend: DynamoDBBackend) -> None:
    """It is its worker that has ended it: the last words are stored behind that."""
    run = Outside.at(backend, step("a"))
    run.fail("a", run.take("a"), failure_reason="timeout")
    log(run, line(run, "was interrupted"))
    assert messages(backend.load_step_logs(FLOW, run.run_id, "a")) == ["was interrupted"]


def test_lines_from_before_a_clock_stepped_back_are_their_holders(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"))
    held = run.take("a")
    ahead = line(run, "before the step").model_copy(update={"timestamp_us": clock.now_us() + 5_000_000})
    log(run, ahead)
    run.complete("a", held)
    assert messages(backend.load_step_logs(FLOW, run.run_id, "a")) == ["before the step"]


def test_long_logs_come_back_whole(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    run.take("a")
    lines = [line(run, f"{number}: {'words ' * 40}") for number in range(3_000)]
    log(run, *lines)
    assert messages(backend.load_step_logs(FLOW, run.run_id, "a")) == [entry.message for entry in lines]


def test_logs_need_a_run(backend: DynamoDBBackend) -> None:
    register(backend, step("a"), slug="bill")
    run = Outside.at(backend, step("a"))
    for stranger in (replace(run, run_id="unknown"), replace(run, slug="bill")):
        with pytest.raises(RunNotFoundError):
            stranger.backend.save_step_logs(stranger.slug, stranger.run_id, "a", [line(run, "lost")])
    with pytest.raises(StepNotFoundError):
        log(run, line(run, "lost", step_id="x"), step_id="x")


@pytest.mark.parametrize("time_us", [-1, 10**16])
def test_lines_of_no_time_are_refused(backend: DynamoDBBackend, time_us: int) -> None:
    for run in (Outside.at(backend, step("a")), Called.with_step(backend)):
        run.take("a")
        with pytest.raises(EventInvalidError, match="no time"):
            log(run, line(run, "never", timestamp_us=time_us))
        log(run, line(run, "between two microseconds", timestamp_us=clock.now_us() - 0.5))
        assert messages(backend.load_step_logs(FLOW, run.run_id, "a")) == ["between two microseconds"]
