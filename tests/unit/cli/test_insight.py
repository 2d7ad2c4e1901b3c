"""What is the matter: doctor, preflight, stats, errors, workers, dead letters, a step; as words and as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cascade_flow import clock
from cascade_flow.authoring.inspection import Declared
from cascade_flow.cli import charts, exits, preflight
from cascade_flow.client import Client
from cascade_flow.signing import StaticKeys
from unit.cli.conftest import Api, Done
from unit.cli.documents import FAILED, NOW_US, RUN_ID, step

Cascade = Callable[..., Done]
S = 1_000_000
FINGERPRINTS = [f"aaaa{'0' * 36}:{letter * 40}:cccc{'0' * 36}" for letter in "bd"]
TIMES = {"count": 4, "averageUs": 2.0, "medianUs": S, "p95Us": 2 * S, "p99Us": 3 * S, "minUs": 1, "maxUs": 4 * S}
GROUP = {
    "fingerprint": FINGERPRINTS[0],
    "errorName": "ValueError",
    "errorMessage": "no such row",
    "sampleStack": 'Traceback\n  File "check.py", line 3, in check\nValueError: no such row',
    "count": 7,
    "affectedRuns": 2,
    "firstSeenUs": NOW_US - 60 * S,
    "lastSeenUs": NOW_US - 10 * S,
}
PLACE = {"workflowSlug": "mishaps", "runId": RUN_ID, "stepId": "check", "attemptNumber": 1, "timestampUs": NOW_US}
DETAIL = {**GROUP, "totalCount": 7, "occurrences": [PLACE], "total": 7}
WORKER = {
    "workerId": "worker-1",
    "lastSeenUs": NOW_US - 3 * S,
    "currentlyRunningSteps": 1,
    "totalStepsProcessed": 12,
    "failedSteps": 2,
    "reclaimedFromCount": 1,
    "activeSteps": [
        {**PLACE, "startedAtUs": NOW_US - 5 * S, "lastHeartbeatUs": NOW_US - 3 * S},
    ],
}
WORKERS = {"workers": [WORKER], "totalActiveWorkers": 1, "totalRunningSteps": 1, "staleThresholdUs": 1}
SUMMARY = {
    "throughput": {"runsPerHour": 5.25, "stepsPerHour": 1204.0},
    "successRate": {
        "totalRuns": 8,
        "successfulRuns": 6,
        "failedRuns": 2,
        "cancelledRuns": 0,
        "successRate": 75.0,
        "totalSteps": 40,
        "successfulSteps": 32,
        "failedSteps": 2,
        "skippedSteps": 6,
    },
    "retryAnalysis": {"totalRetries": 14, "retryEffectivenessRate": 75.0},
    "workflowDuration": TIMES,
    "stepDuration": TIMES,
    "schedulingLatency": {**TIMES, "count": 0},
    "queueDepth": {
        "runningRuns": 4,
        "pendingRuns": 3,
        "runningSteps": 4,
        "scheduledSteps": 2,
        "oldestScheduledStepUs": NOW_US - 3 * S,
    },
    "workerStability": {"totalReclamations": 1},
}
NOTE = {"code": "running", "severity": "well", "sentence": "`a` has been running for 3 s (attempt 1)", "stepId": "a"}
LATE = {"code": "wake-up-lost", "severity": "late", "sentence": "`b` waits; the sweep in 12 s", "untilUs": NOW_US}
STUCK = {"code": "reaper-silent", "severity": "stuck", "sentence": "the reaper has been silent", "cure": "see its log"}
SICK = {"runId": RUN_ID, "workflowSlug": "mishaps", "isWell": False, "findings": [LATE, NOTE]}
LETTER = {
    "messageId": "m-1",
    "sentAtUs": NOW_US - 60 * S,
    "receiveCount": 6,
    "body": "{}",
    "runId": RUN_ID,
    "stepId": "a",
}
ATTEMPT = {
    "attemptNumber": 1,
    "status": "failed",
    "workerId": "worker-1",
    "startedAtUs": NOW_US - 9 * S,
    "durationUs": 1_500_000,
    "resourceUsage": {"peakMemoryBytes": 84_000_000, "cpuTimeTotalUs": 170_000},
    "error": {"name": "ValueError", "message": "no such row", "stack": GROUP["sampleStack"]},
    "failureReason": "execution-error",
    "nextRetryAtUs": NOW_US,
}
LOST = {
    "attemptNumber": 2,
    "status": "reclaimed",
    "workerId": "worker-2",
    "startedAtUs": NOW_US,
    "reclaimedBy": "reaper",
}
STEP = {
    **step("check", "read", status="failed", attemptNumber=2),
    "input": {"input": {"a": 1}, "outputs": {"read": "rows"}},
    "output": None,
    "attempts": [ATTEMPT, LOST],
}


@pytest.fixture(autouse=True)
def answers(api: Api) -> Any:
    first = {"runs": [SICK], "engine": [], "lookedAt": 50, "nextCursor": "7"}
    last = {"runs": [], "engine": [STUCK], "lookedAt": 2}
    api.routes["GET /diagnosis"] = [(200, first), (200, last)]
    api.routes[f"GET /runs/{RUN_ID}/diagnosis"] = (200, {**SICK, "engine": []})
    api.routes["GET /analytics/summary"] = (200, SUMMARY)
    api.routes["GET /analytics/errors"] = (
        200,
        {"errors": [GROUP, {**GROUP, "fingerprint": FINGERPRINTS[1]}], "total": 2},
    )
    for fingerprint in FINGERPRINTS:
        api.routes[f"GET /analytics/errors/{fingerprint.replace(':', '%3A')}"] = (200, DETAIL)
    api.routes["GET /workers"] = (200, WORKERS)
    api.routes["GET /dead-letters"] = (200, {"deadLetters": [LETTER], "approximateCount": 3})
    api.routes["POST /dead-letters/redrive"] = [
        (200, {"count": 2, "remaining": 1}),
        (200, {"count": 1, "remaining": 0}),
        (200, {"count": 0, "remaining": 0}),
    ]
    api.routes[f"GET /runs/{RUN_ID}/steps/check"] = (200, STEP)
    with clock.use(clock.SteppingClock(NOW_US)):
        yield


def test_the_doctor_tells_what_is_late_piece_by_piece(api: Api, cascade: Cascade) -> None:
    done = cascade("doctor")
    assert done.status == exits.NOT_AS_PROMISED
    assert f"{RUN_ID}  mishaps\n  ! `b` waits; the sweep in 12 s\n" in done.out
    assert "running for 3 s" not in done.out, "what is well is told of a run that was named"
    assert "the engine\n  ✗ the reaper has been silent\n    → see its log" in done.out
    assert "52 runs under way: 1 late or stuck." in done.out
    assert [asked for asked, _ in api.asked] == ["GET /diagnosis", "GET /diagnosis?cursor=7", "GET /schedules"]


def test_the_doctor_looks_at_no_more_than_it_is_told(api: Api, cascade: Cascade) -> None:
    done = cascade("doctor", "--limit", "10")
    assert "50 runs under way, of more (--limit): 1 late or stuck." in done.out
    assert [asked for asked, _ in api.asked] == ["GET /diagnosis", "GET /schedules"]


def test_the_doctor_answers_json(cascade: Cascade) -> None:
    told = {"runs": [SICK], "engine": [STUCK], "schedules": [], "lookedAt": 52, "isWhole": True}
    assert cascade("doctor", "--json").json == told
    assert cascade("doctor", RUN_ID, "--json").json == {**SICK, "engine": []}


def test_all_is_well_where_nothing_is_late(api: Api, cascade: Cascade) -> None:
    api.routes["GET /diagnosis"] = (200, {"runs": [], "engine": [], "lookedAt": 2})
    assert (cascade("doctor").status, cascade("doctor").out) == (exits.OK, "2 runs under way: all is well.\n")
    api.routes["GET /diagnosis"] = (200, {"runs": [], "engine": [], "lookedAt": 0})
    assert cascade("doctor").out == "No run is under way.\n"
    api.routes[f"GET /runs/{RUN_ID}/diagnosis"] = (200, {**SICK, "isWell": True, "findings": [NOTE], "engine": []})
    done = cascade("doctor", RUN_ID)
    assert (done.status, "✓ `a` has been running" in done.out) == (exits.OK, True)


def client_of(api: Api) -> Client:
    return Client(api.url, region="us-east-1", session=StaticKeys("k", "s"))


def test_a_preflight_adds_its_pieces_up(api: Api) -> None:
    broken = {"runId": RUN_ID, "workflowSlug": "orders", "stepIds": ["payment"]}
    pieces = [
        {"unaffected": 2, "changed": 1, "broken": [broken], "nextCursor": "9"},
        {"unaffected": 1, "changed": 0, "broken": []},
    ]
    api.routes["POST /preflight"] = [(200, piece) for piece in pieces]
    declared = Declared(
        workflow_slug="orders", name="Orders", location="orders.py", steps=1, version_id="v2", step_ids=["total"]
    )
    with client_of(api) as client:
        found = preflight.effect_of(client, [declared])
    assert found == {"unaffected": 3, "changed": 1, "broken": [broken]}
    planned = {"workflows": [{"workflowSlug": "orders", "versionId": "v2", "stepIds": ["total"]}]}
    assert [body for _, body in api.asked] == [planned, {**planned, "cursor": "9"}]


def test_stats_sum_a_range_up(api: Api, cascade: Cascade) -> None:
    runs = [{**FAILED["run"], "createdAtUs": NOW_US - S}, {**FAILED["run"], "createdAtUs": NOW_US - 43_100 * S}]
    api.routes["GET /runs"] = (200, {"runs": runs})
    done = cascade("stats", "--workflow", "mishaps")
    assert (done.status, done.err) == (exits.OK, "")
    assert "8 ended: 6 completed (75.0 %), 2 failed, 0 cancelled" in done.out
    assert f"{'·' * 24}█{'·' * 22}█  2" in done.out
    assert "5.2 runs and 1,204 steps an hour" in done.out
    for line in ("runs took", "steps took"):
        assert f"{line}" in done.out
    assert "1.0 s   2.0 s   3.0 s     4.0 s" in done.out
    assert "4 running, 2 scheduled, the oldest since 3.0 s" in done.out
    assert "1 at work; 1 step taken from workers that fell silent" in done.out
    assert "ValueError: no such row" in done.out
    since = NOW_US - 86_400 * S
    assert f"GET /analytics/summary?startUs={since // 10**9}" in api.asked[0][0]
    assert "workflow=mishaps" in api.asked[0][0]


def test_stats_answer_json(cascade: Cascade) -> None:
    found = cascade("stats", "--since", "1h", "--json").json
    assert found["successRate"] == SUMMARY["successRate"]
    assert (found["errors"][0], found["workers"]) == (GROUP, [WORKER])


def test_too_many_runs_are_not_drawn(api: Api, cascade: Cascade) -> None:
    api.routes["GET /runs"] = (200, {"runs": [FAILED["run"]], "nextCursor": "1~a"})
    assert "submitted" not in cascade("stats").out


def test_errors_are_listed_and_named_by_a_beginning(api: Api, cascade: Cascade) -> None:
    done = cascade("errors", "--since", "7d")
    assert "7      2   10 s ago   ValueError: no such row   aaaa:bbbb:cccc" in done.out
    assert cascade("errors", "--json").json["errors"][0] == GROUP
    shown = cascade("errors", "aaaa:bbbb")
    assert shown.status == exits.OK
    assert FINGERPRINTS[0] in shown.out
    assert 'File "check.py", line 3, in check' in shown.out
    assert f"cascade step {RUN_ID} check" in shown.out
    assert cascade("errors", FINGERPRINTS[1], "--json").json == DETAIL
    for wrong, said in {"aaaa": "2 fingerprints begin", "zz": "no error of this range"}.items():
        refused = cascade("errors", wrong)
        assert (refused.status, said in refused.err) == (exits.WRONG_USE, True)
    api.routes["GET /analytics/errors"] = (200, {"errors": [], "total": 0})
    assert cascade("errors", "--since", "1h").out == "Nothing failed within 1h.\n"


def test_workers_are_listed_with_what_they_do(api: Api, cascade: Cascade) -> None:
    done = cascade("workers", "--all")
    assert f"check of {RUN_ID}, for 5.0 s" in done.out
    assert "worker-1   3 s ago      12        2      1" in done.out
    assert api.asked[-1][0] == "GET /workers?includeInactive=true"
    assert cascade("workers", "--json").json == WORKERS
    api.routes["GET /workers"] = (200, {**WORKERS, "workers": []})
    assert cascade("workers").out == "Nobody is at work.\n"


def test_dead_letters_are_listed_and_sent_again(api: Api, cascade: Cascade) -> None:
    done = cascade("dead-letters", "list")
    assert "about 3 dead letters" in done.out
    assert RUN_ID in done.out
    assert cascade("dead-letters", "list", "--json").json["deadLetters"] == [LETTER]
    sent = cascade("dead-letters", "redrive", "--yes", "--json")
    assert sent.json == {"count": 3, "remaining": 0}
    assert [body for asked, body in api.asked if asked.startswith("POST")] == [{"limit": 3}, {"limit": 1}]


def test_a_step_is_shown_with_each_attempt(cascade: Cascade) -> None:
    done = cascade("step", RUN_ID, "check")
    assert done.status == exits.OK
    for said in (
        "✗ attempt 1 failed (execution-error)",
        "worker-1",
        "took 1.5 s",
        "84.0 MB of memory at most, 170 ms of CPU",
        'File "check.py", line 3, in check',
        "↯ attempt 2 reclaimed",
        "its worker fell silent; reaper took the step from it",
        "from read  rows",
    ):
        assert said in done.out, said
    assert cascade("step", RUN_ID, "check", "--json").json == STEP
    assert cascade("step", RUN_ID, "nothing").status == exits.NOT_THERE


def test_an_attempt_that_its_worker_gave_back_is_told_as_such(api: Api, cascade: Cascade) -> None:
    lost = next(attempt for attempt in STEP["attempts"] if "reclaimedBy" in attempt)
    own = {**STEP, "attempts": [{**lost, "reclaimedBy": lost["workerId"]}]}
    api.routes[f"GET /runs/{RUN_ID}/steps/check"] = (200, own)
    assert "its worker gave it back, which is no try" in cascade("step", RUN_ID, "check").out


@pytest.mark.parametrize(
    ("values", "line"), [([], ""), ([0, 0], "··"), ([1], "█"), ([1, 4, 8], "▁▄█"), ([0, 7, 8], "·▇█")]
)
def test_a_sparkline_is_as_high_as_its_values(values: list[int], line: str) -> None:
    assert charts.sparkline(values) == line


def test_buckets_hold_what_falls_into_them() -> None:
    times = [0, 9, 10, 99, 100, -1, 101]
    assert charts.buckets(times, since_us=0, until_us=100, number=10) == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["runs", "--since", "99999999d"], exits.OK),
        (["stats", "--since", "99999999d"], exits.OK),
        (["stats", "--since", "-5s"], exits.WRONG_USE),
        (["stats", "--since", ""], exits.WRONG_USE),
        (["errors", ""], exits.WRONG_USE),
        (["errors", "a:b:c:d"], exits.WRONG_USE),
        (["errors", "--grouping", "nix"], exits.WRONG_USE),
        (["step", RUN_ID, ""], exits.WRONG_USE),
        (["step", RUN_ID, "a/../b"], exits.WRONG_USE),
        (["step", "../x", "check"], exits.WRONG_USE),
        (["doctor", "no id!"], exits.WRONG_USE),
        (["doctor", "--limit", "0"], exits.WRONG_USE),
        (["dead-letters"], exits.WRONG_USE),
        (["dead-letters", "frob"], exits.WRONG_USE),
        (["dead-letters", "list", "--limit", "x"], exits.WRONG_USE),
        (["workers", "more"], exits.WRONG_USE),
        (["preflight", "more"], exits.WRONG_USE),
    ],
)
def test_whatever_is_typed_ends_in_order(cascade: Cascade, arguments: list[str], status: int) -> None:
    done = cascade(*arguments)
    assert done.status == status
    assert "Traceback" not in done.err
    assert len(done.err.splitlines()) <= 1
