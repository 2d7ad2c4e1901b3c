"""Events that somebody else has made: stored at their time or the next that is free, and stored state follows."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import (
    ConflictError,
    DynamoDBBackend,
    EngineDrivenError,
    Event,
    EventInvalidError,
    InvalidIdError,
    LogEntry,
    RunNotFoundError,
    RunSubmitted,
    StepCheckpoint,
    StepCheckpointFailed,
    StepCompleted,
    StepHeartbeat,
    StepNotFoundError,
    StepScheduled,
    StepStarted,
    WorkflowCompleted,
    WorkflowRerunFromStep,
    WorkflowStarted,
    clock,
)
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.caller_ledger import CallerLedger, TimesTaken
from cascade_flow.engine.state import Run
from cascade_flow.model.events import CheckpointRef
from cascade_flow.operations.checkpoints import CheckpointNumber, recorded
from contract.called import ERROR, FLOW, VERSION, Called
from contract.outside import Outside, step
from simulation import BEGIN_US

pytestmark = pytest.mark.servers("all")

T = BEGIN_US - 1_000_000


def place(run_id: str = "run-1", at_us: int = T) -> dict[str, Any]:
    return {"workflow_slug": FLOW, "run_id": run_id, "timestamp_us": at_us}


def submitted(at_us: int = T, run_id: str = "run-1", **options: Any) -> RunSubmitted:
    told = {"version_id": VERSION, "available_at_us": at_us, "priority": 0, "has_input_schema": False, **options}
    return RunSubmitted(**place(run_id, at_us), **told)


def started(at_us: int) -> WorkflowStarted:
    told: dict[str, Any] = {
        "version_id": VERSION,
        "workflow_attempt_number": 1,
        "has_input_schema": False,
        "has_input": False,
    }
    return WorkflowStarted(**place(at_us=at_us), **told)


def completed_run(at_us: int) -> WorkflowCompleted:
    return WorkflowCompleted(**place(at_us=at_us), workflow_attempt_number=1, output="{}", duration_us=1, total_steps=1)


def scheduled(at_us: int, attempt: int = 1) -> StepScheduled:
    told: dict[str, Any] = {"step_id": "a", "available_at_us": at_us, "reason": "initial", "attempt_number": attempt}
    return StepScheduled(**place(at_us=at_us), **told)


def begun(at_us: int, attempt: int = 1) -> StepStarted:
    told: dict[str, Any] = {"step_id": "a", "worker_id": "w", "dependencies": [], "attempt_number": attempt}
    return StepStarted(**place(at_us=at_us), **told)


def completed(at_us: int, attempt: int = 1) -> StepCompleted:
    told: dict[str, Any] = {"step_id": "a", "output": "1", "duration_us": 1, "attempt_number": attempt}
    return StepCompleted(**place(at_us=at_us), **told, export_output=False)


def checkpoint(run_id: str, at_us: int, step_id: str = "a", data: str = "1") -> StepCheckpoint:
    told: dict[str, Any] = {"step_id": step_id, "name": "n", "sequence_number": 0, "attempt_number": 1, "data": data}
    return StepCheckpoint(**place(run_id, at_us), **told)


def line(run_id: str, at_us: int, attempt: int = 1) -> LogEntry:
    told: dict[str, Any] = {"step_id": "a", "stream": "stdout", "message": "hello", "attempt_number": attempt}
    return LogEntry(**place(run_id, at_us), **told)


def status_of(backend: DynamoDBBackend, run_id: str = "run-1") -> str:
    state = backend.get_run(run_id)
    assert state is not None
    return state.status


def test_an_event_is_stored_as_it_is(backend: DynamoDBBackend) -> None:
    event = submitted(tags=["red"])
    assert backend.append_event(FLOW, "run-1", event) == event
    assert backend.load_events(FLOW, "run-1") == [event]
    assert status_of(backend) == "pending"


@pytest.mark.parametrize("due", [0.1, 10**50 + 1, 1e300])
def test_a_time_that_no_index_holds_is_kept_all_the_same(backend: DynamoDBBackend, due: float) -> None:
    """Foreign numbers may have a fraction, and more than the 38 digits of DynamoDB's."""
    later = scheduled(T + 2).model_copy(update={"available_at_us": due})
    given: list[Event] = [submitted(available_at_us=due), started(T + 1), later]
    assert backend.batch_append_events(given) == given
    assert backend.load_events(FLOW, "run-1") == given
    run = backend.get_run("run-1")
    assert run is not None
    assert run.available_at == due
    assert backend.get_throughput(start_us=-(10**60), end_us=10**60).time_range_us == 2 * 10**60
    assert len(backend.list_scheduled_steps(available_before_us=10**400)) == 1
    assert backend.list_scheduled_steps(available_before_us=-(10**400)) == []


