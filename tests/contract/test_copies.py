"""New runs out of old ones, by somebody else's engine: copied whole or in part, and what it takes away again."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from cascade_flow import (
    ConflictError,
    DynamoDBBackend,
    EngineDrivenError,
    Event,
    InvalidIdError,
    LogEntry,
    RunNotFoundError,
    clock,
)
from cascade_flow.dynamodb.caller_ledger import CallerLedger
from contract.called import ERROR, FLOW, Called
from contract.outside import Outside, step

pytestmark = pytest.mark.servers("all")

LARGE = [n * n for n in range(2_000)]


def told(backend: DynamoDBBackend, run_id: str = "old") -> Called:
    """A run in which much has happened, and which has failed."""
    run = Called.new(backend, run_id, tags=["red"], input='{"n":1}')
    run.schedule("a")
    run.complete("a", run.take("a"), LARGE, logs=[line(run, "a is done")])
    run.schedule("b")
    run.take("b")
    run.beat("b")
    run.retry("b")
    run.fail("b", run.take("b"), terminal=True)
    run.schedule("c")
    run.give_up()
    return run


def line(run: Called, message: str, step_id: str = "a") -> LogEntry:
    said: dict[str, Any] = {"stream": "stdout", "message": message, "attempt_number": 1, "step_id": step_id}
    return LogEntry(timestamp_us=clock.now_us(), workflow_slug=FLOW, run_id=run.run_id, **said)


def told_of(backend: DynamoDBBackend, run_id: str, **filters: Any) -> list[Event]:
    """A run's events, as if they were the old run's."""
    events = backend.load_events(FLOW, run_id, **filters)
    return [event.model_copy(update={"run_id": "old"}) for event in events]


def test_a_run_is_copied_whole(backend: DynamoDBBackend) -> None:
    old = told(backend)
    backend.copy_entire_run(FLOW, "old", "new")
    assert told_of(backend, "new") == old.events()
    state, other = backend.get_run("new"), backend.get_run("old")
    assert state is not None
    assert other is not None
    assert state == other.model_copy(update={"run_id": "new"})
    assert {run.run_id for run in backend.list_runs(tags=["red"]).runs} == {"old", "new"}
    logs = backend.load_step_logs(FLOW, "new", "a")
    assert logs is not None
    assert [entry.message for entry in logs] == ["a is done"]


def test_a_copy_is_a_run_of_its_own(backend: DynamoDBBackend) -> None:
    old = told(backend)
    before = old.events()
    backend.copy_entire_run(FLOW, "old", "new")
    new = Called(backend, "new")
    new.try_again()
    assert new.due() == [("new", "c")]
    new.do("c")
    new.schedule("b", 3)
    assert new.take("b") == 3
    assert old.events() == before
    assert old.status == "failed"


def test_an_engines_run_is_copied_for_its_caller_to_drive(backend: DynamoDBBackend) -> None:
    engine = Outside.at(backend, step("a"), step("b", "a"))
    engine.do("a")
    engine.take("b")
    backend.copy_entire_run(FLOW, engine.run_id, "new")
    new = Called(backend, "new")
    assert new.kinds() == engine.kinds()
    new.complete("b")
    new.finish()
    assert engine.status == "running"


def test_an_id_that_is_taken_gets_no_copy(backend: DynamoDBBackend) -> None:
    old = told(backend)
    other = Called.new(backend, "other")
    before = other.events()
    for taken in ("other", "old"):
        with pytest.raises(ConflictError, match="taken"):
            backend.copy_entire_run(FLOW, "old", taken)
    assert other.events() == before
    assert old.status == "failed"
    with pytest.raises(RunNotFoundError):
        backend.copy_entire_run(FLOW, "unknown", "new")
    assert not backend.run_exists(FLOW, "new")


def test_a_reserved_id_gets_no_copy_of_itself(backend: DynamoDBBackend) -> None:
    backend.initialize_run(FLOW, "new")
    with pytest.raises(ConflictError, match="taken"):
        backend.copy_entire_run(FLOW, "new", "new")
    Called.new(backend, "new").schedule("a")


def test_what_is_copied_into_is_there_also_where_nothing_was_copied(backend: DynamoDBBackend) -> None:
    run = Called.new(backend, "old")
    backend.save_step_logs(FLOW, "old", "a", [line(run, "early")])
    backend.copy_step_events(FLOW, "old", "new", include_step_ids=["a"])
    assert backend.run_exists(FLOW, "new")
    assert Called(backend, "new").kinds() == ["LogEntry"]


def test_an_id_into_which_nothing_was_copied_may_get_a_copy(backend: DynamoDBBackend) -> None:
    old = told(backend)
    backend.copy_step_events(FLOW, "old", "new", include_step_ids=["unknown"])
    backend.copy_entire_run(FLOW, "old", "new")
    assert told_of(backend, "new") == old.events()


def test_no_copy_gets_an_id_that_is_kept_for_children(backend: DynamoDBBackend) -> None:
    told(backend)
    with pytest.raises(InvalidIdError):
        backend.copy_entire_run(FLOW, "old", "old~a~0")


def test_an_id_into_which_only_lines_were_copied_gets_no_copy(backend: DynamoDBBackend) -> None:
    run = Called.new(backend, "old")
    backend.save_step_logs(FLOW, "old", "a", [line(run, "early")])
    backend.copy_step_events(FLOW, "old", "new", include_step_ids=["a"])
    with pytest.raises(ConflictError, match="taken"):
        backend.copy_entire_run(FLOW, "old", "new")


def test_a_reserved_id_of_which_something_was_told_gets_none(backend: DynamoDBBackend) -> None:
    told(backend)
    scheduled, spoken = Called(backend, "scheduled"), Called(backend, "spoken")
    scheduled.schedule("x")
    backend.initialize_run(FLOW, "spoken")
    backend.save_step_logs(FLOW, "spoken", "a", [line(spoken, "early")])
    for taken in ("scheduled", "spoken"):
        with pytest.raises(ConflictError, match="taken"):
            backend.copy_entire_run(FLOW, "old", taken)
    assert scheduled.kinds() == ["StepScheduled"]
    assert spoken.kinds() == ["LogEntry"]
    assert scheduled.take("x") == 1


def test_a_reserved_id_may_get_a_copy(backend: DynamoDBBackend) -> None:
    told(backend)
    backend.initialize_run(FLOW, "new")
    backend.copy_entire_run(FLOW, "old", "new")
    assert backend.get_run("new") is not None


def test_an_interrupted_copy_is_not_seen_until_it_is_repeated(
    backend: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = told(backend)
    with monkeypatch.context() as patched:
        patched.setattr(CallerLedger, "end_copy", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            backend.copy_entire_run(FLOW, "old", "new")
    assert not backend.run_exists(FLOW, "new")
    assert backend.get_run("new") is None
    assert backend.load_events(FLOW, "new") == []
    assert [run.run_id for run in backend.list_runs().runs] == ["old"]
    assert Called(backend, "new").due() == []
    with pytest.raises(ConflictError, match="repeat"):
        backend.initialize_run(FLOW, "new")
    backend.delete_step_events(FLOW, "old", step_ids=["b"])
    backend.copy_entire_run(FLOW, "old", "new")
    assert told_of(backend, "new") == old.events()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_workflow_events_are_copied(backend: DynamoDBBackend) -> None:
    told(backend)
    backend.copy_workflow_events(FLOW, "old", "new", exclude_terminal=True)
    assert Called(backend, "new").kinds() == ["RunSubmitted", "WorkflowStarted"]
    assert Called(backend, "new").status == "running"
    backend.copy_workflow_events(FLOW, "old", "all", exclude_terminal=False)
    assert Called(backend, "all").status == "failed"


def test_step_events_are_copied(backend: DynamoDBBackend) -> None:
    told(backend)
    backend.copy_workflow_events(FLOW, "old", "new", exclude_terminal=True)
    for _ in range(2):
        backend.copy_step_events(FLOW, "old", "new", include_step_ids={"a", "b", "unknown"})
    for step_id in ("a", "b"):
        assert told_of(backend, "new", step_id=step_id) == told_of(backend, "old", step_id=step_id)
    assert Called(backend, "new").events("StepScheduled")[-1].step_id == "b"
    assert {record.step_id for record in backend.load_run(FLOW, "new")} == {"a", "b"}


def test_lines_are_copied_and_deleted_with_their_steps_however_many_chunks_they_lie_in(
    backend: DynamoDBBackend,
) -> None:
    run = told(backend)
    for step_id, message in (("a", "late"), ("b", "b has failed")):
        backend.save_step_logs(FLOW, "old", step_id, [line(run, message, step_id)])
    backend.copy_step_events(FLOW, "old", "new", include_step_ids=["a", "b"])
    assert said_in(backend, "new", "a") == ["a is done", "late"]
    assert said_in(backend, "new", "b") == ["b has failed"]
    backend.delete_step_events(FLOW, "new", step_ids=["a"])
    assert [said_in(backend, "new", step_id) for step_id in ("a", "b")] == [[], ["b has failed"]]


def said_in(backend: DynamoDBBackend, run_id: str, step_id: str) -> list[str]:
    return [entry.message for entry in backend.load_step_logs(FLOW, run_id, step_id) or []]


def test_steps_that_are_copied_bit_by_bit_go_on_where_they_were(
    backend: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Called.new(backend, "old")
    run.schedule("b")
    run.take("b")
    run.beat("b")
    monkeypatch.setattr("cascade_flow.operations.copies._AT_ONCE", 2)
    backend.copy_workflow_events(FLOW, "old", "new", exclude_terminal=True)
    backend.copy_step_events(FLOW, "old", "new", include_step_ids=["b"])
    new = Called(backend, "new")
    assert new.claim("b") is None, "it is held"
    new.complete("b")
    assert [record.step_id for record in backend.load_run(FLOW, "new")] == ["b"]
    assert new.kinds("b") == ["StepScheduled", "StepStarted", "StepHeartbeat", "StepCompleted"]


@pytest.mark.servers("memory", "ministack", "dynamodb-local")
def test_more_is_copied_than_a_transaction_holds(backend: DynamoDBBackend) -> None:
    run = Called.new(backend, "old")
    run.begin("a")
    for _ in range(70):
        run.beat("a")
    for number in range(30):
        run.schedule(f"s{number}")
    steps = ["a", *(f"s{number}" for number in range(30))]
    backend.copy_step_events(FLOW, "old", "new", include_step_ids=steps)
    assert told_of(backend, "new") == told_of(backend, "old", category="step")
    run.beat("a")
    for _ in range(40):
        run.beat("a")
    backend.delete_step_events(FLOW, "old", step_ids=["a"])
    assert run.kinds("a") == []
    assert len(run.due()) == 60


def test_a_taken_time_of_the_target_is_moved_on(backend: DynamoDBBackend) -> None:
    told(backend)
    backend.copy_entire_run(FLOW, "old", "new")
    backend.delete_step_events(FLOW, "new", step_ids=["a"])
    completed = backend.load_events(FLOW, "old", step_id="a", types=["StepCompleted"])[0]
    other = backend.load_events(FLOW, "old", step_id="b", types=["StepScheduled"])[0]
    backend.append_event(FLOW, "new", other.model_copy(update={"timestamp_us": completed.timestamp_us, "step_id": "x"}))
    backend.copy_step_events(FLOW, "old", "new", include_step_ids=["a"])
    [moved] = backend.load_events(FLOW, "new", step_id="a", types=["StepCompleted"])
    assert moved.timestamp_us == completed.timestamp_us + 1


def test_a_steps_events_are_deleted(backend: DynamoDBBackend) -> None:
    run = told(backend)
    backend.delete_step_events(FLOW, "old", step_ids=["a", "unknown"])
    assert run.kinds("a") == []
    assert backend.load_step_logs(FLOW, "old", "a") == []
    assert {record.step_id for record in backend.load_run(FLOW, "old")} == {"b", "c"}
    backend.delete_workflow_terminal_events(FLOW, "old")
    assert run.begin("a") == 1, "as if it had never begun"


@pytest.mark.parametrize("end", ["completed", "cancelled"])
def test_whatever_a_runs_end_was_it_is_deleted_and_left_out(backend: DynamoDBBackend, end: str) -> None:
    run = Called.with_step(backend, run_id="old")
    run.finish() if end == "completed" else backend.cancel_run("old")
    backend.copy_workflow_events(FLOW, "old", "new", exclude_terminal=True)
    assert Called(backend, "new").kinds() == ["RunSubmitted", "WorkflowStarted"]
    backend.delete_workflow_terminal_events(FLOW, "old")
    assert (run.status, run.due()) == ("running", [("old", "a")])


def test_a_runs_end_is_deleted(backend: DynamoDBBackend) -> None:
    run = told(backend)
    backend.delete_workflow_terminal_events(FLOW, "old")
    assert run.status == "running"
    assert run.events("WorkflowFailed") == []
    assert run.due() == [("old", "c")]
    before = run.events()
    backend.delete_workflow_terminal_events(FLOW, "old")
    assert run.events() == before


def test_all_ends_of_a_run_are_deleted(backend: DynamoDBBackend) -> None:
    run = told(backend)
    run.try_again()
    run.give_up()
    backend.delete_workflow_terminal_events(FLOW, "old")
    assert run.events("WorkflowFailed") == []


def test_only_what_is_there_is_deleted(backend: DynamoDBBackend) -> None:
    with pytest.raises(RunNotFoundError):
        backend.delete_step_events(FLOW, "unknown", step_ids=["a"])
    with pytest.raises(RunNotFoundError):
        backend.delete_workflow_terminal_events(FLOW, "unknown")
    with pytest.raises(RunNotFoundError):
        backend.copy_workflow_events(FLOW, "unknown", "new", exclude_terminal=True)
    with pytest.raises(RunNotFoundError):
        backend.copy_step_events(FLOW, "unknown", "new", include_step_ids=["a"])
    told(backend)
    with pytest.raises(InvalidIdError):
        backend.copy_step_events(FLOW, "old", "new", include_step_ids=[""])


def test_what_is_long_is_put_aside_for_the_copy_too(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend, run_id="old")
    long = random.Random(1).randbytes(30_000).hex()
    run.complete("a", run.take("a"), long)
    backend.copy_entire_run(FLOW, "old", "new")
    assert len(str(list(CallerLedger(backend.runtime.ledger.table).records("new")))) < len(long)
    assert told_of(backend, "new") == run.events()


def test_an_engines_history_stays_as_it_is(backend: DynamoDBBackend) -> None:
    told(backend)
    engine = Outside.at(backend, step("a"))
    before = engine.events()
    acts: list[Callable[[], object]] = [
        lambda: backend.copy_workflow_events(FLOW, "old", engine.run_id, exclude_terminal=True),
        lambda: backend.copy_step_events(FLOW, "old", engine.run_id, include_step_ids=["a"]),
        lambda: backend.delete_step_events(FLOW, engine.run_id, step_ids=["a"]),
        lambda: backend.delete_workflow_terminal_events(FLOW, engine.run_id),
    ]
    for act, instead in zip(acts, (*["make a new run out of an old one"] * 2, *["let retry_run try"] * 2), strict=True):
        with pytest.raises(EngineDrivenError, match=instead) as refused:
            act()
        assert refused.value.facts["run_id"] == engine.run_id
    assert engine.events() == before


def test_an_id_of_which_only_a_step_was_told_gets_no_copy(backend: DynamoDBBackend) -> None:
    told(backend)
    for run_id in ("new", "reserved"):
        run = Called(backend, run_id)
        if run_id == "reserved":
            backend.initialize_run(FLOW, run_id)
        run.schedule("a")
        with pytest.raises(ConflictError, match="taken"):
            backend.copy_entire_run(FLOW, "old", run_id)
        assert run.kinds() == ["StepScheduled"]


@pytest.mark.servers("ministack")
def test_events_are_copied_that_no_transaction_holds_together(backend: DynamoDBBackend) -> None:
    source = Called.new(backend)
    for attempt in range(1, 26):
        backend.save_step_start(FLOW, source.run_id, "a", source.name, dependencies=[])
        told = ERROR.model_copy(update={"message": random.Random(attempt).randbytes(180_000).hex()})
        source.fail("a", attempt, error=told)
    backend.copy_step_events(FLOW, source.run_id, "copy", include_step_ids=["a"])
    assert Called(backend, "copy").kinds() == source.kinds("a")
