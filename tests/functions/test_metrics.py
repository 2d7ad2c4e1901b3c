"""What functions measure: after the commit, in one line a workflow and invocation; nothing where nothing happens."""

from __future__ import annotations

import subprocess
import sys

import pytest

import events
from cascade_flow import clock
from cascade_flow.api import resources
from cascade_flow.api.metrics import MOST_WORKFLOWS, Measured, Metrics
from cascade_flow.dynamodb.table import Table
from cascade_flow.engine.commands import Complete
from cascade_flow.engine.state import Facts
from cascade_flow.errors import StaleAttemptError
from cascade_flow.model.events import StepCompleted, StepError, WorkflowCompleted, make_event
from cascade_flow.operations.steps import Steps
from events.deployed import FUNCTIONS, Functions, app
from events.emitted import Emitted

pytestmark = pytest.mark.servers("ministack")
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def seen(functions: Functions, capsys: Captured) -> Captured:
    """What is written from here on."""
    capsys.readouterr()
    return capsys


def read(captured: Captured) -> Emitted:
    return Emitted(captured.readouterr().out)


def reap(*, after_us: int) -> None:
    with clock.use(clock.SteppingClock(clock.now_us() + after_us)):
        app("reaper").handler(events.load("scheduler"), events.Context())


def claim(functions: Functions, run_id: str, step: str) -> None:
    wish = {"workerId": "mila", "runId": run_id, "stepId": step}
    assert functions.http("claim", events.post("/steps/claim", wish)).status == 200


def test_a_run_that_ends_well(functions: Functions, seen: Captured) -> None:
    functions.submit()
    functions.work()
    found = read(seen)
    for dimensions in ({}, {"workflow": "parcels"}):
        assert found.of("RunsSubmitted", **dimensions) == [1]
        assert found.of("RunsCompleted", **dimensions) == [1]
        assert found.of("RunFailure", **dimensions) == [0]
        assert found.of("StepsCompleted", **dimensions) == [1, 1, 1, 1]
        assert len(found.of("StepDuration", **dimensions)) == 4
        latencies = found.of("SchedulingLatency", **dimensions)
        assert 2 <= len(latencies) <= 4, "what the queue has handed out; what goes on in one worker waits for nobody"
        assert all(0 <= latency < 30_000 for latency in latencies)
    assert found.units["StepDuration"] == "Milliseconds"


def test_an_invocation_writes_one_line(functions: Functions, seen: Captured) -> None:
    functions.submit()
    assert len(read(seen).lines) == 1
    message = functions.sqs.receive_message(QueueUrl=functions.queue_url)["Messages"][0]["Body"]
    app("worker").handler(events.messages([message]), events.Context())
    assert len(read(seen).lines) == 1
    app("worker").handler(events.messages([message]), events.Context())
    assert read(seen).lines == [], "somebody else has it: nothing was committed"


def test_a_run_that_does_anothers_work_is_measured_by_its_steps_alone(capsys: Captured) -> None:
    of_child = {"workflow_slug": "parcels", "run_id": "r~pack~0", "duration_us": 7_000}
    of_step = {"step_id": "pack", "output": "1", "attempt_number": 1, "export_output": True}
    of_run = {"workflow_attempt_number": 1, "output": "1", "total_steps": 1}
    metrics = Metrics()
    metrics.committed([make_event(StepCompleted, timestamp_us=7, **of_child, **of_step)])
    metrics.committed([make_event(WorkflowCompleted, timestamp_us=8, **of_child, **of_run)])
    metrics.write()
    found = read(capsys)
    assert (found.of("StepsCompleted"), found.of("RunsCompleted"), found.of("RunFailure")) == ([1], [], [])


def test_a_run_that_fails(functions: Functions, seen: Captured) -> None:
    functions.submit(input={"weights": [1], "broken": True})
    functions.work()
    found = read(seen)
    assert (found.of("RunsFailed"), found.of("StepsFailed"), found.of("RunFailure")) == ([1], [1], [100])
    assert found.of("RunsCompleted") == []


def test_a_run_that_is_cancelled(functions: Functions, seen: Captured) -> None:
    functions.http("submission", events.post(f"/runs/{functions.submit()}/cancel"))
    found = read(seen)
    assert found.of("RunsCancelled", workflow="parcels") == [1]
    assert found.of("RunFailure") == [], "who cancels has not failed"


def test_a_run_that_runs_out_of_time(functions: Functions, seen: Captured) -> None:
    functions.submit(timeoutUs=1_000_000)
    functions.lose_messages()
    reap(after_us=31_000_000)
    found = read(seen)
    assert (found.of("RunsTimedOut"), found.of("RunFailure"), found.of("RunsFailed")) == ([1], [100], [])


def test_what_a_worker_elsewhere_says(functions: Functions, seen: Captured) -> None:
    run_id = functions.submit()
    claim(functions, run_id, "weigh")
    assert read(seen).of("SchedulingLatency", workflow="parcels")
    told = {"workerId": "mila", "attemptNumber": 1, "output": 1.0, "durationUs": 70_000}
    assert functions.http("heartbeat", events.post(f"/runs/{run_id}/steps/weigh/complete", told)).status == 200
    found = read(seen)
    assert (found.of("StepsCompleted", workflow="parcels"), found.of("StepDuration")) == ([1], [70])


def test_what_is_commanded_by_who_looks_after_runs(functions: Functions, seen: Captured) -> None:
    run_id = functions.submit(input={"weights": [1], "broken": True})
    functions.work()
    read(seen)
    for command, status in (("resume", 201), ("retry", 200)):
        assert functions.http("control", events.post(f"/runs/{run_id}/{command}")).status == status
    assert read(seen).of("RunsSubmitted", workflow="parcels") == [1], "a retried run is the same"
    assert functions.http("control", events.post("/runs/cancel", {"workflowSlug": "parcels"})).status == 200
    assert read(seen).of("RunsCancelled", workflow="parcels") == [1, 1]


