"""What is said of maps and sub-workflows: a line with a bar, failures by item, and the way into a run of theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cascade_flow import clock
from cascade_flow.cli.families import Counts, bar
from cascade_flow.cli.progress import picture
from cascade_flow.cli.views import RunView
from cascade_flow.cli.watching import changes
from unit.cli.conftest import Api, Done, problem
from unit.cli.documents import NOW_US, RUN_ID, WORKFLOW, document, error, step

Cascade = Callable[..., Done]
CHILD_ID = f"{RUN_ID}~pack~17"


def pack(status: str = "running", **told: Any) -> Any:
    """A map over 500 items, of which 312 are over."""
    children = {"kind": "map", "over": "lines", "concurrency": 50, "batch": 1, "tolerate": 0.02}
    counts = {"items": 500, "runs": 500, "begun": 362, "ended": 312, "failedItems": 2}
    return step("pack", "lines", status=status, children={**children, **counts, **told}, startedAtUs=NOW_US)


def child(number: int, status: str, **told: Any) -> Any:
    return {"number": number, "runId": f"{RUN_ID}~pack~{number}", "status": status, "firstItem": number, **told}


def growing(*steps: Any, **told: Any) -> Any:
    return document(step("lines", status="completed"), *(steps or [pack()]), **told)


@pytest.fixture(autouse=True)
def now() -> Any:
    with clock.use(clock.SteppingClock(NOW_US)):
        yield


@pytest.fixture
def growth(api: Api) -> Api:
    """A run with a map, one of whose items is tried again, and two of which have failed; and one of these runs."""
    api.routes[f"GET /runs/{RUN_ID}"] = (200, growing())
    api.routes[f"GET /runs/{RUN_ID}/steps"] = (200, {"steps": growing()["steps"]})
    failed = [child(n, "failed", error=error("ValueError", "no stock")) for n in (17, 30)]
    running = [child(312, "running", attemptNumber=2, isRetrying=True), child(313, "running", attemptNumber=1)]
    pages = [(200, {"children": running}), (200, {"children": failed})]
    api.routes[f"GET /runs/{RUN_ID}/children/pack"] = [*pages, (200, {"children": []})]
    api.routes[f"GET /runs/{CHILD_ID}"] = (200, document(step("pack", status="failed"), run_id=CHILD_ID))
    return api


def test_show_draws_a_map_and_names_what_failed(growth: Api, cascade: Cascade) -> None:
    shown = " ".join(cascade("show", RUN_ID).out.split())
    assert "310 of 500 done, 49 running, 1 retrying, 2 failed, 138 waiting" in shown
    assert "item 17: ValueError: no stock; item 30: ValueError: no stock" in shown
    asked = [target for target, _ in growth.asked if "/children/" in target]
    assert [target.partition("?")[2] for target in asked] == ["status=running", "status=failed"]


def test_a_map_is_one_line_of_the_tree_with_what_failed_below() -> None:
    failures = [child(17, "failed", error=error("ValueError", "no stock"))]
    lines = picture(
        RunView(growing(pack(failures=failures, retrying=1)), NOW_US), width=120, height=20, moving=False
    ).plain.splitlines()
    assert sum("pack" in line for line in lines) == 1
    assert any("310 of 500 done" in line for line in lines)
    assert any("item 17: ValueError: no stock" in line for line in lines)


def test_the_rest_of_many_failures_is_only_counted_on() -> None:
    failures = [child(n, "failed", error=error("ValueError", "no")) for n in range(4)]
    told = list(changes(None, RunView(growing(pack(failures=failures)), NOW_US)))[-1]
    assert "item 2: ValueError: no; and more" in told
    assert "item 3" not in told


def test_of_a_batch_the_items_are_named_together() -> None:
    failures = [child(2, "failed", error=error("BatchFailed", "3 items failed")) | {"firstItem": 40}]
    told = list(changes(None, RunView(growing(pack(failures=failures, batch=20, runs=25)), NOW_US)))[-1]
    assert "items 40 to 59: BatchFailed: 3 items failed" in told


def test_lines_come_with_each_tenth_of_a_map() -> None:
    views = [RunView(growing(pack(ended=ended, begun=ended + 10)), NOW_US) for ended in (0, 20, 60, 70, 110)]
    told = [[*changes(before, view)] for before, view in zip([None, *views], views, strict=False)]
    assert [len(lines) for lines in told[1:]] == [0, 1, 0, 1]


def test_a_sub_workflow_says_what_it_runs_and_where(api: Api, cascade: Cascade) -> None:
    children = {"kind": "workflow", "workflowSlug": "refunds"}
    api.routes[f"GET /runs/{RUN_ID}"] = (200, growing(step("back", status="running", children=children)))
    assert f"runs refunds: cascade show {RUN_ID}/back" in " ".join(cascade("show", RUN_ID).out.split())


@pytest.mark.parametrize(("verb", "rest"), [("show", ""), ("events", "/events"), ("logs", "/logs"), ("step", "/steps")])
def test_an_items_run_is_named_by_the_way_to_it(growth: Api, cascade: Cascade, verb: str, rest: str) -> None:
    growth.routes[f"GET /runs/{CHILD_ID}/events"] = (200, {"events": []})
    growth.routes[f"GET /runs/{CHILD_ID}/logs"] = (200, {"lines": []})
    growth.routes[f"GET /runs/{CHILD_ID}/steps/pack"] = (200, {**step("pack", status="failed"), "attempts": []})
    done = cascade(verb, f"{RUN_ID}/pack/17", *(["pack"] if verb == "step" else []))
    assert done.status == 0, done.err
    assert any(target.startswith(f"GET /runs/{CHILD_ID}{rest}") for target, _ in growth.asked)


def test_an_item_of_a_batch_is_in_the_batchs_run_and_the_way_goes_on_inside(api: Api, cascade: Cascade) -> None:
    steps = [pack(batch=20), step("pa/ck", status="running", children={"kind": "workflow", "workflowSlug": "refunds"})]
    inner = f"{RUN_ID}~pack~2"
    api.routes[f"GET /runs/{RUN_ID}/steps"] = (200, {"steps": steps})
    api.routes[f"GET /runs/{inner}/steps"] = (200, {"steps": steps})
    api.routes[f"GET /runs/{inner}~pa%3Ack~0"] = (200, document(step("x"), run_id=f"{inner}~pa:ck~0"))
    assert cascade("show", f"{RUN_ID}/pack/47/pa/ck").status == 0


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("pakc/17", "has no map or sub-workflow 'pakc/17'; it has pack"),
        ("pack", f"step 'pack' is a map: name one of its items, as in {RUN_ID}/pack/0"),
        ("pack/x", "is a map: name one of its items"),
        ("lines/3", "has no map or sub-workflow 'lines/3'"),
        ("pack/500", f"step 'pack' has 500 items, up to {RUN_ID}/pack/499: there is no 500"),
    ],
)
def test_a_way_that_leads_nowhere_is_told(growth: Api, cascade: Cascade, way: str, said: str) -> None:
    done = cascade("show", f"{RUN_ID}/{way}")
    assert done.status == 4
    assert said in " ".join(done.err.split())


def test_the_attempts_of_a_step_whose_work_runs_of_its_own_do_are_nobodys_business(api: Api, cascade: Cascade) -> None:
    """Its first one hands out, and the next one collects."""
    done = pack("completed", ended=500, begun=500, failedItems=0) | {"attemptNumber": 2, "maxAttempts": 3}
    api.routes[f"GET /runs/{RUN_ID}"] = (200, growing(done))
    api.routes[f"GET /runs/{RUN_ID}/children/pack"] = (200, {"children": []})
    api.routes[f"GET /runs/{RUN_ID}/events"] = (200, {"events": []})
    out = cascade("show", RUN_ID).out
    assert " of 3" not in next(line for line in out.splitlines() if line.startswith("pack"))


def test_a_step_that_is_tried_in_a_further_attempt_of_its_run_is_not_said_to_be_at_its_last_try(
    api: Api, cascade: Cascade
) -> None:
    again = step("lines", status="running", attemptNumber=5, maxAttempts=3, startedAtUs=NOW_US)
    api.routes[f"GET /runs/{RUN_ID}"] = (200, document(again))
    api.routes[f"GET /runs/{RUN_ID}/events"] = (200, {"events": []})
    out = cascade("show", RUN_ID).out
    row = next(line for line in out.splitlines() if line.startswith("lines"))
    assert (row.split()[3], " of " in row) == ("5", False), row


def test_what_the_engine_refuses_to_do_with_an_items_run_is_told(growth: Api, cascade: Cascade) -> None:
    refused = problem(409, "child-run", f"{CHILD_ID} does an item of run {RUN_ID}: cancel that")
    growth.routes[f"POST /runs/{CHILD_ID}/cancel"] = refused
    done = cascade("cancel", f"{RUN_ID}/pack/17")
    assert done.status != 0
    assert "cancel that" in done.err


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 900))
def test_a_bar_is_as_long_as_ever_and_hides_no_trouble(
    done: int, failed: int, running: int, retrying: int, waiting: int
) -> None:
    drawn = bar(Counts(done, failed, running, retrying, waiting))
    assert len(drawn) == 20
    assert ("✗" in drawn) == (failed > 0)
    assert ("▓" in drawn) == (running > 0)
    assert not (done + failed + running + retrying + waiting) or drawn.count("█") <= 20


def test_a_bar_is_in_proportion() -> None:
    assert bar(Counts(50, 0, 25, 0, 25)) == "█" * 10 + "▓" * 5 + "░" * 5
    assert bar(Counts(100, 0, 0, 0, 0)) == "█" * 20


def test_step_lists_the_runs_that_failed_or_go_on(growth: Api, cascade: Cascade) -> None:
    growth.routes[f"GET /runs/{RUN_ID}/steps/pack"] = (200, {**pack(), "attempts": []})
    failed = [child(17, "failed", error=error("ValueError", "no stock"))]
    running = [child(312, "running", attemptNumber=2, isRetrying=True)]
    growth.routes[f"GET /runs/{RUN_ID}/children/pack"] = [(200, {"children": failed}), (200, {"children": running})]
    rows = [" ".join(line.split()) for line in cascade("step", RUN_ID, "pack").out.splitlines()]
    assert f"{RUN_ID}/pack/17 ✗ failed ValueError: no stock" in rows
    assert f"{RUN_ID}/pack/312 ● retrying" in rows


@pytest.mark.parametrize(
    ("children", "said"),
    [
        (
            {"kind": "map", "over": "lines", "concurrency": 50, "batch": 20, "tolerate": 0.02},
            "for each of lines, 50 at once, 20 in a row, 0.02 of them may fail",
        ),
        (
            {"kind": "map", "over": "lines", "concurrency": 5, "batch": 1, "tolerate": 0.0},
            "for each of lines, 5 at once",
        ),
        ({"kind": "workflow", "workflowSlug": "refunds"}, "runs refunds"),
    ],
)
def test_workflows_say_what_grows(api: Api, cascade: Cascade, children: Any, said: str) -> None:
    grown = {"stepId": "pack", "name": "pack", "dependencies": ["lines"], "retry": [{}], "children": children}
    api.routes["GET /workflows/mishaps"] = (200, {**WORKFLOW, "steps": [grown]})
    assert said in " ".join(cascade("workflows", "mishaps").out.split())
