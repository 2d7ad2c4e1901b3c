"""Reports and workers over HTTP: every analytics operation of the contract, in the API's words, in bounded answers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

import events
from cascade_flow import clock
from cascade_flow.api import names, report_representations
from cascade_flow.contract.analytics import AnalyticsContract
from cascade_flow.model.wire import WireModel
from cascade_flow.operations.ended_runs import EndedRuns
from cascade_flow.operations.history import Histories
from checker import check_run
from events.deployed import Functions, Reply, app
from functions.conftest import deployed, surroundings
from testbed.plugin import Servers
from testbed.servers import CreateTable, fresh_table

pytestmark = pytest.mark.servers("ministack")

ROUTES = {
    "get_analytics_summary": "/analytics/summary",
    "get_error_analysis": "/analytics/error-analysis",
    "get_errors_list": "/analytics/errors",
    "get_error_detail": "/analytics/errors/{fingerprint}",
    "get_retry_analysis": "/analytics/retries",
    "get_scheduling_latency": "/analytics/scheduling-latency",
    "get_step_duration": "/analytics/step-durations",
    "get_workflow_duration": "/analytics/workflow-durations",
    "get_worker_stability": "/analytics/worker-stability",
    "get_throughput": "/analytics/throughput",
    "get_success_rate": "/analytics/success-rate",
    "get_queue_depth": "/analytics/queue-depth",
    "get_queue_depth_by_workflow": "/analytics/queue-depth-by-workflow",
    "get_active_workers": "/workers",
    "get_worker_by_id": "/workers/{workerId}",
}
OF_NOW = {"get_queue_depth", "get_queue_depth_by_workflow", "get_active_workers", "get_worker_by_id"}
OF_THEIR_OWN = {"get_analytics_summary", "get_error_analysis", "get_errors_list", "get_error_detail"}
RANGED = sorted(ROUTES.keys() - OF_NOW - OF_THEIR_OWN)


def ask(functions: Functions, target: str) -> Reply:
    return functions.asked(events.get(target))


def get(functions: Functions, target: str) -> Any:
    reply = ask(functions, target)
    assert reply.status == 200, reply.json
    return reply.json


@pytest.fixture(scope="module")
def busy(servers: Servers, table_creator: CreateTable) -> Iterator[Functions]:
    """Runs that completed, failed, wait, and are under way; all that is done here is to read of them."""
    with (
        surroundings(),
        fresh_table(servers.running("ministack"), table_creator) as store,
        deployed(store) as functions,
    ):
        app("registration").handler({}, events.Context())
        functions.submit()
        for weights in ([1], [1], [1, "2 kg"]):
            functions.submit(input={"weights": weights, "broken": True})
        functions.work()
        for worker in ("gpu/box 1", "anna"):
            held = functions.submit()
            functions.asked(events.post("/steps/claim", {"workerId": worker, "runId": held, "stepId": "weigh"}))
        functions.submit()
        functions.lose_messages()
        for run in functions.backend.list_runs().runs:
            check_run(functions.backend, run.run_id)
        yield functions


def test_every_operation_of_the_contract_has_a_route(functions: Functions) -> None:
    operations = [name for name in vars(AnalyticsContract) if name.startswith("get_")]
    assert sorted(ROUTES) == sorted(operations)
    assert all(events.routed("GET", path)["routeKey"] != "$default" for path in ROUTES.values())


@pytest.mark.parametrize("operation", RANGED)
def test_a_report_is_the_contracts_in_the_apis_words(busy: Functions, operation: str) -> None:
    start_us, end_us = clock.now_us() - 3_600_000_000, clock.now_us()
    of = {"workflow_slug": "parcels", "start_us": start_us, "end_us": end_us}
    report: WireModel = getattr(busy.backend, operation)(**of)
    target = f"{ROUTES[operation]}?workflow=parcels&startUs={start_us}&endUs={end_us}"
    assert get(busy, target) == names.document(report, {})


def test_a_range_is_the_last_day_and_can_be_said(busy: Functions) -> None:
    assert get(busy, "/analytics/success-rate")["failedRuns"] == 3
    ended_us = clock.now_us() - 3_600_000_000
    assert get(busy, f"/analytics/success-rate?endUs={ended_us}")["totalRuns"] == 0
    [failed, *_] = busy.backend.list_runs(status=["failed"]).runs
    assert get(busy, f"/analytics/success-rate?run={failed.run_id}&run=r-0")["totalRuns"] == 1


def test_a_report_is_of_the_steps_that_were_asked_for(busy: Functions) -> None:
    assert get(busy, "/analytics/step-durations?step=price/post")["count"] == 1
    assert get(busy, "/analytics/step-durations?step=weigh")["count"] == 4


def test_the_summary_holds_them_all(busy: Functions) -> None:
    summary = get(busy, "/analytics/summary?workflow=parcels")
    assert summary["successRate"]["failedRuns"] == summary["errorAnalysis"]["totalFailures"] == 3
    assert summary["queueDepth"]["runningSteps"] == 2
    assert summary["timeRange"]["durationUs"] == 86_400_000_000
    assert not {"steps", "intervals"} & summary.keys()


def test_the_summary_tells_steps_and_parts_of_the_range_where_it_is_asked_to(busy: Functions) -> None:
    summary = get(busy, "/analytics/summary?byStep=true&intervals=4")
    by_step = {step["stepId"]: step for step in summary["steps"]}
    assert (by_step["weigh"]["count"], by_step["weigh"]["failures"]) == (4, 3)
    parts = summary["intervals"]
    assert [part["runsFailed"] for part in parts] == [0, 0, 0, 3]
    assert parts[0]["startUs"] == summary["timeRange"]["startUs"]
    assert all(one["endUs"] == other["startUs"] for one, other in pairwise(parts))


def test_errors_are_grouped_and_paged_and_shown(busy: Functions) -> None:
    first = get(busy, "/analytics/errors?limit=1")
    [group] = first["errors"]
    assert (group["count"], group["errorMessage"], first["total"], first["nextOffset"]) == (
        2,
        "the scales are broken",
        2,
        1,
    )
    assert group["firstSeenUs"] < group["lastSeenUs"]
    rest = get(busy, f"/analytics/errors?limit=5&offset={first['nextOffset']}")
    assert ([each["errorName"] for each in rest["errors"]], "nextOffset" in rest) == (["InputInvalidError"], False)
    shown = get(busy, f"/analytics/errors/{group['fingerprint']}?limit=1")
    assert (shown["totalCount"], len(shown["occurrences"])) == (2, 1)
    assert (
        get(busy, f"/analytics/errors/{group['fingerprint']}?grouping=portable")["fingerprint"] == group["fingerprint"]
    )


def test_what_is_no_fingerprint_is_named(functions: Functions) -> None:
    reply = ask(functions, "/analytics/errors/abc")
    assert (reply.status, reply.json["code"], reply.json["facts"]) == (400, "invalid-id", {"field": "fingerprint"})


def test_the_depth_of_queues(busy: Functions) -> None:
    depth = get(busy, "/analytics/queue-depth?workflow=parcels")
    assert (depth["runningRuns"], depth["scheduledSteps"], depth["runningSteps"]) == (3, 1, 2)
    [parcels] = get(busy, "/analytics/queue-depth-by-workflow")["workflows"]
    assert (parcels["workflowSlug"], parcels["workflowName"], parcels["scheduledSteps"]) == ("parcels", "Parcels", 1)


def test_workers_are_listed_by_their_ids_and_one_is_shown(busy: Functions) -> None:
    first = get(busy, "/workers?limit=1")
    second = get(busy, f"/workers?limit=1&cursor={first['nextCursor']}")
    assert [page["workers"][0]["workerId"] for page in (first, second)] == ["anna", "gpu/box 1"]
    assert (first["totalRunningSteps"], "nextCursor" in second) == (2, False)
    shown = get(busy, "/workers/gpu%2Fbox%201")
    [step] = shown["activeSteps"]
    assert (shown["workerId"], step["stepId"]) == ("gpu/box 1", "weigh")
    unknown = ask(busy, "/workers/nobody")
    assert (unknown.status, unknown.json["code"]) == (404, "worker-not-found")


class TestBounds:
    def test_what_can_not_be_read_in_time_is_refused_and_says_how_far_it_came(
        self, busy: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now_us = clock.now_us()
        monkeypatch.setattr("cascade_flow.api.resources.patience_us", lambda: now_us - 1)
        for path in ("/analytics/summary", "/analytics/throughput", "/analytics/queue-depth", "/workers"):
            reply = ask(busy, path)
            assert (reply.status, reply.json["code"]) == (422, "report-too-large")
            assert reply.json["facts"]["runsRead"] == 0
            assert "shorter" in reply.json["detail"]

    def test_half_of_the_runs_are_not_taken_for_all(self, busy: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
        outline = Histories.outline

        def slow(self: Histories, run_id: str) -> object:
            time.advance(8_000_000)
            return outline(self, run_id)

        monkeypatch.setattr(Histories, "outline", slow)
        monkeypatch.setattr(EndedRuns, "known", lambda *_, **__: {})
        with clock.use(clock.SteppingClock(clock.now_us())) as time:
            facts = ask(busy, "/analytics/throughput").json["facts"]
        assert facts == {"runsRead": 3, "runsFound": 7}, "20 s, of which each run takes 8"

    def test_an_answer_is_never_larger_than_it_may_be(self, busy: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(report_representations, "PAGE_CHARACTERS", 10)
        page = get(busy, "/analytics/errors")
        assert (len(page["errors"]), page["nextOffset"]) == (1, 1)

    def test_the_newest_occurrences_of_a_message_stand_for_all(
        self, busy: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(report_representations, "MOST_OCCURRENCES", 1)
        common, _ = get(busy, "/analytics/error-analysis")["mostCommonErrors"]
        assert (common["count"], len(common["occurrences"])) == (2, 1)
        assert common["occurrences"][0]["timestampUs"] == common["lastOccurrenceUs"]

    @pytest.mark.parametrize(
        ("query", "path"),
        [
            ("startUs=now", "startUs"),
            ("startUs=2&endUs=1", "endUs"),
            ("workflow=a%23b", "workflow"),
            ("run=a%23b", "run.0"),
            ("since=1", "since"),
        ],
    )
    def test_what_is_no_range_is_refused_at_its_place(self, functions: Functions, query: str, path: str) -> None:
        reply = ask(functions, f"/analytics/throughput?{query}")
        assert (reply.status, reply.json["issues"][0]["path"]) == (400, path)


def test_the_names_of_workers_are_not_translated(functions: Functions) -> None:
    """A worker may be called as something that the API calls otherwise."""
    run_id = functions.submit()
    functions.asked(events.post("/steps/claim", {"workerId": "timeout", "runId": run_id, "stepId": "weigh"}))
    functions.backend.reclaim_stale_steps(0, "somebody")
    assert get(functions, "/analytics/worker-stability")["stepsReclaimedByWorker"] == {"timeout": 1}
