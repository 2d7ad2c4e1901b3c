"""The microsecond at which one finding becomes another, and how the rarer ones are said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.engine.children_findings import waits_for_children
from cascade_flow.engine.diagnosis import Room, World, diagnosed, diagnosed_engine, pool_of, remaining_steps
from cascade_flow.engine.findings import Finding, Sweeps, instant, listed
from cascade_flow.engine.limits import Waiting
from cascade_flow.engine.state import Branch, Family, Limit, Owed, Patience, Stop, Up
from cascade_flow.engine.undoing import Done, Undoing
from cascade_flow.graph import END, Graph, body_of
from cascade_flow.model.workflows import ChildrenDefinition
from unit.engine.facts import NOW_US, TIMING, run_of, step
from unit.engine.test_diagnosis import (
    FULL,
    JOIN,
    RETRYING,
    RUNNING,
    SWEEPS,
    WAITING,
    WORLD,
    S,
    case,
    due,
    finding,
    in_pool,
    waiting_case,
)

GRACE_US, LEASE_US = TIMING.grace_us, TIMING.lease_us
LATE = replace(due(NOW_US), available_at_us=NOW_US - 10 * S)
SILENT = replace(WORLD, sweeps=Sweeps(NOW_US - 360 * S, 60 * S))
SKIPPING = Branch("c", "skipping", "c")


def told(*branches: Branch, world: World = WORLD, **known: Any) -> list[tuple[str, str]]:
    return [(found.code, found.severity) for found in diagnosed(case(*branches, **known), world, NOW_US)]


def alone(*branches: Branch, world: World = WORLD, **known: Any) -> Finding:
    [found] = diagnosed(case(*branches, **known), world, NOW_US)
    return found


@pytest.mark.parametrize(("in_us", "code"), [(0, "past-deadline"), (1, "running")])
def test_a_runs_time_is_over_at_its_deadline(in_us: int, code: str) -> None:
    assert alone(RUNNING, deadline_us=NOW_US + in_us).code == code


@pytest.mark.parametrize(("in_us", "code"), [(0, "start-overdue"), (1, "delayed")])
def test_a_run_is_overdue_from_when_it_is_due(in_us: int, code: str) -> None:
    assert alone(status="pending", available_at_us=NOW_US + in_us).code == code


@pytest.mark.parametrize(
    ("in_us", "severity"), [(None, "late"), (0, "late"), (1, "well"), (GRACE_US, "well"), (GRACE_US + 1, "late")]
)
def test_somebody_is_about_it_for_a_grace(in_us: int | None, severity: str) -> None:
    due_us = None if in_us is None else NOW_US + in_us
    found = alone(replace(SKIPPING, due_us=due_us))
    assert (found.code, found.severity, found.step_id) == ("skip-unfinished", severity, "c")
    assert found.sentence.startswith(
        "`c` is to be skipped: somebody" if severity == "well" else "`c` is to be skipped, "
    )


@pytest.mark.parametrize(("in_us", "code"), [(0, "lease-over"), (1, "running")])
def test_a_worker_lives_until_its_lease_ends(in_us: int, code: str) -> None:
    assert alone(replace(RUNNING, lease_us=NOW_US + in_us)).code == code


def test_who_holds_nothing_for_how_long_has_no_lease() -> None:
    assert alone(replace(RUNNING, lease_us=None)).code == "lease-over"


@pytest.mark.parametrize(("ago_us", "code"), [(LEASE_US // 2, "running"), (LEASE_US // 2 + 1, "worker-silent")])
def test_a_worker_may_be_dead_after_half_a_lease(ago_us: int, code: str) -> None:
    assert alone(replace(RUNNING, heartbeat_us=NOW_US - ago_us, started_at_us=NOW_US - 2 * LEASE_US)).code == code


@pytest.mark.parametrize(
    ("ago_us", "code"), [(-1, "step-delayed"), (0, "queued"), (GRACE_US, "queued"), (GRACE_US + 1, "wake-up-lost")]
)
def test_a_step_waits_for_a_grace_before_its_wake_up_is_lost(ago_us: int, code: str) -> None:
    assert alone(replace(LATE, available_at_us=NOW_US - ago_us)).code == code


@pytest.mark.parametrize(("in_us", "code"), [(2 * GRACE_US - 1, "wake-up-lost"), (2 * GRACE_US, "nobody-takes-it")])
def test_what_was_called_out_twice_is_taken_by_nobody(in_us: int, code: str) -> None:
    assert alone(replace(LATE, due_us=(LATE.available_at_us or 0) + in_us)).code == code


def test_nobody_calls_out_again_where_no_sweep_comes() -> None:
    found = alone(replace(LATE, due_us=NOW_US), world=SILENT)
    assert (found.code, found.severity, found.until_us) == ("wake-up-lost", "stuck", None)


@pytest.mark.parametrize(
    ("running", "concurrency", "code"),
    [(7, 8, "wake-up-lost"), (8, 8, "concurrency-used-up"), (9, 8, "concurrency-used-up"), (9, None, "wake-up-lost")],
)
def test_what_may_run_at_once_is_used_up(running: int, concurrency: int | None, code: str) -> None:
    world = replace(WORLD, usual=Room(running, concurrency))
    assert alone(replace(LATE, due_us=NOW_US - 9 * S), world=world).code == code
    codes = [found.code for found in diagnosed_engine(world, NOW_US)]
    assert codes == (["concurrency-used-up"] if code == "concurrency-used-up" else [])


@pytest.mark.parametrize(
    ("priority", "usual", "urgent", "cure"),
    [
        (1, 8, None, "raise WorkerConcurrency"),
        (1, 8, 1, None),
        (1, 1, 2, "raise UrgentConcurrency"),
        (0, 8, 1, "raise WorkerConcurrency"),
        (0, 1, 2, None),
        (-1, 1, 2, None),
        (None, 1, 2, None),
    ],
)
def test_an_urgent_run_has_a_room_of_its_own(
    priority: int | None, usual: int, urgent: int | None, cure: str | None
) -> None:
    room = None if urgent is None else Room(urgent, 2, urgent=True)
    world = replace(WORLD, usual=Room(usual, 8), urgent=room)
    found = alone(replace(LATE, due_us=NOW_US - 9 * S, priority=priority), world=world)
    assert (found.code == "concurrency-used-up") == (cure is not None)
    assert cure is None or cure in str(found.cure)


@pytest.mark.parametrize(("silent_s", "is_silent"), [(150, False), (151, True)])
def test_a_reaper_is_silent_after_two_sweeps_and_some_patience(silent_s: int, is_silent: bool) -> None:
    sweeps = Sweeps(NOW_US - silent_s * S, 60 * S)
    assert sweeps.silent_us(NOW_US) == (silent_s * S if is_silent else 0)
    assert sweeps.silent_us(NOW_US - (silent_s - 150) * S) == 0


def test_who_owes_and_works_is_left_to_work() -> None:
    working = replace(RUNNING, owed=Owed(("c",)))
    assert told(working) == [("running", "well")]
    assert told(replace(working, lease_us=NOW_US)) == [("branches-owed", "late"), ("lease-over", "late")]


def test_what_is_stopped_is_not_told() -> None:
    assert told(replace(SKIPPING, halt="stop"), RETRYING) == [("retrying", "waits")]
    assert told(replace(SKIPPING, halt="stop")) == [("stalled", "stuck")]


def test_who_may_only_park_is_told() -> None:
    assert told(replace(SKIPPING, halt="park")) == [("skip-unfinished", "late")]


FAILED, TIMED_OUT, CANCELLED = Stop("failed", 1, "a"), Stop("timeout", 1), Stop("cancelled", 1)


@pytest.mark.parametrize(
    ("stop", "branch", "said", "step_id"),
    [
        (FAILED, RUNNING, "the run is failing, since `a` failed, and ends when `c` is done", "c"),
        (FAILED, replace(RUNNING, lease_us=NOW_US), "the run is failing, since `a` failed: somebody is about it", None),
        (TIMED_OUT, RUNNING, "the run has run out of time: somebody is about it", None),
        (CANCELLED, RUNNING, "the run is being cancelled: somebody is about it", None),
    ],
)
def test_only_a_failure_waits_for_who_runs(stop: Stop, branch: Branch, said: str, step_id: str | None) -> None:
    found = alone(branch, stop=stop, due_us=NOW_US + S)
    assert (found.sentence, found.step_id) == (said, step_id)
    assert found.code == ("stopping" if step_id else "stop-unfinished")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("completed", "the run has completed"),
        ("failed", "the run has failed: nothing of it is under way"),
        ("cancelled", "the run was cancelled: nothing of it is under way"),
    ],
)
def test_what_is_over_is_told_and_what_may_follow(status: Any, said: str) -> None:
    found = alone(RUNNING, status=status, graph=None, driver="caller")
    assert (found.code, found.severity, found.sentence) == ("over", "well", said)
    assert ("`cascade retry run`" in found.cure) == (status != "completed")


@pytest.mark.parametrize(
    ("status", "code", "severity"), [("failed", "undo-failed", "stuck"), ("cancelled", "over", "well")]
)
def test_only_an_undo_that_has_failed_is_stuck(status: Any, code: str, severity: str) -> None:
    found = alone(RUNNING, status=status, undoing=Undoing("first", (Done("a", None),)))
    assert (found.code, found.severity) == (code, severity)


@pytest.mark.parametrize(("counted", "over"), [(0, 3), (3, 3), (4, 4), (6, 5)])
def test_of_the_children_those_are_over_that_are_counted_or_found(counted: int, over: int) -> None:
    family = Family(5, 5, 5, 1, 5, made=5, out=((3, 4),))
    parent = Branch("m", "waiting", "m", family=family, arrived=counted)
    assert f"{over} of 5 are over" in waits_for_children(parent, []).sentence


def test_the_child_that_is_worst_off_is_told() -> None:
    parent = Branch("m", "waiting", "m", family=Family(2, 2, 2, 1, 2, made=2, out=((0, 1),)))
    known = [
        (run_of(), Finding("running", "well", "it runs")),
        (run_of(), Finding("lost", "stuck", "it is lost", step_id="a")),
    ]
    found = waits_for_children(parent, known)
    assert (found.severity, found.sentence.endswith("it is lost")) == ("stuck", True)
    assert found.step_id == "m", "it is the parent that waits"


def test_what_a_limited_step_waits_for_is_told_wherever_on_its_branch_it_is() -> None:
    along = Branch("a", "scheduled", "b", available_at_us=NOW_US - S, due_us=NOW_US)
    known = replace(case(along), waits={"a": Waiting(Limit("stripe", 3), taken=3, before=1)})
    assert "waits-for-place" in [found.code for found in diagnosed(known, WORLD, NOW_US)]


@pytest.mark.parametrize(("items", "named"), [(2, "item 1 (r~m~1): it runs"), (5, "; r~m~1: it runs")])
def test_a_child_is_named_by_its_item_where_it_does_one(items: int, named: str) -> None:
    parent = Branch("m", "waiting", "m", family=Family(items, 2, 2, 1, 2, made=2, out=((0, 1),)))
    child = replace(run_of(), run_id="r~m~1", up=Up("r", "m", "m", 1, is_item=True))
    for known in ([], [(child, Finding("running", "well", "it runs"))]):
        assert waits_for_children(parent, known).step_id == "m"
    assert named in waits_for_children(parent, known).sentence


@pytest.mark.parametrize(("version", "what"), [(None, "its items: 0 of 1 are over"), ("v2", "its workflow's run")])
def test_an_only_item_is_no_workflows_run(version: str | None, what: str) -> None:
    parent = Branch("m", "waiting", "m", family=Family(1, 1, 1, 1, 1, version, made=1, out=((0, 0),)))
    assert waits_for_children(parent, []).sentence.endswith(what)


@pytest.mark.parametrize(("in_us", "code"), [(0, "event-timed-out"), (1, "waits-for-event")])
def test_an_event_is_waited_for_until_its_time_is_over(in_us: int, code: str) -> None:
    [found] = diagnosed(waiting_case(replace(WAITING, patience=Patience(NOW_US + in_us, 1))), WORLD, NOW_US)
    assert found.code == code


@pytest.mark.parametrize(("held_us", "left"), [(0, "a b c j last"), (1, "a b j last")])
def test_what_a_live_worker_holds_is_no_longer_to_be_begun(held_us: int, left: str) -> None:
    known = case(replace(RUNNING, lease_us=NOW_US + held_us), Branch(END, "open", END))
    assert " ".join(remaining_steps(known, NOW_US)) == left


def test_a_run_that_waits_is_told_what_the_code_has_no_more() -> None:
    delayed = {"status": "pending", "available_at_us": NOW_US + S}
    assert told(deployed=frozenset("abc"), **delayed) == [("step-gone", "stuck"), ("delayed", "waits")]
    found = diagnosed(case(deployed=frozenset("abc"), **delayed), WORLD, NOW_US)[0]
    assert (found.step_id, "`j` and `last`" in found.sentence) == ("j", True)


def test_what_is_gone_matters_only_where_something_is_left() -> None:
    done = (*FULL.values(), Branch("j", "ended", "last"))
    assert told(*done, deployed=None) == [("stalled", "stuck")]
    assert told(RUNNING, deployed=frozenset("abj") | {"last"}) == [("running", "well")]


def test_who_dies_over_a_retry_and_over_the_first_steps_leaves_both() -> None:
    codes = told(RETRYING, reviving=True, owed=0, due_us=NOW_US - S)
    assert codes == [("retry-unfinished", "late"), ("roots-owed", "late"), ("retrying", "waits")]


def over(*names: str) -> list[Branch]:
    """These branches, ended at their first step."""
    return [Branch(name, "ended", name) for name in names]


def busy(name: str) -> Branch:
    return Branch(name, "running", name, started_at_us=NOW_US - 5 * S)


def waits(name: str) -> Branch:
    return Branch(name, "open", name, due_us=NOW_US + S)


ENDS = Graph([step("a"), step("c"), step("j", "a", "c"), step("k", "j", "c")])
LONGER = Graph([*ENDS.steps.values(), step("l", "k", "c")])
TWO_ENDS = Graph([step("a"), step("b")])


@pytest.mark.parametrize(
    ("graph", "branches", "said", "step_id"),
    [
        (
            TWO_ENDS,
            [*over("a"), busy("b"), waits(END)],
            "the run's end waits for `b`, which has been running for 5 s (attempt 1)",
            None,
        ),
        (TWO_ENDS, [*over("a"), waits(END)], "the run's end waits for `b`", None),
        (
            TWO_ENDS,
            [*over("a"), Branch("b", "parked", "b"), waits(END)],
            "all that the run's end waits for is there: somebody is about it",
            None,
        ),
        (
            TWO_ENDS,
            [*over("a"), Branch("b", "failed", "b"), waits(END)],
            "the run's end waits for `b`, which stands failed",
            None,
        ),
        (
            ENDS,
            [busy("a"), *over("c"), waits("k")],
            "`k` waits for `j`, and so for `a`, which has been running for 5 s (attempt 1)",
            "k",
        ),
        (
            LONGER,
            [busy("a"), *over("c"), waits("l")],
            "`l` waits for `k`, and so for `a`, which has been running for 5 s (attempt 1)",
            "l",
        ),
        (ENDS, [*over("a", "c"), waits("j"), waits("k")], "`k` waits for `j`, which waits itself", "k"),
        (
            ENDS,
            [*over("a", "c"), Branch("j", "skipping", "j"), waits("k")],
            "`k` waits for `j`, which is to be skipped",
            "k",
        ),
        (
            ENDS,
            [*over("a"), Branch("c", "scheduled", "c", available_at_us=NOW_US - S), waits("j")],
            "`j` waits for `c`, which is due, and waits for a worker for 1 s",
            "j",
        ),
    ],
)
def test_who_waits_is_told_for_whom(graph: Graph, branches: list[Branch], said: str, step_id: str | None) -> None:
    found = diagnosed(case(*branches, graph=graph, deployed=frozenset("abcjkl")), WORLD, NOW_US)
    assert (said, step_id) in [(each.sentence, each.step_id) for each in found]


def test_a_join_waits_until_its_blocker_may_be_taken() -> None:
    later, now = (replace(RETRYING, available_at_us=NOW_US + us) for us in (1, 0))
    for blocker, until_us in ((later, NOW_US + 1), (now, None)):
        found = finding(diagnosed(case(blocker, JOIN, FULL["c"]), WORLD, NOW_US), "waits-for")
        assert found.until_us == until_us


@pytest.mark.parametrize(("at_work", "said"), [(1, "run 1 step already"), (2, "run 2 steps already")])
def test_workers_of_a_pool_are_busy_with_a_step_or_more(at_work: int, said: str) -> None:
    found = alone(LATE, world=replace(WORLD, pools={"gpu": at_work}), graph=in_pool("gpu"))
    assert (found.code, found.step_id) == ("pool-busy", "c")
    assert said in found.sentence


def test_items_are_for_the_workers_of_a_maps_pool_and_who_hands_them_out_for_any() -> None:
    declared = step("m", "a", executor="gpu", children=ChildrenDefinition(kind="map", over="a"))
    graph = Graph([step("a"), declared])
    assert (pool_of(graph, "m"), pool_of(body_of(graph, "m"), "m")) == (None, "gpu")


def test_what_waits_for_a_pool_is_told_with_its_step() -> None:
    found = alone(LATE, graph=in_pool("gpu"))
    assert (found.code, found.step_id, found.until_us) == ("no-worker-of-pool", "c", None)


@pytest.mark.parametrize(
    ("due_us", "sweep_us"),
    [
        (None, NOW_US + 12 * S),
        (0, NOW_US + 12 * S),
        (NOW_US + 12 * S, NOW_US + 12 * S),
        (NOW_US + 12 * S + 1, NOW_US + 72 * S),
    ],
)
def test_the_sweep_that_mends_it_is_the_first_after_its_time(due_us: int | None, sweep_us: int) -> None:
    assert alone(replace(SKIPPING, due_us=due_us)).until_us == sweep_us
    assert SWEEPS.first_after(due_us or NOW_US, NOW_US) == sweep_us


def test_a_worker_without_a_due_time_is_found_after_its_lease() -> None:
    lost = replace(RUNNING, lease_us=NOW_US - S, due_us=None)
    assert alone(lost).until_us == NOW_US + 12 * S


HOUR_S, NOON_US = 3_600, NOW_US + 4 * 3_600 * S


@pytest.mark.parametrize(
    ("in_s", "said"),
    [
        (0, "12:00:00 UTC"),
        (119, "12:01:59 UTC"),
        (120, "12:02 UTC"),
        (-119, "11:58:01 UTC"),
        (-120, "11:58 UTC"),
        (11 * HOUR_S, "23:00 UTC"),
        (12 * HOUR_S, "2027-01-16 00:00 UTC"),
        (-13 * HOUR_S, "2027-01-14 23:00 UTC"),
    ],
)
def test_an_instant_is_said_as_people_say_it(in_s: int, said: str) -> None:
    assert instant(NOON_US + in_s * S, NOON_US) == said


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("a", "`a`"),
        ("ab", "`a` and `b`"),
        ("abc", "`a`, `b` and `c`"),
        ("abcd", "`a`, `b`, `c` and 1 more"),
        ("abcdef", "`a`, `b`, `c` and 3 more"),
    ],
)
def test_steps_are_listed_up_to_three(steps: str, said: str) -> None:
    assert listed(list(steps)) == said


def test_a_run_that_nobody_moves_is_stuck_also_where_its_code_is_gone() -> None:
    assert [code for code, _ in told(deployed=None)] == ["workflow-gone", "stalled"]