def test_a_taken_time_is_moved_on(backend: DynamoDBBackend) -> None:
    backend.append_event(FLOW, "run-1", submitted())
    stored = [backend.append_event(FLOW, "run-1", scheduled(T)) for _ in range(3)]
    assert [event.timestamp_us for event in stored] == [T + 1, T + 2, T + 3]
    assert [event.event_id for event in stored] == [str(T + n) for n in (1, 2, 3)]
    assert backend.load_events(FLOW, "run-1")[1:] == stored


def test_the_past_is_folded_anew(backend: DynamoDBBackend) -> None:
    told: list[Event] = [submitted(), completed_run(T + 90), completed(T + 50)]
    for event in [*told, begun(T + 40), scheduled(T + 30), started(T + 10)]:
        backend.append_event(FLOW, "run-1", event)
    assert status_of(backend) == "completed"
    [record] = backend.load_run(FLOW, "run-1")
    assert (record.status, record.start_time, record.end_time) == ("completed", T + 40, T + 50)
    kinds = [event.type for event in backend.load_events(FLOW, "run-1", step_id="a")]
    assert kinds == ["StepScheduled", "StepStarted", "StepCompleted"]


def test_a_schedule_in_the_past_does_not_free_a_step(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.take("a")
    backend.append_event(FLOW, "run-1", scheduled(T))
    assert run.due() == []
    assert run.claim("a") is None
    run.complete("a")


def test_a_submission_in_the_past_is_the_runs(backend: DynamoDBBackend) -> None:
    backend.append_event(FLOW, "run-1", started(T + 10))
    backend.append_event(FLOW, "run-1", submitted(T + 5, priority=1))
    assert status_of(backend) == "running"
    backend.append_event(FLOW, "run-1", submitted(T, priority=2))
    state = backend.get_run("run-1")
    assert state is not None
    assert (state.priority, state.created_at) == (2, T)


def test_a_zombies_event_changes_nothing(backend: DynamoDBBackend) -> None:
    backend.batch_append_events([submitted(), scheduled(T + 1), begun(T + 2), scheduled(T + 3, 2), begun(T + 4, 2)])
    backend.append_event(FLOW, "run-1", completed(T + 9))
    Called(backend, "run-1", name="w").beat("a", 2)


def test_an_event_of_no_time_is_refused(backend: DynamoDBBackend) -> None:
    for at_us in (-1, 10**16):
        with pytest.raises(EventInvalidError, match="timestampUs"):
            backend.append_event(FLOW, "run-1", submitted(at_us))
    with pytest.raises(InvalidIdError):
        backend.append_event(FLOW, "run-1", scheduled(T).model_copy(update={"step_id": "a#b"}))
    with pytest.raises(InvalidIdError):
        backend.append_event("a#b", "run-1", submitted())
    assert not backend.run_exists(FLOW, "run-1")


def test_an_event_of_another_workflow_is_refused(backend: DynamoDBBackend) -> None:
    backend.append_event(FLOW, "run-1", submitted())
    with pytest.raises(RunNotFoundError, match="belongs to"):
        backend.append_event("bills", "run-1", scheduled(T))


def test_appended_log_lines_are_logs(backend: DynamoDBBackend) -> None:
    backend.append_event(FLOW, "run-1", submitted())
    backend.append_event(FLOW, "run-1", line("run-1", T + 1))
    logs = backend.load_step_logs(FLOW, "run-1", "a")
    assert logs is not None
    assert [entry.message for entry in logs] == ["hello"]
    assert backend.load_step_logs(FLOW, "run-1", "b") == []
    assert backend.load_step_logs(FLOW, "run-1", "a", 1) == logs
    assert backend.load_step_logs(FLOW, "run-1", "a", 2) == []


def test_a_batch_is_stored_one_by_one(backend: DynamoDBBackend) -> None:
    events: list[Event] = [submitted(), started(T), scheduled(T + 5), submitted(T, "run-2")]
    stored = backend.batch_append_events(iter(events))
    assert [event.timestamp_us for event in stored] == [T, T + 1, T + 5, T]
    assert {run.run_id for run in backend.list_runs().runs} == {"run-1", "run-2"}


def test_a_batch_says_what_was_stored_before_the_error(backend: DynamoDBBackend) -> None:
    with pytest.raises(EventInvalidError) as caught:
        backend.batch_append_events([submitted(), started(T + 1), scheduled(-1), completed_run(T + 2)])
    stored = caught.value.facts["stored"]
    assert [event.type for event in stored] == ["RunSubmitted", "WorkflowStarted"]
    assert caught.value.__notes__ == [f"2 events before it were stored, the last with id {T + 1}"]
    assert status_of(backend) == "running"
    with pytest.raises(EventInvalidError) as caught:
        backend.batch_append_events([scheduled(-1)])
    assert caught.value.__notes__ == ["0 events before it were stored, the last with id none"]


def test_lines_that_are_added_are_their_attempts(backend: DynamoDBBackend) -> None:
    Called.with_step(backend)
    for attempt in (1, 2, 2):
        backend.append_event(FLOW, "run-1", line("run-1", T, attempt))
    found = [backend.load_step_logs(FLOW, "run-1", "a", attempt) or [] for attempt in (None, 1, 2)]
    assert [[entry.attempt_number for entry in lines] for lines in found] == [[1, 2, 2], [1], [2, 2]]


def test_what_changes_no_state_is_added_to_an_engines_run(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    run.take("a")
    large = '["' + '","'.join(str(n * n) for n in range(500)) + '"]'
    stored = [
        backend.append_event(FLOW, run.run_id, event)
        for event in (
            checkpoint(run.run_id, T, data=large),
            checkpoint(run.run_id, T),
            line(run.run_id, T),
            WorkflowRerunFromStep(
                **place(run.run_id, 10**16 - 1),
                parent_run_id="r",
                rerun_from_step_id="a",
                rerun_step_ids=["a"],
                version_id="v",
                parent_version_id="w",
            ),
        )
    ]
    assert len({event.timestamp_us for event in stored}) == 4
    table = backend.runtime.ledger.table
    assert len(list(table.query(keys.Span(keys.run(run.run_id).pk, "P#", "P#~")))) == 1, "what is large lies aside"
    assert set(map(str, stored)) <= set(map(str, backend.load_events(FLOW, run.run_id)))
    run.complete("a")
    assert run.status == "completed"
    with pytest.raises(EngineDrivenError, match="ended"):
        backend.append_event(FLOW, run.run_id, line(run.run_id, BEGIN_US + 10**12))


def test_what_is_added_to_an_engines_run_lies_at_its_time_within_the_runs(backend: DynamoDBBackend) -> None:
    """Or as soon after as the times allow that are kept for such events."""
    run = Outside.at(backend, step("a"))
    modulus = backend.runtime.facts(backend.runtime.run(run.run_id)).graph.modulus
    born_us = backend.runtime.run(run.run_id).created_us
    clock.pause_us(1_000_000)
    for at_us, from_us in ((T, born_us + 1), (born_us, born_us + 1), (born_us + 99_000, born_us + 99_000)):
        found_us = backend.append_event(FLOW, run.run_id, checkpoint(run.run_id, at_us)).timestamp_us
        assert found_us % modulus == modulus - 1
        assert 0 <= found_us - from_us < 4 * modulus
    before_us = clock.now_us()
    late_us = backend.append_event(FLOW, run.run_id, checkpoint(run.run_id, before_us + 10**9)).timestamp_us
    assert before_us <= late_us < before_us + 10**9


def test_checkpoints_are_known_with_all_of_their_data_and_numbers_and_those_that_failed(
    backend: DynamoDBBackend,
) -> None:
    run = Outside.at(backend, step("a"), step("b"))
    large = '["' + '","'.join(str(n * n) for n in range(500)) + '"]'
    stored = backend.append_event(FLOW, run.run_id, checkpoint(run.run_id, T, data=large))
    half = CheckpointRef(name="n", sequence_number=0)
    told: dict[str, Any] = {"name": "m", "sequence_number": 3, "attempt_number": 2, "parent_checkpoint": half}
    broken = StepCheckpointFailed(**place(run.run_id), step_id="a", error=ERROR, **told)
    backend.append_event(FLOW, run.run_id, broken)
    backend.append_event(FLOW, run.run_id, checkpoint(run.run_id, T, "b"))
    facts = backend.runtime.facts(backend.runtime.run(run.run_id))
    first, second = recorded(backend.runtime, facts, "a")
    assert isinstance(stored, StepCheckpoint)
    assert (first.place, first.attempt, first.stored and first.stored.data) == (half, 1, large)
    assert second == CheckpointNumber(CheckpointRef(name="m", sequence_number=3), 2, half)


def test_whoever_finds_no_free_time_gives_up_in_the_end(
    backend: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, asked_us = Outside.at(backend, step("a")), list[int]()

    def taken(_: CallerLedger, __: Run, event: Event, ___: object) -> None:
        asked_us.append(event.timestamp_us)
        raise TimesTaken([event.timestamp_us])

    monkeypatch.setattr(CallerLedger, "append_foreign", taken)
    with pytest.raises(ConflictError) as refused:
        backend.append_event(FLOW, run.run_id, line(run.run_id, T))
    assert refused.value.facts == {"run_id": run.run_id}
    modulus = backend.runtime.facts(backend.runtime.run(run.run_id)).graph.modulus
    assert asked_us == [asked_us[0] + number * modulus for number in range(64)]


def test_what_changes_state_is_the_engines(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    before = run.events()
    beat = StepHeartbeat(**place(run.run_id), step_id="a", worker_id="w", attempt_number=1)
    for event in (submitted(), started(T), completed_run(T), scheduled(T), begun(T), completed(T), beat):
        with pytest.raises(EngineDrivenError, match="would change its state") as refused:
            backend.append_event(FLOW, run.run_id, event)
        assert refused.value.facts["run_id"] == run.run_id
    with pytest.raises(RunNotFoundError, match="'bills' has no run"):
        backend.append_event("bills", run.run_id, line(run.run_id, T))
    with pytest.raises(StepNotFoundError):
        backend.append_event(FLOW, run.run_id, checkpoint(run.run_id, T, "x"))
    assert run.events() == before


def test_records_are_those_of_all_steps_in_the_order_in_which_they_were_told_of(backend: DynamoDBBackend) -> None:
    beat = StepHeartbeat(**place(at_us=T), step_id="b", worker_id="w", attempt_number=1)
    backend.append_event(FLOW, "run-1", beat)
    backend.append_event(FLOW, "run-1", scheduled(T + 1))
    assert [(record.step_id, record.status) for record in backend.load_run(FLOW, "run-1")] == [
        ("b", "pending"),
        ("a", "pending"),
    ]
