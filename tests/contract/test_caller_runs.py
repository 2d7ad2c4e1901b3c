"""A run that a caller drives: reserved, submitted, started, ended, tried again; each by its own word alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cascade_flow import (
    ConflictError,
    DynamoDBBackend,
    EngineDrivenError,
    EventInvalidError,
    InvalidIdError,
    RunNotCancellableError,
    RunNotFoundError,
    RunNotRetryableError,
    RunSubmission,
    StaleAttemptError,
    ValidationIssue,
)
from cascade_flow.operations.caller import Caller
from cascade_flow.operations.caller_runs import CallerRuns
from contract.called import ERROR, FLOW, Called
from contract.outside import Outside, register, step, sweep
from simulation import TickingClock

pytestmark = pytest.mark.servers("all")


def test_a_reserved_id_is_no_run_yet(backend: DynamoDBBackend) -> None:
    backend.initialize_run(FLOW, "run-1")
    assert backend.run_exists(FLOW, "run-1")
    assert backend.get_run("run-1") is None
    assert backend.list_runs().total == 0
    assert backend.list_active_workflows() == []
    assert backend.load_events(FLOW, "run-1") == []
    register(backend, step("a"))
    for act in (
        backend.cancel_run,
        backend.retry_run,
        backend.resume_run,
        lambda run_id: backend.rerun_from(parent_run_id=run_id, from_step_id="a"),
        lambda run_id: backend.send_event(run_id, "e"),
    ):
        with pytest.raises(RunNotFoundError):
            act("run-1")


def test_an_id_is_reserved_once(backend: DynamoDBBackend) -> None:
    backend.initialize_run(FLOW, "run-1")
    backend.initialize_run(FLOW, "run-1")
    register(backend, step("a"))
    with pytest.raises(ConflictError):
        backend.submit_run(RunSubmission(workflow_slug=FLOW, run_id="run-1"))
    with pytest.raises(RunNotFoundError, match="belongs to"):
        backend.initialize_run("bills", "run-1")
    for no_id_of_a_new_run in ("a#b", "run~pack~0"):
        with pytest.raises(InvalidIdError):
            backend.initialize_run(FLOW, no_id_of_a_new_run)


def test_a_submitted_run_is_pending(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Called(backend, "run-1")
    backend.initialize_run(FLOW, "run-1")
    run.submit(
        priority=3, tags=["red"], metadata={"by": "test"}, input='{"n":1}', timeout_us=9_000, idempotency_key="k"
    )
    state = backend.get_run("run-1")
    assert state is not None
    assert (state.status, state.priority, state.tags, state.input) == ("pending", 3, ["red"], '{"n":1}')
    assert (state.metadata, state.timeout, state.idempotency_key) == ({"by": "test"}, 9_000, "k")
    assert [each.run_id for each in backend.list_runs(tags=["red"]).runs] == ["run-1"]
    assert backend.list_run_ids(FLOW) == ["run-1"]
    with pytest.raises(ConflictError, match="submitted already"):
        run.submit()


def test_a_large_input_is_kept(backend: DynamoDBBackend) -> None:
    input = '["' + '","'.join(str(n * n) for n in range(2_000)) + '"]'
    Called.new(backend, input=input)
    state = backend.get_run("run-1")
    assert state is not None
    assert state.input == input


def test_a_run_is_listed_without_a_registered_workflow(backend: DynamoDBBackend) -> None:
    Called.new(backend, "run-1")
    Called.new(backend, "run-2")
    page = backend.list_runs(status=["running"])
    assert ([run.run_id for run in page.runs], page.total) == (["run-2", "run-1"], 2)
    assert backend.list_active_workflows() == [FLOW]


def test_a_run_completes(backend: DynamoDBBackend) -> None:
    run = Called.new(backend)
    run.finish({"a": 1})
    assert run.status == "completed"
    assert run.kinds() == ["RunSubmitted", "WorkflowStarted", "WorkflowCompleted"]
    assert run.events("WorkflowCompleted")[0].output == '{"a":1}'
    assert backend.list_active_workflows() == []


def test_a_run_fails_and_is_tried_again(backend: DynamoDBBackend) -> None:
    run = Called.new(backend)
    run.give_up()
    assert run.status == "failed"
    assert run.events("WorkflowFailed")[0].error == ERROR
    run.try_again()
    state = backend.get_run(run.run_id)
    assert state is not None
    assert (state.status, state.workflow_attempt_number) == ("pending", 2)
    assert backend.list_active_workflows() == [FLOW]
    assert not backend.runtime.submitted(run.run_id).reviving, "each reader would list its steps again"


def test_terminal_is_final(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.finish()
    for late in (run.finish, run.give_up, run.start, lambda: run.schedule("a"), lambda: run.begin("a")):
        with pytest.raises(StaleAttemptError, match="completed already"):
            late()
    with pytest.raises(StaleAttemptError):
        backend.save_workflow_cancelled(
            FLOW, run.run_id, workflow_attempt_number=1, duration_us=1, completed_steps=0, reason="late"
        )


def test_a_caller_says_that_a_run_was_cancelled(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    backend.save_workflow_cancelled(
        FLOW, run.run_id, workflow_attempt_number=1, duration_us=5, completed_steps=0, reason="enough"
    )
    assert run.status == "cancelled"
    assert run.events("WorkflowCancelled")[0].reason == "enough"


def test_cancel_run_leaves_nothing_to_claim(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.schedule("b")
    run.do("b")
    backend.cancel_run(run.run_id, "enough")
    [cancelled] = run.events("WorkflowCancelled")
    assert (cancelled.reason, cancelled.completed_steps, cancelled.workflow_attempt_number) == ("enough", 1, 1)
    assert run.claim("a") is None
    assert run.due() == []
    assert not backend.is_step_claimable(FLOW, run.run_id, "a")
    with pytest.raises(RunNotCancellableError, match="cancelled already"):
        backend.cancel_run(run.run_id)


def test_what_has_ended_since_it_was_read_is_not_cancelled(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    read = backend.runtime.submitted(run.run_id)
    run.give_up()
    with pytest.raises(RunNotCancellableError, match="failed already") as refused:
        CallerRuns(backend.runtime, Caller(backend.runtime)).cancel(read, None)
    assert refused.value.facts == {"run_id": run.run_id, "status": "failed"}
    assert run.events("WorkflowCancelled") == []


def test_a_run_says_where_it_comes_from(backend: DynamoDBBackend) -> None:
    run = Called(backend, "run-2")
    backend.save_workflow_resumed(
        FLOW, "run-2", version_id="v1", original_run_id="run-1", resumed_steps=3, pending_steps=2
    )
    run.submit()
    assert run.status == "pending"
    assert run.events("WorkflowResumed")[0].original_run_id == "run-1"


def test_the_input_was_checked(backend: DynamoDBBackend) -> None:
    run = Called.new(backend)
    issue = ValidationIssue(path="input.n", message="a number, please")
    backend.save_workflow_input_validation(
        FLOW,
        run.run_id,
        workflow_attempt_number=1,
        has_schema=True,
        success=False,
        error=ERROR,
        validation_errors=[issue],
    )
    [checked] = run.events("WorkflowInputValidation")
    assert (checked.success, checked.error, checked.validation_errors) == (False, ERROR, [issue])
    assert run.status == "running"


def test_what_is_said_before_the_submission_counts(backend: DynamoDBBackend) -> None:
    run = Called(backend, "run-1")
    run.start()
    assert backend.get_run("run-1") is None
    run.submit()
    assert run.status == "running"


def test_only_what_is_there_ends(backend: DynamoDBBackend) -> None:
    run = Called(backend, "unknown")
    for late in (run.finish, run.give_up, run.try_again):
        with pytest.raises(RunNotFoundError, match="initialize_run"):
            late()
    with pytest.raises(InvalidIdError):
        Called(backend, "no#id").finish()
    with pytest.raises(RunNotFoundError):
        replace(Called.new(backend), slug="bills").finish()


def test_what_is_no_event_is_refused(backend: DynamoDBBackend) -> None:
    with pytest.raises(EventInvalidError, match="priority"):
        Called(backend, "run-1").submit(priority=2**60)
    assert not backend.run_exists(FLOW, "run-1")


def test_the_engine_drives_its_own_runs(backend: DynamoDBBackend) -> None:
    engine = Outside.at(backend, step("a"))
    run = Called(backend, engine.run_id)
    before = run.events()
    words: list[tuple[Callable[[], object], str]] = [
        (lambda: backend.initialize_run(FLOW, run.run_id), "taken by submit_run"),
        (run.submit, "taken by submit_run"),
        (run.start, "starts a run itself"),
        (run.finish, "completes a run itself"),
        (run.give_up, "fails a run itself"),
        (run.try_again, "let retry_run"),
        (
            lambda: backend.save_workflow_cancelled(
                FLOW, run.run_id, workflow_attempt_number=1, duration_us=1, completed_steps=0
            ),
            "cancel it with cancel_run",
        ),
        (
            lambda: backend.save_workflow_resumed(
                FLOW, run.run_id, version_id="v", original_run_id="r", resumed_steps=0, pending_steps=0
            ),
            "let resume_run",
        ),
    ]
    for said, instead in words:
        with pytest.raises(EngineDrivenError, match=f"driven by the engine.*{instead}"):
            said()
    assert run.events() == before


def test_the_input_of_an_engines_run_may_be_checked_again(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    backend.save_workflow_input_validation(FLOW, run.run_id, workflow_attempt_number=1, has_schema=True, success=True)
    assert len(run.events("WorkflowInputValidation")) == 2
    run.do("a")
    assert run.status == "completed"


def test_nobody_sweeps_a_callers_run(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Called.with_step(backend)
    run.take("a")
    before = run.events()
    time.pause_us(10**13)
    sweep(backend)
    assert run.events() == before


def test_active_are_the_workflows_of_both_drivers(backend: DynamoDBBackend) -> None:
    register(backend, step("a"), slug="bills")
    engine = Outside(backend, backend.submit_run(RunSubmission(workflow_slug="bills")).run_id, slug="bills")
    run = Called.new(backend)
    assert backend.list_active_workflows() == ["bills", FLOW]
    engine.do("a")
    assert backend.list_active_workflows() == [FLOW]
    run.finish()
    assert backend.list_active_workflows() == []


def test_the_engine_does_not_try_a_callers_run_again(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.fail("a", run.take("a"), terminal=True)
    run.give_up()
    before = run.events()
    with pytest.raises(RunNotRetryableError, match="driven by its caller"):
        backend.retry_run(run.run_id)
    assert run.events() == before


def test_a_callers_run_can_be_gone_on_with_by_the_engine(backend: DynamoDBBackend) -> None:
    register(backend, step("a"), step("b", "a"))
    run = Called.with_step(backend)
    run.do("a")
    run.schedule("b")
    run.fail("b", run.take("b"), terminal=True)
    run.give_up()
    resumed = Outside(backend, backend.resume_run(run.run_id).run_id)
    resumed.do("b")
    assert resumed.status == "completed"
    assert run.status == "failed"


def test_reports_are_of_runs_of_both_drivers(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.schedule("b")
    depth = backend.get_queue_depth()
    assert (depth.running_runs, depth.scheduled_steps, depth.running_steps) == (1, 2, 0)
    run.do("a")
    run.take("b")
    assert backend.get_queue_depth().running_steps == 1
    assert [worker.currently_running_steps for worker in backend.get_active_workers().workers] == [1]
    run.fail("b", terminal=True)
    run.give_up()
    rate = backend.get_success_rate()
    assert (rate.total_runs, rate.failed_runs, rate.successful_steps, rate.failed_steps) == (1, 1, 1, 1)
