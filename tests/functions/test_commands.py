"""What can be done with runs that are there: another try, a new run that goes on, many at once; and registrations."""

from __future__ import annotations

from typing import Any

import pytest

import events
from cascade_flow import clock
from cascade_flow.api import resources
from cascade_flow.api.workflow_shapes import NewStep, NewTier
from cascade_flow.errors import ThrottledError
from cascade_flow.model.workflows import RetryTier, StepDefinition
from cascade_flow.operations.runs import Runs
from checker import check_run
from events.deployed import Functions, Reply

pytestmark = pytest.mark.servers("ministack")

BROKEN = {"weights": [1], "broken": True}
MENDED = {"weights": [1]}
ALL = ["weigh", "price/post", "price/insurance", "bill"]


def post(functions: Functions, target: str, **body: Any) -> Reply:
    return functions.asked(events.post(target, body))


def get(functions: Functions, target: str) -> Reply:
    return functions.asked(events.get(target))


@pytest.fixture
def failed(functions: Functions) -> str:
    """A run whose first step has failed for good."""
    run_id = functions.submit(input=BROKEN)
    functions.work()
    return run_id


@pytest.fixture
def done(functions: Functions) -> str:
    run_id = functions.submit()
    functions.work()
    return run_id


class TestAnotherTry:
    def test_a_failed_run_is_tried_again(self, functions: Functions, failed: str) -> None:
        reply = post(functions, f"/runs/{failed}/retry", reason="the scales are mended")
        assert (reply.status, reply.json["run"]["status"]) == (200, "running")
        assert reply.json["run"]["workflowAttemptNumber"] == 2
        assert "input" not in reply.json["run"]
        [told] = get(functions, f"/runs/{failed}/events?type=WorkflowRetryStarted").json["events"]
        assert told["reason"] == "the scales are mended"
        functions.work()
        check_run(functions.backend, failed)

    def test_one_that_goes_on_is_not_and_says_how_it_stands(self, functions: Functions) -> None:
        run_id = functions.submit()
        reply = post(functions, f"/runs/{run_id}/retry")
        assert (reply.status, reply.json["code"]) == (409, "run-not-retryable")
        assert reply.json["facts"] == {"runId": run_id, "status": "running"}


class TestANewRun:
    def test_a_rerun_is_shown_and_done(self, functions: Functions, done: str) -> None:
        plan = get(functions, f"/runs/{done}/rerun?fromStepId=price/post").json
        assert (plan["keeps"], plan["runsAgain"]) == (["weigh", "price/insurance"], ["price/post", "bill"])
        reply = post(functions, f"/runs/{done}/rerun", fromStepId="price/post")
        assert (reply.status, reply.json["isNew"]) == (201, True)
        assert reply.headers["location"] == f"/runs/{reply.json['runId']}"
        assert {name: reply.json[name] for name in ("keeps", "runsAgain")} == {
            name: plan[name] for name in ("keeps", "runsAgain")
        }
        functions.work()
        shown = get(functions, f"/runs/{reply.json['runId']}").json
        assert (shown["run"]["status"], shown["versionId"]) == ("completed", plan["versionId"])
        check_run(functions.backend, reply.json["runId"])

    def test_with_another_input(self, functions: Functions, failed: str) -> None:
        reply = post(functions, f"/runs/{failed}/rerun", fromStepId="weigh", input=MENDED)
        functions.work()
        assert get(functions, f"/runs/{reply.json['runId']}").json["run"]["status"] == "completed"
        assert (reply.json["keeps"], reply.json["runsAgain"]) == ([], ALL)
        odd = post(functions, f"/runs/{failed}/rerun", fromStepId="weigh", input={"weights": ["x"]})
        assert (odd.status, odd.json["issues"][0]["path"]) == (422, "input.weights.0")

    def test_a_resume_is_shown_and_done(self, functions: Functions, failed: str) -> None:
        assert get(functions, f"/runs/{failed}/rerun").json["runsAgain"] == ALL
        reply = post(functions, f"/runs/{failed}/resume")
        assert (reply.status, reply.json["keeps"], reply.json["runsAgain"]) == (201, [], ALL)
        check_run(functions.backend, reply.json["runId"])

    @pytest.mark.parametrize("ask", ["/rerun", "/resume"])
    def test_what_is_done_is_not_resumed(self, functions: Functions, done: str, ask: str) -> None:
        target = f"/runs/{done}{ask}"
        reply = get(functions, target) if ask == "/rerun" else post(functions, target)
        assert (reply.status, reply.json["code"]) == (409, "run-not-retryable")
        assert reply.json["facts"] == {"runId": done, "status": "completed"}

    def test_a_step_that_is_not_there_is_named(self, functions: Functions, done: str) -> None:
        for reply in (
            get(functions, f"/runs/{done}/rerun?fromStepId=paint"),
            post(functions, f"/runs/{done}/rerun", fromStepId="paint"),
        ):
            assert (reply.status, reply.json["code"]) == (404, "step-not-found")
            assert "'paint'" in reply.json["detail"]


