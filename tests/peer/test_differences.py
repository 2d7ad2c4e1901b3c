"""Where we differ from the published peer on purpose: one test for each row of docs/peer.md, showing both sides."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from cascade_flow import (
    CascadeFlowError,
    ConflictError,
    DynamoDBBackend,
    EngineDrivenError,
    EventInvalidError,
    GraphInvalidError,
    IdempotencyConflictError,
    InvalidIdError,
    LogEntry,
    RunNotCancellableError,
    RunNotFoundError,
    StaleAttemptError,
    StepScheduled,
    WorkflowCancelled,
    WorkflowRegistration,
    dump_event,
    parse_event,
)
from contract.called import ERROR, FLOW, Called
from contract.outside import Outside, register, step, submit
from peer import wording
from peer.oracle import shared_oracle
from peer.wording import CLAIMED, ENDED, FAILURE, RUN, STEP, UNDER_WAY, all_answers, event, theirs, types
from simulation import BEGIN_US, TickingClock


def line(run: Outside, at_us: int) -> LogEntry:
    said: dict[str, Any] = {"stream": "stdout", "message": "said", "attempt_number": 1, "step_id": "a"}
    return LogEntry(timestamp_us=at_us, workflow_slug=FLOW, run_id=run.run_id, **said)


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_unknown_run(backend: DynamoDBBackend) -> None:
    assert types(theirs(wording.COMPLETED, ["loadEvents", *RUN])) == ["StepCompleted"]
    assert theirs(["cancelRun", "run-1"]) is None
    run = Called(backend, "run-1")
    for say in (partial(run.complete, "a"), run.finish, run.try_again, partial(backend.cancel_run, "run-1")):
        with pytest.raises(RunNotFoundError):
            say()
    assert run.events() == []


def test_one_workflow_a_run(backend: DynamoDBBackend) -> None:
    elsewhere = [[call[0], "other", *call[2:]] for call in (wording.SUBMITTED, wording.STARTED)]
    assert theirs(wording.SUBMITTED, *elsewhere, ["listRuns"])["total"] == 2
    Called.new(backend)
    with pytest.raises(RunNotFoundError, match="belongs to"):
        backend.initialize_run("other", "run-1")
    assert backend.list_runs().total == 1


def test_submitted_once(backend: DynamoDBBackend) -> None:
    assert types(theirs(wording.SUBMITTED, wording.SUBMITTED, ["loadEvents", *RUN])) == ["RunSubmitted"] * 2
    run = Called.new(backend)
    with pytest.raises(ConflictError):
        run.submit()
    assert run.kinds() == ["RunSubmitted", "WorkflowStarted"]


def test_copy_onto_nothing(backend: DynamoDBBackend) -> None:
    taken = [wording.SCHEDULED[0], FLOW, "run-2", *wording.SCHEDULED[3:]]
    copied = [*UNDER_WAY, taken, ["copyEntireRun", FLOW, "run-1", "run-2"], ["loadEvents", FLOW, "run-2"]]
    assert types(theirs(*copied)) == ["RunSubmitted", "WorkflowStarted", "StepScheduled", "StepScheduled"]
    gone = all_answers(wording.SUBMITTED, ["copyEntireRun", FLOW, "unknown", "run-1"], ["runExists", *RUN])
    assert gone[1].refused
    assert gone[2].value is False, "the peer deletes what was there"
    Called.with_step(backend)
    other = Called.with_step(backend, run_id="run-2")
    for source, error in (("run-1", ConflictError), ("unknown", RunNotFoundError)):
        with pytest.raises(error):
            backend.copy_entire_run(FLOW, source, "run-2")
    assert other.kinds() == ["RunSubmitted", "WorkflowStarted", "StepScheduled"]


def test_cancelled_once(backend: DynamoDBBackend) -> None:
    assert types(theirs(wording.SUBMITTED, ENDED, ["cancelRun", "run-1"], ["loadEvents", *RUN]))[1:] == [
        "WorkflowCompleted",
        "WorkflowCancelled",
    ]
    run = Called.new(backend)
    run.finish()
    with pytest.raises(RunNotCancellableError):
        backend.cancel_run("run-1")
    assert run.status == "completed"


def test_terminal_is_final(backend: DynamoDBBackend) -> None:
    assert theirs(wording.SUBMITTED, ENDED, wording.STARTED, ["getRun", "run-1"])["status"] == "running"
    run = Called.new(backend)
    run.finish()
    for say in (run.start, run.give_up, lambda: run.schedule("a"), lambda: run.begin("a")):
        with pytest.raises(StaleAttemptError):
            say()
    assert run.status == "completed"
    run.try_again()
    assert run.status == "pending"


def test_fencing(backend: DynamoDBBackend) -> None:
    beat = ["saveStepHeartbeat", *STEP, "worker-0", 1, {}]
    late = [["saveStepFailed", *STEP, ERROR.to_wire(), FAILURE], wording.COMPLETED, beat]
    held = [*UNDER_WAY, CLAIMED, wording.COMPLETED]
    assert theirs(*held, *late, ["loadRun", *RUN])[0]["status"] == "completed"
    assert len(theirs(*held, *late, ["loadEvents", *RUN])) == 8, "the peer keeps all that is said"
    run = Called.with_step(backend)
    run.take("a")
    run.complete("a")
    told = run.events()
    for say in (partial(run.fail, "a", terminal=True), partial(run.complete, "a"), partial(run.beat, "a")):
        with pytest.raises(StaleAttemptError):
            say()
    assert run.events() == told


def test_claim_answers(backend: DynamoDBBackend) -> None:
    claims = all_answers(*UNDER_WAY, ENDED, ["isStepClaimable", *STEP], CLAIMED)[-2:]
    assert [claim.value for claim in claims] == [True, {"attemptNumber": 1}]
    assert theirs(CLAIMED) is None
    with pytest.raises(RunNotFoundError):
        Called(backend, "run-1").claim("a")
    run = Called.with_step(backend)
    run.finish()
    assert not backend.is_step_claimable(FLOW, "run-1", "a")
    assert run.claim("a") is None


def test_completed_when_cancelled(backend: DynamoDBBackend) -> None:
    begun = [*UNDER_WAY, CLAIMED, wording.COMPLETED, wording.SCHEDULED]
    told = theirs(*begun, ["cancelRun", "run-1"], ["loadEvents", *RUN])
    assert told[-1]["completedSteps"] == 1
    run = Called.with_step(backend)
    run.claim("a")
    run.complete("a")
    run.schedule("a")
    backend.cancel_run("run-1")
    [cancelled] = run.events("WorkflowCancelled")
    assert isinstance(cancelled, WorkflowCancelled)
    assert cancelled.completed_steps == 0


def test_idempotency_conflict(backend: DynamoDBBackend) -> None:
    version = {"workflowSlug": FLOW, "versionId": "v", "createdAt": 1, "stepManifest": ["a"], "totalSteps": 1}
    registered = [wording.REGISTERED, ["createWorkflowVersion", version]]
    submissions = [["submitRun", {"workflowSlug": FLOW, "idempotencyKey": "k", "input": n}] for n in (1, 2)]
    assert theirs(*registered, *submissions)["isNew"] is False
    register(backend)
    submit(backend, idempotency_key="k", input=1)
    with pytest.raises(IdempotencyConflictError):
        submit(backend, idempotency_key="k", input=2)


def test_ids_are_checked(backend: DynamoDBBackend) -> None:
    assert theirs(["initializeRun", FLOW, "../escaped"], ["runExists", "escaped", "."]) is True
    for run_id in ("../escaped", "a/b", "a#b", "", "x" * 257):
        with pytest.raises(InvalidIdError):
            backend.initialize_run(FLOW, run_id)


def test_graphs_are_checked(backend: DynamoDBBackend) -> None:
    circle = [{**wording.STEPS[0], "dependencies": ["b"]}, {**wording.STEPS[0], "id": "b", "dependencies": ["a"]}]
    registered = ["registerWorkflow", {"slug": FLOW, "name": FLOW, "steps": circle}]
    assert theirs(registered, ["getWorkflowSteps", FLOW]) == circle
    with pytest.raises(GraphInvalidError):
        backend.register_workflow(WorkflowRegistration(slug=FLOW, name=FLOW, steps=[step("a", "b"), step("b", "a")]))
    assert backend.get_workflow_steps(FLOW) == []


def test_engine_driven(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    assert run.kinds()[-2:] == ["WorkflowStarted", "StepScheduled"], "submission starts the run"
    driven = Called(backend, run.run_id)
    for say in (driven.start, driven.finish, lambda: driven.schedule("a"), lambda: driven.begin("a"), driven.try_again):
        with pytest.raises(EngineDrivenError):
            say()


# -- what is more, or all at once --------------------------------------------------------------------------------------


def test_unique_times(backend: DynamoDBBackend) -> None:
    two = [event("StepScheduled", BEGIN_US, availableAtUs=1, reason="initial"), event("StepReclaimed", BEGIN_US)]
    two[1] |= {"originalWorkerId": "w", "reclaimedBy": "r", "lastHeartbeatUs": 1, "staleThresholdUs": 1}
    two[1] |= {"staleDurationUs": 1}
    appended = [["appendEvent", *RUN, each] for each in two]
    assert [each["timestampUs"] for each in theirs(*appended, ["loadEvents", *RUN])] == [BEGIN_US] * 2
    asked = StepScheduled(
        timestamp_us=BEGIN_US,
        workflow_slug=FLOW,
        run_id="run-1",
        step_id="a",
        available_at_us=1,
        reason="initial",
        attempt_number=1,
    )
    stored = [backend.append_event(*RUN, asked), backend.append_event(*RUN, asked.model_copy(update={"step_id": "b"}))]
    assert [each.timestamp_us for each in stored] == [BEGIN_US, BEGIN_US + 1]


def test_batch_append(backend: DynamoDBBackend) -> None:
    good = event("StepScheduled", BEGIN_US, availableAtUs=1, reason="initial")
    said = [{"workflowSlug": FLOW, "runId": "run-1", "event": each} for each in (good, {**good, "type": "None"})]
    failed, stored = all_answers(["batchAppendEvents", said], ["loadEvents", *RUN])
    assert failed.refused
    assert len(stored.value) == 1, "and the peer doesn't say so"
    asked = StepScheduled.model_validate(good)
    with pytest.raises(InvalidIdError) as caught:
        backend.batch_append_events([asked, asked.model_copy(update={"run_id": "#"})])
    assert caught.value.facts["stored"] == (asked,)


def test_atomic_retry(backend: DynamoDBBackend) -> None:
    failure = {"duration": 5, "attemptNumber": 1, "nextRetryAt": 1, "failureReason": "timeout"}
    broken = {"availableAt": 1, "nextAttemptNumber": 0, "retryDelayMs": 1}
    retried = ["saveStepFailedAndScheduleRetry", *STEP, ERROR.to_wire(), failure, broken]
    answers = all_answers(*UNDER_WAY, CLAIMED, retried, ["loadEvents", *RUN])
    assert answers[-2].refused
    assert types(answers[-1].value)[-1] == "StepFailed", "and nothing is scheduled"
    run = Called.with_step(backend)
    run.take("a")
    before = run.events()
    with pytest.raises(EventInvalidError):
        run.retry("a", total_policies=0)
    assert run.events() == before


def test_policy_of_a_retry(backend: DynamoDBBackend) -> None:
    failure = {"duration": 5, "attemptNumber": 1, "nextRetryAt": 1, "failureReason": "timeout", "policyIndex": 0}
    following = {"availableAt": 1, "nextAttemptNumber": 2, "retryDelayMs": 1, "policyIndex": 1}
    retried = ["saveStepFailedAndScheduleRetry", *STEP, ERROR.to_wire(), failure, following]
    found = theirs(*UNDER_WAY, CLAIMED, retried, ["loadEvents", *RUN])
    assert [each.get("policyIndex") for each in found[-3:]] == [0, 1, 1]
    run = Called.with_step(backend)
    run.take("a")
    run.retry("a", policy_index=1)
    assert [each.policy_index for each in run.events()[-3:]] == [None, 1, 1]


def test_reclaim_schedules(backend: DynamoDBBackend, time: TickingClock) -> None:
    reclaim = ["reclaimStaleSteps", 1_000, "reaper"]
    answers = all_answers(*UNDER_WAY, CLAIMED, reclaim, reclaim, ["loadEvents", *RUN], ["listScheduledSteps"])
    assert [len(answer.value) for answer in answers[-4:-2]] == [1, 1], "the peer reclaims again and again"
    assert types(answers[-2].value)[-2:] == ["StepReclaimed"] * 2
    assert answers[-1].value == []
    run = Called.with_step(backend)
    run.take("a")
    time.pause_us(1_000_000)
    assert [len(backend.reclaim_stale_steps(1_000, "reaper")) for _ in range(2)] == [1, 0]
    assert run.kinds()[-2:] == ["StepReclaimed", "StepScheduled"]
    assert run.take("a") == 2


def test_logs_are_stored(backend: DynamoDBBackend) -> None:
    said = [{"timestamp": BEGIN_US, "stream": "stdout", "message": "said", "attemptNumber": 1}]
    assert theirs(*UNDER_WAY, ["saveStepLogs", *STEP, said], ["loadStepLogs", *STEP]) is None
    run = Called.with_step(backend)
    backend.save_step_logs(*STEP, [line(run, BEGIN_US)])
    assert [entry.message for entry in backend.load_step_logs(*STEP) or ()] == ["said"]


def test_registration_makes_a_version(backend: DynamoDBBackend) -> None:
    assert theirs(wording.REGISTERED, ["listWorkflowVersions", FLOW]) == []
    register(backend)
    assert len(backend.list_workflow_versions(FLOW)) == 1


def test_no_input_is_null(backend: DynamoDBBackend) -> None:
    version = {"workflowSlug": FLOW, "versionId": "v", "createdAt": 1, "stepManifest": ["a"], "totalSteps": 1}
    registered = [wording.REGISTERED, ["createWorkflowVersion", version]]
    for said, stored in (({"input": None}, "null"), ({}, None)):
        made = theirs(*registered, ["submitRun", {"workflowSlug": FLOW, "runId": "r", **said}], ["getRun", "r"])
        assert made.get("input") == stored
    register(backend)
    for run_id in (submit(backend, input=None), submit(backend)):
        run = backend.get_run(run_id)
        assert run is not None
        assert run.input is None
    told = Called.new(backend, input="null")
    state = backend.get_run(told.run_id)
    assert state is not None
    assert state.input == "null"


# -- what is answered otherwise ----------------------------------------------------------------------------------------


def test_cancelled_runs_leave_the_queue(backend: DynamoDBBackend) -> None:
    assert len(theirs(*UNDER_WAY, ["cancelRun", "run-1"], ["listScheduledSteps"])) == 1
    run = Called.with_step(backend)
    assert len(run.due()) == 1
    backend.cancel_run("run-1")
    assert run.due() == []


def test_unsubmitted_runs(backend: DynamoDBBackend) -> None:
    failed = ["saveStepFailed", *STEP, ERROR.to_wire(), FAILURE]
    answers = all_answers(failed, ["listRunIds", FLOW], ["getErrorAnalysis"])
    assert answers[1].value == ["run-1"]
    assert answers[2].value["totalFailures"] == 1
    run = Called(backend, "run-1")
    run.begin("a")
    run.fail("a", terminal=True)
    assert backend.run_exists(*RUN)
    assert backend.list_run_ids(FLOW) == []
    assert backend.get_error_analysis().total_failures == 0
    assert backend.get_error_analysis(run_ids=["run-1"]).total_failures == 1


def test_lines_make_no_step(backend: DynamoDBBackend) -> None:
    said = event("LogEntry", BEGIN_US, stream="stdout", message="said")
    assert [each["status"] for each in theirs(["appendEvent", *RUN, said], ["loadRun", *RUN])] == ["pending"]
    run = Called.new(backend)
    backend.save_step_logs(*STEP, [line(run, BEGIN_US)])
    assert backend.load_run(*RUN) == []


def test_no_lines(backend: DynamoDBBackend) -> None:
    assert theirs(*UNDER_WAY, ["loadStepLogs", *STEP]) is None
    Called.with_step(backend)
    assert backend.load_step_logs(*STEP) == []
    assert backend.load_step_logs(FLOW, "unknown", "a") is None


def test_step_filter(backend: DynamoDBBackend) -> None:
    assert len(theirs(*UNDER_WAY, ["loadEvents", *RUN, {"stepId": "a"}])) == 3
    Called.with_step(backend)
    assert len(backend.load_events(*RUN, step_id="a")) == 1


def test_current_version(backend: DynamoDBBackend) -> None:
    version = {"workflowSlug": FLOW, "stepManifest": ["a"], "totalSteps": 1}
    versions = [{**version, "versionId": f"v{n}", "createdAt": n} for n in (2, 1)]
    created = [["createWorkflowVersion", version] for version in versions]
    assert theirs(*created, ["getCurrentWorkflowVersion", FLOW])["versionId"] == "v2"
    for version_id in ("v1", "v2", "v1"):
        register(backend, version_id=version_id)
    current = backend.get_current_workflow_version(FLOW)
    assert current is not None
    assert current.version_id == "v1", "the rollback is what new runs get"


def test_copies_count_once(backend: DynamoDBBackend) -> None:
    failed = [*UNDER_WAY, CLAIMED, ["saveStepFailed", *STEP, ERROR.to_wire(), FAILURE]]
    copied = ["copyStepEvents", FLOW, "run-1", "run-2", ["a"]]
    assert theirs(*failed, copied, ["getErrorAnalysis"])["totalFailures"] == 2
    run = Outside.at(backend, step("a"), step("b", "a"))
    run.do("a")
    run.fail("b", run.take("b"), terminal=True)
    again = backend.resume_run(run.run_id)
    assert "StepCompleted" in Outside(backend, again.run_id).kinds("a")
    assert backend.get_success_rate().successful_steps == 1


def test_copies_that_collide(backend: DynamoDBBackend) -> None:
    """Two events of one time: the peer has both at it, and ours are a microsecond apart."""
    there = event("StepScheduled", BEGIN_US, availableAtUs=1, reason="initial", runId="run-2", stepId="b")
    here = event("StepScheduled", BEGIN_US, availableAtUs=1, reason="initial")
    appended = [["appendEvent", FLOW, "run-2", there], ["appendEvent", *RUN, here]]
    copied = ["copyStepEvents", FLOW, "run-1", "run-2", ["a"]]
    found = theirs(*appended, copied, ["loadEvents", FLOW, "run-2"])
    assert [each["timestampUs"] for each in found] == [BEGIN_US] * 2
    for each in (there, here):
        backend.append_event(FLOW, each["runId"], StepScheduled.model_validate(each))
    backend.copy_step_events(FLOW, "run-1", "run-2", include_step_ids=["a"])
    assert [e.timestamp_us for e in backend.load_events(FLOW, "run-2")] == [BEGIN_US, BEGIN_US + 1]


def test_order_of_folders(backend: DynamoDBBackend) -> None:
    """Ends that come before their starts count for a worker whom another run has shown, if its folder comes first."""
    early = event("StepCompleted", BEGIN_US, output="1", durationUs=1, exportOutput=False, runId="run-2")
    begun = event("StepStarted", BEGIN_US + 1, workerId="ann", dependencies=[], runId="run-2")
    running = [
        [call[0], FLOW, run, *call[3:]] for run in ("run-1", "run-2") for call in (wording.SUBMITTED, wording.STARTED)
    ]
    first = ["appendEvent", *RUN, event("StepStarted", BEGIN_US, workerId="ann", dependencies=[])]
    appended = [*running, *(["appendEvent", FLOW, "run-2", each] for each in (early, begun)), first]
    processed = theirs(*appended, ["getWorkerById", "ann"])["totalStepsProcessed"]
    assert processed in (0, 1), "as the folders come"


def test_limit_of_none(backend: DynamoDBBackend) -> None:
    assert len(theirs(wording.SUBMITTED, ["listRuns", {"limit": 0}])["runs"]) == 1
    assert len(theirs(*UNDER_WAY, ["listScheduledSteps", {"limit": 0}])) == 1
    Called.with_step(backend)
    assert backend.list_runs(limit=0).runs == []
    assert backend.list_scheduled_steps(limit=0) == []


def test_order_of_equals(backend: DynamoDBBackend) -> None:
    """Errors of one count: the peer lists them as it finds them, folder by folder; ours by time."""
    runs = [Called.new(backend, run_id) for run_id in ("z", "a")]
    for run, message in zip(runs, ("first", "second"), strict=True):
        run.begin("a")
        failure: dict[str, Any] = {
            "duration_us": 1,
            "attempt_number": 1,
            "terminal": True,
            "failure_reason": "execution-error",
        }
        backend.save_step_failed(FLOW, run.run_id, "a", ERROR.model_copy(update={"message": message}), **failure)
    assert [group.error_message for group in backend.get_errors_list().errors] == ["first", "second"]
    said = [["saveStepFailed", FLOW, run, "a", {"message": run}, FAILURE] for run in ("z", "a")]
    assert sorted(group["errorMessage"] for group in theirs(*said, ["getErrorsList"])["errors"]) == ["a", "z"]


def test_unknown_options(backend: DynamoDBBackend) -> None:
    assert theirs(["getThroughput", {"unknown": 1}])["runsCompleted"] == 0
    with pytest.raises(TypeError):
        backend.get_throughput(unknown=1)  # type: ignore[call-arg]


def test_fingerprints_are_checked(backend: DynamoDBBackend) -> None:
    """Both refuse; ours by an error of the tree, which says what a fingerprint is made of."""
    [answer] = all_answers(["getErrorDetail", "a:b", "exact"])
    assert answer.error == "Invalid fingerprint format: a:b"
    with pytest.raises(InvalidIdError, match="three hashes"):
        backend.get_error_detail("a:b", "exact")


def test_output_path(backend: DynamoDBBackend) -> None:
    assert str(theirs(["getStepOutputPath", *STEP, 1])).endswith("a-attempt-1.json")
    Called.with_step(backend)
    with pytest.raises(CascadeFlowError):
        backend.get_step_output_path(*STEP, 1)


def test_parents_of_failures() -> None:
    said = {"name": "page", "sequenceNumber": 1, "attemptNumber": 1, "error": {"message": "away"}, "stepId": "a"}
    ours = {**event("StepCheckpointFailed", BEGIN_US, **said), "parentCheckpoint": {"name": "all", "sequenceNumber": 0}}
    assert dump_event(parse_event(ours)) == ours
    [answer] = shared_oracle().ask("parse", [[ours]])
    assert "parentCheckpoint" not in answer.value
    for foreign in (None, 5, {"name": "all"}, {"name": "all", "sequenceNumber": -1}):
        assert "parentCheckpoint" not in dump_event(parse_event({**ours, "parentCheckpoint": foreign}))