def test_a_step_that_is_skipped(functions: Functions, seen: Captured) -> None:
    functions.submit(input={"weights": [1], "insured": False})
    functions.work()
    assert read(seen).of("StepsSkipped") == [1]


def test_a_step_that_is_tried_again(functions: Functions, seen: Captured) -> None:
    run_id = functions.submit()
    claim(functions, run_id, "weigh")
    functions.backend.save_step_complete("parcels", run_id, "weigh", 3.5, duration_us=7_000, attempt_number=1)
    claim(functions, run_id, "price/post")
    functions.backend.save_step_failed(
        "parcels",
        run_id,
        "price/post",
        StepError(name="E", message="m"),
        duration_us=9_000,
        attempt_number=1,
        terminal=False,
        failure_reason="execution-error",
    )
    functions.http("query", events.get("/runs"))
    found = read(seen)
    assert (found.of("StepsRetried"), found.of("StepsFailed"), found.of("StepDuration")) == ([1], [], [7, 9])


def test_a_worker_that_dies_and_one_that_comes_too_late(functions: Functions, seen: Captured) -> None:
    run_id = functions.submit()
    steps = Steps(functions.backend.runtime)
    held = steps.claim_step(functions.backend.runtime.run(run_id), "weigh", "mila")
    assert held is not None
    read(seen)
    reap(after_us=70_000_000)
    found = read(seen)
    assert found.of("StepsReclaimed", workflow="parcels") == [1]
    assert found.of("SweepEntries") == [1]
    assert found.of("OldestDueSeconds") == pytest.approx([10], abs=5)
    with pytest.raises(StaleAttemptError):
        steps.report(held, Complete("3.5", 1))
    functions.http("query", events.get("/runs"))
    assert read(seen).of("LateResultsRefused", workflow="parcels") == [1]


def test_what_a_sweep_does_is_measured_and_an_idle_one_costs_nothing(functions: Functions, seen: Captured) -> None:
    reap(after_us=31_000_000)
    assert read(seen).lines == []
    functions.submit()
    functions.lose_messages()
    read(seen)
    reap(after_us=31_000_000)
    found = read(seen)
    assert (found.of("SweepEntries"), found.of("WakeUpsRepeated")) == ([1], [1])
    assert found.of("OldestDueSeconds") == pytest.approx([31], abs=5)
    assert len(found.of("SweepDuration")) == 1
    assert found.of("SweepUnfinished") == found.of("SweepFailures") == []


def test_a_sweep_that_has_no_time_says_so(functions: Functions, seen: Captured) -> None:
    for _ in range(2):
        functions.submit()
    with clock.use(clock.SteppingClock(clock.now_us() + 31_000_000)):
        app("reaper").handler(events.load("scheduler"), events.Context(remaining_ms=0))
    assert read(seen).of("SweepUnfinished") == [1]


def test_what_was_not_committed_is_not_counted(
    functions: Functions, seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("the table is away")

    monkeypatch.setattr(Table, "write", refuse)
    reply = functions.http("submission", events.post("/runs", {"workflowSlug": "parcels", "input": {"weights": [1]}}))
    assert reply.status == 500
    assert read(seen).lines == []


@pytest.mark.parametrize(("wanted", "lines"), [("none", 0), ("service", 1)])
def test_by_setting_there_are_fewer_or_none(
    bare: Functions, environment: pytest.MonkeyPatch, capsys: Captured, wanted: str, lines: int
) -> None:
    environment.setenv("CASCADE_METRICS", wanted)
    resources.settings.cache_clear()
    resources.telemetry.cache_clear()
    telemetry = resources.telemetry()
    telemetry.overtaken(_facts(bare))
    telemetry.write()
    found = read(capsys)
    assert len(found.lines) == lines
    assert all(
        names == ["service"] for line in found.lines for names in line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    )


def _facts(functions: Functions) -> Facts:
    app("registration").handler({}, events.Context())
    return functions.backend.runtime.facts(functions.backend.runtime.run(functions.submit()))


def test_workflows_without_end_are_no_metrics_without_end(capsys: Captured) -> None:
    metrics = Metrics()
    for _ in range(2):
        metrics._noted += [Measured("StepsFailed", 1, workflow=f"w{number}") for number in range(MOST_WORKFLOWS + 9)]
        metrics.write()
    found = read(capsys)
    assert len({dict(at).get("workflow") for _, at in found.values} - {None}) == MOST_WORKFLOWS < 100
    assert len(found.of("StepsFailed")) == 2 * (MOST_WORKFLOWS + 9)


def test_many_values_are_none_lost(capsys: Captured) -> None:
    metrics = Metrics()
    metrics._noted += [Measured("StepDuration", n, "Milliseconds", "w") for n in range(250)]
    metrics.write()
    assert sorted(read(capsys).of("StepDuration", workflow="w")) == list(range(250))


@pytest.mark.parametrize("name", ["worker", "submission", "reaper"])
def test_who_traces_nothing_imports_no_tracing(name: str) -> None:
    code = "import sys, app; from cascade_flow.api.resources import telemetry; telemetry(); print(*sys.modules)"
    environment = {"PYTHONPATH": str(FUNCTIONS.parent / "backend")}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=FUNCTIONS / name, env=environment, capture_output=True, text=True, check=True
    )
    assert not {"cascade_flow.api.traces", "aws_xray_sdk"} & set(ran.stdout.split())