class TestManyAtOnce:
    def test_they_are_cancelled_piece_by_piece(self, functions: Functions) -> None:
        runs = [functions.submit(tags=["many"]) for _ in range(5)]
        other = functions.submit()
        body: dict[str, Any] = {"tags": ["many"], "limit": 2, "reason": "sold out"}
        counts = []
        while True:
            piece = post(functions, "/runs/cancel", **body).json
            counts.append((piece["count"], piece["refused"]))
            if "nextCursor" not in piece:
                break
            body["cursor"] = piece["nextCursor"]
        assert counts == [(2, []), (2, []), (1, [])]
        for run_id in runs:
            shown = get(functions, f"/runs/{run_id}").json
            assert (shown["run"]["status"], shown["cancelReason"]) == ("cancelled", "sold out")
        assert get(functions, f"/runs/{other}").json["run"]["status"] == "running"
        assert post(functions, "/runs/cancel", tags=["many"]).json == {"count": 0, "refused": []}

    def test_what_ended_meanwhile_is_told_and_stops_nothing(
        self, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runs = [functions.submit() for _ in range(3)]
        cancel = Runs.cancel

        def quicker(self: Runs, run_id: str, reason: str | None, **options: Any) -> None:
            if run_id == runs[1]:
                cancel(self, run_id, "somebody else")
            cancel(self, run_id, reason, **options)

        monkeypatch.setattr(Runs, "cancel", quicker)
        piece = post(functions, "/runs/cancel", workflowSlug="parcels").json
        [refused] = piece["refused"]
        assert (piece["count"], refused["runId"], refused["code"]) == (2, runs[1], "run-not-cancellable")
        assert "is cancelled already" in refused["detail"]

    def test_those_that_failed_are_tried_again_and_no_others(self, functions: Functions, failed: str) -> None:
        stopped = functions.submit()
        post(functions, f"/runs/{stopped}/cancel")
        piece = post(functions, "/runs/retry", workflowSlug="parcels", reason="again").json
        assert piece == {"count": 1, "refused": []}
        assert get(functions, f"/runs/{failed}").json["run"]["workflowAttemptNumber"] == 2
        named = post(functions, "/runs/retry", status=["cancelled", "completed"]).json
        assert named == {"count": 1, "refused": []}

    def test_a_range_of_time(self, functions: Functions) -> None:
        early, late = functions.submit(), functions.submit()
        times = {run["runId"]: run["createdAtUs"] for run in get(functions, "/runs").json["runs"]}
        assert post(functions, "/runs/cancel", createdBeforeUs=times[late]).json["count"] == 1
        assert get(functions, f"/runs/{early}").json["run"]["status"] == "cancelled"
        assert post(functions, "/runs/cancel", createdAfterUs=times[late]).json["count"] == 0
        assert post(functions, "/runs/cancel", createdAfterUs=times[early]).json["count"] == 1

    def test_a_piece_ends_in_time_with_one_run_at_least(
        self, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runs = [functions.submit() for _ in range(3)]
        monkeypatch.setattr("cascade_flow.api.command_routes.patience_us", lambda: clock.now_us() - 1)
        first = post(functions, "/runs/cancel", workflowSlug="parcels").json
        second = post(functions, "/runs/cancel", workflowSlug="parcels", cursor=first["nextCursor"]).json
        assert (first["count"], second["count"]) == (1, 1)
        statuses = [get(functions, f"/runs/{run_id}").json["run"]["status"] for run_id in runs]
        assert statuses == ["running", "cancelled", "cancelled"]

    def test_a_busy_table_ends_a_piece_and_loses_no_count(
        self, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runs = [functions.submit() for _ in range(3)]
        cancel, busy = Runs.cancel, {runs[1]}

        def throttled(self: Runs, run_id: str, reason: str | None, **options: Any) -> None:
            if run_id in busy:
                raise ThrottledError
            cancel(self, run_id, reason, **options)

        monkeypatch.setattr(Runs, "cancel", throttled)
        first = post(functions, "/runs/cancel", workflowSlug="parcels").json
        assert (first["count"], first["refused"]) == (1, [])
        again = post(functions, "/runs/cancel", workflowSlug="parcels", cursor=first["nextCursor"])
        assert (again.status, again.headers["retry-after"]) == (503, "1")
        busy.clear()
        last = post(functions, "/runs/cancel", workflowSlug="parcels", cursor=first["nextCursor"]).json
        assert last == {"count": 2, "refused": []}

    @pytest.mark.parametrize("what", ["cancel", "retry"])
    def test_nobody_means_all_runs_by_saying_nothing(self, functions: Functions, what: str) -> None:
        reply = post(functions, f"/runs/{what}")
        assert (reply.status, reply.json["issues"][0]["path"]) == (400, "")
        assert "names no runs" in reply.json["issues"][0]["message"]
        assert post(functions, f"/runs/{what}", workflowSlug="letters").status == 404


class TestASubmissionToOneWorkflow:
    def test_the_address_names_the_workflow(self, functions: Functions) -> None:
        target, wish = "/workflows/parcels/runs", {"input": MENDED}
        first = functions.asked(events.post(target, wish, headers={"Idempotency-Key": "k"}))
        again = functions.asked(events.post(target, {**wish, "idempotencyKey": "k"}))
        assert (first.status, again.status, again.json) == (201, 200, {**first.json, "isNew": False})
        assert get(functions, f"/runs/{first.json['runId']}").json["run"]["workflowSlug"] == "parcels"
        check_run(functions.backend, first.json["runId"])

    def test_the_body_does_not(self, functions: Functions) -> None:
        reply = post(functions, "/workflows/parcels/runs", workflowSlug="letters", input=MENDED)
        assert (reply.status, reply.json["issues"][0]["path"]) == (400, "workflowSlug")
        assert post(functions, "/workflows/letters/runs", input=MENDED).json["code"] == "workflow-not-found"


LETTERS = {
    "name": "Letters",
    "inputSchemaJSON": {"type": "object", "required": ["to"]},
    "timeoutUs": 3_600_000_000,
    "steps": [
        {"stepId": "write", "exportOutput": True, "timeoutUs": 5_000_000},
        {
            "stepId": "send/post",
            "name": "Send",
            "dependencies": ["write"],
            "skipCascades": False,
            "retry": [{"maxAttempts": 2, "delayUs": 500_000, "backoff": 1, "retryOn": ["OSError"]}],
        },
    ],
    "git": {"commit": "abc", "dirty": False, "branch": "main"},
}


class TestRegistration:
    def test_what_is_shown_can_be_registered_and_is_the_same(self, functions: Functions) -> None:
        reply = functions.asked(events.put("/workflows/letters", LETTERS))
        assert (reply.status, reply.json["workflowSlug"], reply.json["timeoutUs"]) == (200, "letters", 3_600_000_000)
        shown = get(functions, "/workflows/letters").json
        assert shown["steps"][1]["retry"][0]["delayUs"] == 500_000
        again = functions.asked(events.put("/workflows/letters", {**LETTERS, "steps": shown["steps"]}))
        assert again.json["versionId"] == shown["versionId"]
        [version] = get(functions, "/workflows/letters/versions").json["versions"]
        assert (version["versionId"], version["steps"], version["git"]) == (shown["versionId"], [], LETTERS["git"])
        whole = get(functions, f"/workflows/letters/versions/{shown['versionId']}").json
        assert whole["steps"] == shown["steps"]
        run = post(functions, "/workflows/letters/runs", input={"to": "mila"})
        assert run.status == 201
        check_run(functions.backend, run.json["runId"])

    def test_every_field_of_a_step_can_be_said(self) -> None:
        said = {name.replace("_us", "_ms") for name in NewStep.model_fields} - {"step_id"} | {"id"}
        assert said == set(StepDefinition.model_fields)
        assert {name.replace("_us", "_ms") for name in NewTier.model_fields} == set(RetryTier.model_fields)

    @pytest.mark.parametrize(
        ("change", "status", "path"),
        [
            ({"steps": []}, 400, "steps"),
            ({"steps": [{"stepId": "a", "dependencies": ["b"]}]}, 422, None),
            ({"steps": [{"stepId": "a"}, {"stepId": "a"}]}, 422, None),
            ({"steps": [{"stepId": "a", "timeoutUs": 1_500}]}, 400, "steps.0.timeoutUs"),
            ({"steps": [{"stepId": "a//b"}]}, 400, "steps.0.stepId"),
            ({"steps": [{"id": "a"}]}, 400, "steps.0.stepId"),
            ({"steps": [{"stepId": "a", "retry": [{"jitter": 2}]}]}, 400, "steps.0.retry.0.jitter"),
            ({"inputSchemaJSON": {"type": "nothing"}}, 400, None),
            ({"slug": "a"}, 400, "slug"),
        ],
    )
    def test_what_is_no_workflow_is_refused_at_its_place(
        self, functions: Functions, change: dict[str, Any], status: int, path: str | None
    ) -> None:
        reply = functions.asked(events.put("/workflows/letters", {**LETTERS, **change}))
        assert (reply.status, bool(reply.json["issues"])) == (status, True)
        assert path in (None, reply.json["issues"][0]["path"])
        assert get(functions, "/workflows/letters").status == 404

    def test_what_is_not_there_is_named(self, functions: Functions) -> None:
        assert get(functions, "/workflows/letters/versions").json["code"] == "workflow-not-found"
        gone = get(functions, "/workflows/parcels/versions/sha256:0")
        assert (gone.status, gone.json["code"]) == (404, "version-not-found")
        assert resources.runtime().registry.versions("parcels")[0].version_id in gone.json["detail"]
