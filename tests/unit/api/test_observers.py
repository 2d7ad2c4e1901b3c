"""What is measured and traced of what was committed: each number, its unit, and whose it is."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cascade_flow.api import metrics as metrics_module, resources
from cascade_flow.api.metrics import OF_EVENTS, Measured, Metrics
from cascade_flow.api.telemetry import Telemetry
from cascade_flow.api.traces import Traces, segment, trace_id
from cascade_flow.engine.state import Branch
from cascade_flow.model.events import StepCompleted, StepFailed, StepSkipped, WorkflowFailed
from unit.engine.facts import facts_of, step
from unit.projection.told import ERROR, PRINTS

US = 1_700_000_000_000_000
IDS: dict[str, Any] = {"workflow_slug": "flow", "run_id": "run", "step_id": "a", "attempt_number": 2}
COMPLETED = StepCompleted(**IDS, timestamp_us=US, duration_us=2_600_400, output="1", export_output=True)


def failed(**more: Any) -> StepFailed:
    known = {"error": ERROR, "error_fingerprints": PRINTS, "failure_reason": "execution-error", "terminal": True}
    return StepFailed(**{**IDS, **known, "timestamp_us": US, "duration_us": 1_400, **more})


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[str, str], list[Measured]]]:
    """What is written, by dimension."""
    lines: list[tuple[tuple[str, str], list[Measured]]] = []
    monkeypatch.setattr(metrics_module, "_write", lambda *line: lines.append(line))
    return lines


def measured(event: Any) -> dict[str, tuple[float, str]]:
    return {each.name: (each.value, each.unit) for each in OF_EVENTS[event.type](event)}


def test_what_is_measured_of_a_step() -> None:
    assert measured(COMPLETED) == {"StepsCompleted": (1, "Count"), "StepDuration": (2_600, "Milliseconds")}
    assert measured(failed()) == {"StepsFailed": (1, "Count"), "StepDuration": (1, "Milliseconds")}
    again = measured(failed(terminal=False))
    assert again == {"StepsRetried": (1, "Count"), "StepDuration": (1, "Milliseconds")}


@pytest.mark.parametrize(("reason", "name"), [("timeout", "RunsTimedOut"), ("step-failed", "RunsFailed")])
def test_a_run_that_fails_is_one_of_a_hundred(reason: Any, name: str) -> None:
    event = WorkflowFailed.model_construct(timestamp_us=US, failure_reason=reason, type="WorkflowFailed")
    assert measured(event) == {name: (1, "Count"), "RunFailure": (100, "Percent")}


def test_what_was_claimed_has_waited_since_it_was_due(written: list[Any]) -> None:
    taken = Metrics()
    for available_us in (US - 5_000, US + 9_000, None):
        branch = Branch("a", "running", "a", available_at_us=available_us, started_at_us=US)
        taken.claimed(facts_of(step("a")), branch)
    taken.write()
    [(dimension, values)] = written
    assert dimension == ("workflow", "flow")
    assert [(each.name, each.value, each.unit) for each in values] == [
        ("SchedulingLatency", value, "Milliseconds") for value in (5, 0, 0)
    ]


def test_a_refusal_is_counted_by_workflow(written: list[Any]) -> None:
    taken = Metrics()
    taken.overtaken(facts_of(step("a")))
    taken.committed([COMPLETED])
    taken.write()
    taken.write()
    [(dimension, values)] = written
    assert (dimension, values[0]) == (("workflow", "flow"), Measured("LateResultsRefused", 1, workflow="flow"))
    assert len(values) == 3


def swept(**more: Any) -> dict[str, Any]:
    return {"done": {}, "left": False, "oldest_due_s": 0, "took_ms": 7, "pools": {}, **more}


def test_what_a_sweep_came_to(written: list[Any]) -> None:
    taken = Metrics()
    taken.swept(swept())
    done = {"looked at": 3, "failed": 1, "wake-ups repeated": 2}
    taken.swept(swept(done=done, left=True, oldest_due_s=9, pools={"gpu": 5, "cpu": 0}))
    taken.write()
    found = {dimension: {each.name: (each.value, each.unit) for each in values} for dimension, values in written}
    assert found == {
        ("", ""): {
            "SweepEntries": (3, "Count"),
            "SweepFailures": (1, "Count"),
            "SweepUnfinished": (1, "Count"),
            "WakeUpsRepeated": (2, "Count"),
            "OldestDueSeconds": (9, "Seconds"),
            "SweepDuration": (7, "Milliseconds"),
        },
        ("pool", "gpu"): {"PoolWaitSeconds": (5, "Seconds")},
    }


@pytest.mark.parametrize(("by_workflow", "most"), [(True, 99), (False, 0)])
def test_so_many_workflows_are_told_apart_and_the_rest_count_for_the_service(
    written: list[Any], by_workflow: bool, most: int
) -> None:
    taken = Metrics(by_workflow=by_workflow)
    for _ in range(2):
        for number in range(100):
            taken.committed([COMPLETED.model_copy(update={"workflow_slug": f"flow-{number}"})])
        taken.write()
    told = [dimension for dimension, _ in written if dimension != ("", "")]
    assert len(set(told)) == most
    assert len(told) == 2 * most


def test_a_trace_is_the_runs_own() -> None:
    facts = facts_of(step("a"), started_at_us=0x655_0000 * 1_000_000 + 999_999)
    digest = hashlib.sha256(b"run").hexdigest()
    assert trace_id(facts) == f"1-06550000-{digest[:24]}"


def test_a_segment_says_when_and_whose_and_nothing_of_what_was_worked_on() -> None:
    told = segment("t", COMPLETED)
    assert len(told.pop("id")) == 16
    assert told == {
        "name": "flow/a",
        "trace_id": "t",
        "start_time": pytest.approx((US - 2_600_400) / 1_000_000),
        "end_time": US / 1_000_000,
        "fault": False,
        "annotations": {"runId": "run", "step": "a", "attempt": 2},
    }
    assert told["start_time"] < told["end_time"]
    assert segment("t", failed())["fault"] is True
    long = segment("t", COMPLETED.model_copy(update={"step_id": "x" * 300}))
    assert len(long["name"]) == 200


def test_only_attempts_that_are_over_and_were_claimed_here_are_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    traces = Traces("127.0.0.1:2000")
    monkeypatch.setattr(traces, "_send", sent.append)
    facts = facts_of(step("a"), started_at_us=US)
    skipped = StepSkipped(**IDS, timestamp_us=US, duration_us=1, reason="no", skip_type="primary")
    traces.committed([COMPLETED])
    traces.claimed(facts, Branch("a", "running", "a"))
    traces.committed([COMPLETED, failed(), skipped, WorkflowFailed.model_construct(timestamp_us=US, run_id="run")])
    traces.committed([COMPLETED.model_copy(update={"run_id": "another"})])
    assert [each["trace_id"] for each in sent] == [trace_id(facts)] * 3


class Listener:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.heard.append(name)


def test_all_who_listen_hear_all_and_metrics_alone_are_written() -> None:
    counting, other = Listener(), Listener()
    telemetry = Telemetry(cast(Metrics, counting), cast(Any, other))
    facts, branch = facts_of(step("a")), Branch("a", "running", "a")
    telemetry.committed([])
    telemetry.claimed(facts, branch)
    telemetry.overtaken(facts)
    telemetry.swept({})
    telemetry.write()
    assert other.heard == ["committed", "claimed", "overtaken"]
    assert counting.heard == [*other.heard, "swept", "write"]
    silent = Telemetry(None)
    silent.swept({})
    silent.write()


@pytest.mark.parametrize(("metrics", "by_workflow"), [("service", False), ("workflow", True)])
def test_who_listens_is_a_setting(metrics: Any, by_workflow: bool) -> None:
    telemetry = Telemetry.of(metrics=metrics, daemon="127.0.0.1:2000")
    [counting, traces] = telemetry._listeners
    assert isinstance(counting, Metrics)
    assert counting._by_workflow is by_workflow
    assert isinstance(traces, Traces)
    assert Telemetry.of(metrics="none", daemon=None)._listeners == ()


def test_what_was_measured_is_written_however_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed before a failure stays committed; where nobody listened, nobody is made to."""
    counting, opened = Listener(), SimpleNamespace(currsize=1)

    class Opening:
        def __call__(self) -> Any:
            return counting

        def cache_info(self) -> Any:
            return opened

    monkeypatch.setattr(resources, "telemetry", Opening())
    with pytest.raises(RuntimeError), resources.measured():
        raise RuntimeError
    assert counting.heard == ["write"]
    opened.currsize = 0
    with resources.measured():
        """Nothing was asked for."""
    assert counting.heard == ["write"]
