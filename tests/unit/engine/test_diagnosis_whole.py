"""Findings as a whole: each word and each field, where no two times, no branch and its step, are the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.engine.diagnosis import Case, Room, World, diagnosed, diagnosed_engine
from cascade_flow.engine.findings import Finding, Sweeps, instant
from cascade_flow.engine.limits import Waiting
from cascade_flow.engine.state import Branch, Family, Limit, Owed, Patience, Signal, Stop
from cascade_flow.engine.undoing import Done, Undoing
from cascade_flow.graph import Graph
from cascade_flow.model.workflows import EventDefinition
from unit.engine.facts import NOW_US, TIMING, run_of, step
from unit.engine.test_diagnosis import GRAPH, S, case, in_pool

DAY_S = 86_400
WORLD = World(TIMING, Sweeps(NOW_US - 48 * S, 60 * S), Room(1, 8))
SOON, LATER, ANY = NOW_US + S, NOW_US + 20 * S, NOW_US + 50 * S
NEXT_US = NOW_US + 72 * S
"""The sweep that finds what is due later, or at any other time that these cases name: that of now comes before."""
WORKER_LOG = "see the worker function's log and the dead letters (`cascade dead-letters list`)"
REAPER_LOG = "see whether the schedule calls the reaper function, and its log"
DIED = "and whoever was about it did not come to the end; the sweep in 72 s"
AT_B = Branch("a", "running", "b", 3, worker="w", lease_us=NOW_US + 8 * S, heartbeat_us=NOW_US - S, due_us=ANY)
AT_B = replace(AT_B, started_at_us=NOW_US - 9 * S, attempts_before=1)
WAITS_AT_B = Branch("a", "scheduled", "b", available_at_us=NOW_US - 10 * S, due_us=NOW_US - 7 * S)
EVENTS = Graph([step("a"), step("e", "a", event=EventDefinition())])
SENT = Signal("m", NOW_US, "signal", place="s3://there")
TURN = Waiting(Limit("openai", 3, 6 * S), taken=7, turn_us=NOW_US + 90 * S)
PLACE = Waiting(Limit("stripe", 5), taken=4, before=0)


def event(**known: Any) -> Case:
    branch = Branch("e", "open", "e", arrived=1, **known)
    return Case(run_of(due_us=NOW_US), {"a": Branch("a", "ended", "a"), "e": branch}, EVENTS, frozenset("ae"))


def parent(due_us: int | None, *children: Case) -> Case:
    family = Family(items=3, children=3, chunk=100, attempt=1, at_once=2)
    known = case(Branch("a", "waiting", "b", family=family, due_us=due_us), due_us=LATER)
    return replace(known, children={"a": children})


def swept(code: str, said: str, step_id: str | None = None) -> Finding:
    return Finding(code, "late", said, step_id=step_id, until_us=NEXT_US)


def at_hand(code: str, said: str, step_id: str | None = None) -> Finding:
    return Finding(code, "well", f"{said}: somebody is about it", step_id=step_id)


OF_RUNS: list[tuple[Case, Finding]] = [
    (
        case(deadline_us=NOW_US - S, due_us=LATER),
        swept("past-deadline", "the run's time is over; the sweep in 72 s ends it"),
    ),
    (
        case(status="pending", created_us=NOW_US - 90 * S, available_at_us=NOW_US - 5 * S, due_us=LATER),
        swept(
            "start-overdue",
            "the run should have started 5 s ago: its wake-up is late or lost; the sweep in 72 s starts it",
        ),
    ),
    (
        case(stop=Stop("timeout", 1), due_us=LATER),
        swept("stop-unfinished", f"the run has run out of time, {DIED} ends it"),
    ),
    (
        case(reviving=True, due_us=LATER),
        swept("retry-unfinished", f"the run is being tried again, {DIED} goes on with it"),
    ),
    (case(reviving=True, due_us=SOON), at_hand("retry-unfinished", "the run is being tried again")),
    (
        case(owed=0, due_us=LATER),
        swept("roots-owed", f"some of the first steps are still to be put under way, {DIED} does so"),
    ),
    (
        case(),
        Finding(
            "stalled",
            "stuck",
            "nothing of the run is under way, and nobody is to look at it: this should not be",
            "cancel the run, and resume it: `cascade resume run`",
        ),
    ),
    (
        replace(case(status="pending"), waits={"": Waiting(Limit("@flow", 5), taken=4, before=0)}),
        Finding(
            "waits-for-runs",
            "waits",
            "the run waits for another run of 'flow' to end (4 of 5 go on, 0 before it)",
        ),
    ),
    (
        case(AT_B, Branch("j", "running", "last", lease_us=SOON), stop=Stop("failed", 1, "c")),
        Finding(
            "stopping",
            "waits",
            "the run is failing, since `c` failed, and ends when `b` and `last` is done",
            step_id="b",
        ),
    ),
    (
        case(status="cancelled", undone_by="undo-1"),
        Finding(
            "undone",
            "well",
            "the run is cancelled for good: what it had done is undone by run undo-1",
            "see how that went (`cascade show undo-1`)",
        ),
    ),
    (
        case(status="failed", undoing=Undoing("first", (Done("a", None),))),
        Finding(
            "undo-failed",
            "stuck",
            "undoing run first has failed: what that had done, and is not undone yet, stands",
            "see why (`cascade show run`), mend it and try it again (`cascade retry run`); what you have undone by "
            "hand is passed over where its undo raises Skip",
        ),
    ),
]


@pytest.mark.parametrize(("known", "told"), OF_RUNS, ids=[each.code for _, each in OF_RUNS])
def test_what_is_said_of_a_run(known: Case, told: Finding) -> None:
    assert diagnosed(known, WORLD, NOW_US)[0] == told


OF_STEPS: list[tuple[Case, Finding]] = [
    (case(AT_B), Finding("running", "well", "`b` has been running for 9 s (attempt 3)", step_id="b")),
    (
        case(replace(AT_B, heartbeat_us=NOW_US - 6 * S, lease_us=NOW_US + 4 * S)),
        Finding(
            "worker-silent",
            "late",
            "worker w of `b` has been silent for 6 s, and may be dead: its lease ends in 4 s, "
            "and then another gets the step",
            step_id="b",
            until_us=NOW_US + 4 * S,
        ),
    ),
    (
        case(replace(AT_B, lease_us=NOW_US - S, due_us=LATER)),
        swept(
            "lease-over",
            "worker w fell silent 1 s ago while it ran `b`: its lease is over; the sweep in 72 s "
            "gives the step to another",
            "b",
        ),
    ),
    (
        case(Branch("a", "ended", "b", owed=Owed(("c",)), due_us=LATER), due_us=ANY),
        swept("branches-owed", f"what follows `b` is still to be put under way, {DIED} does so", "b"),
    ),
    (
        case(Branch("a", "ended", "b", owed=Owed(("c",)), due_us=SOON), due_us=ANY),
        at_hand("branches-owed", "what follows `b` is still to be put under way", "b"),
    ),
    (
        case(Branch("a", "skipping", "b", due_us=LATER)),
        swept("skip-unfinished", f"`b` is to be skipped, {DIED} does so", "b"),
    ),
    (
        case(replace(WAITS_AT_B, available_at_us=NOW_US)),
        Finding("queued", "well", "`b` is due, and waits for a worker for 0 s", step_id="b"),
    ),
    (
        case(replace(WAITS_AT_B, turn_us=NOW_US - S, due_us=NOW_US + 2 * S)),
        Finding("queued", "well", "`b` is due, and waits for a worker for 1 s", step_id="b"),
    ),
    (
        case(replace(WAITS_AT_B, turn_us=NOW_US - 4 * S, due_us=LATER)),
        Finding(
            "nobody-takes-it",
            "stuck",
            "`b` has waited for a worker for 4 s, was called out again, and nobody took it",
            WORKER_LOG,
            "b",
            LATER,
        ),
    ),
    (
        case(replace(WAITS_AT_B, turn_us=NOW_US - 4 * S, due_us=NOW_US - S)),
        Finding(
            "wake-up-lost",
            "late",
            "`b` has waited for a worker for 4 s: its wake-up is lost; the sweep in 12 s sends another",
            step_id="b",
            until_us=NOW_US + 12 * S,
        ),
    ),
    (
        case(replace(WAITS_AT_B, turn_us=ANY)),
        Finding("step-delayed", "waits", "`b` starts at 08:00:50 UTC (in 50 s)", step_id="b", until_us=ANY),
    ),
    (
        case(replace(WAITS_AT_B, available_at_us=ANY, attempt=2, attempts_before=1, laters=1)),
        Finding(
            "not-ready",
            "waits",
            "`b` is not ready, and asks again at 08:00:50 UTC (in 50 s), for the 2nd time",
            step_id="b",
            until_us=ANY,
        ),
    ),
    (
        case(replace(WAITS_AT_B, available_at_us=NOW_US - 100 * S, due_us=NOW_US - 10 * S)),
        Finding(
            "nobody-takes-it",
            "stuck",
            "`b` has waited for a worker for 100 s, was called out again, and nobody took it",
            WORKER_LOG,
            "b",
            NOW_US,
        ),
    ),
    (
        replace(case(WAITS_AT_B), waits={"a": TURN, "b": PLACE}),
        Finding(
            "waits-for-turn",
            "waits",
            "`b` waits for its turn at openai (3 in 6 s), 08:01:30 UTC (in 90 s)",
            step_id="b",
            until_us=NOW_US + 90 * S,
        ),
    ),
    (
        replace(case(WAITS_AT_B), waits={"a": PLACE}),
        Finding(
            "waits-for-place",
            "waits",
            "`b` waits for a place of stripe (4 of 5 taken, 0 before it)",
            step_id="b",
        ),
    ),
    (
        event(signal=SENT, due_us=LATER),
        swept("event-unfinished", f"`e` was sent, {DIED} goes on with it", "e"),
    ),
    (
        event(patience=Patience(NOW_US - S, 1), due_us=LATER),
        swept(
            "event-timed-out",
            "the run waits for `e` from outside until 07:59:59 UTC (in 0 s); the sweep in 72 s ends that",
            "e",
        ),
    ),
    (
        event(patience=Patience(ANY, 1), due_us=LATER),
        Finding(
            "waits-for-event",
            "waits",
            "the run waits for `e` from outside until 08:00:50 UTC (in 50 s)",
            "send it: `cascade send run e --data …`",
            "e",
            ANY,
        ),
    ),
    (parent(None), Finding("waits-for-children", "well", "`b` waits for its items: 0 of 3 are over", step_id="b")),
    (
        parent(NOW_US - 3 * S),
        Finding(
            "children-unlooked",
            "late",
            "`b` waits for runs of its own, and nobody has looked how they are; the sweep in 12 s does so",
            step_id="b",
            until_us=NOW_US + 12 * S,
        ),
    ),
    (
        parent(
            NOW_US,
            case(AT_B, Branch("c", "running", "c", worker="x", lease_us=NOW_US - S, started_at_us=NOW_US - 9 * S)),
        ),
        Finding(
            "waits-for-children",
            "late",
            "`b` waits for its items: 0 of 3 are over; run: worker x fell silent 9 s ago while it ran `c`: its lease "
            "is over; the sweep in 12 s gives the step to another",
            step_id="b",
            until_us=NOW_US + 12 * S,
        ),
    ),
]


@pytest.mark.parametrize(("known", "told"), OF_STEPS, ids=[each.code for _, each in OF_STEPS])
def test_what_is_said_of_a_step(known: Case, told: Finding) -> None:
    assert diagnosed(known, WORLD, NOW_US) == (told,)


BUSY_C = Branch("c", "running", "c", lease_us=ANY, heartbeat_us=NOW_US, started_at_us=NOW_US - S)
C_OVER = Branch("c", "ended", "c")
JOIN = Branch("j", "open", "j", arrived=1, due_us=LATER)
FAR = replace(WAITS_AT_B, available_at_us=NOW_US - S, turn_us=NOW_US + 90 * S)


@pytest.mark.parametrize(
    ("known", "said", "until_us"),
    [
        (case(C_OVER, JOIN), "`j` waits for `b`", None),
        (
            replace(case(FAR, C_OVER, JOIN), waits={"a": TURN, "b": PLACE, "j": PLACE}),
            "`j` waits for `b`, which waits for its turn at openai (3 in 6 s), 08:01:30 UTC (in 90 s)",
            NOW_US + 90 * S,
        ),
        (
            case(AT_B, BUSY_C, JOIN),
            "`j` waits for `b` and `c`, of which `b` has been running for 9 s (attempt 3)",
            None,
        ),
    ],
)
def test_what_is_said_of_a_join(known: Case, said: str, until_us: int | None) -> None:
    found = [each for each in diagnosed(known, WORLD, NOW_US) if each.code == "waits-for"]
    assert found == [Finding("waits-for", "waits", said, step_id="j", until_us=until_us)]


def test_of_two_that_a_join_waits_for_the_first_is_looked_behind() -> None:
    graph = Graph([step("a"), step("c"), step("j", "a", "c"), step("k", "j", "c")])
    known = case(replace(AT_B, step="a"), BUSY_C, replace(JOIN, name="k", step="k"), graph=graph, deployed=None)
    told = {each.step_id: each.sentence for each in diagnosed(known, WORLD, NOW_US)}
    assert told["k"] == "`k` waits for `j` and `c`, and so for `a`, which has been running for 9 s (attempt 3)"


def test_code_that_has_no_step_at_all_has_none_of_these() -> None:
    assert [each.code for each in diagnosed(case(AT_B, deployed=frozenset()), WORLD, NOW_US)] == [
        "step-gone",
        "running",
    ]


def test_what_needs_a_person_comes_before_what_is_late() -> None:
    lost = replace(BUSY_C, lease_us=NOW_US - S)
    codes = [each.code for each in diagnosed(case(lost, deployed=frozenset("abj")), WORLD, NOW_US)]
    assert codes == ["step-gone", "lease-over"]


def test_workers_of_another_pool_are_of_no_use() -> None:
    known = case(replace(WAITS_AT_B, name="c", step="c"), graph=in_pool("gpu"))
    assert diagnosed(known, replace(WORLD, pools={"c": 1, "cpu": 2}), NOW_US) == (
        Finding(
            "no-worker-of-pool",
            "stuck",
            "`c` has waited for a worker of pool 'gpu' for 10 s, and none is at work",
            "start one: `cascade worker --pool gpu`",
            "c",
        ),
    )


@pytest.mark.parametrize(("urgent", "which", "cure"), [(False, "", "Worker"), (True, "urgent ", "Urgent")])
def test_what_is_said_of_a_room_that_is_used_up(urgent: bool, which: str, cure: str) -> None:
    world = replace(WORLD, usual=Room(9, 8, urgent))
    used = f"all 8 {which}steps that may run at once do"
    known = ("concurrency-used-up", "late", f"wait, or raise {cure}Concurrency")
    of_step = Finding(*known[:2], f"`b` has waited for a worker for 10 s: {used}", known[2], "b")
    of_all = Finding(*known[:2], f"{used}: what is due waits for one of them", known[2])
    assert diagnosed(case(WAITS_AT_B), world, NOW_US) == (of_step,)
    assert diagnosed_engine(world, NOW_US) == (of_all,)


def test_what_is_said_of_the_reaper() -> None:
    unknown, silent = (replace(WORLD, sweeps=sweeps) for sweeps in (None, Sweeps(NOW_US - 360 * S, 60 * S)))
    said = "the reaper has not told of any sweep yet: it does so each minute"
    assert diagnosed_engine(unknown, NOW_US) == (Finding("reaper-unknown", "waits", said, REAPER_LOG),)
    said = "the reaper has been silent for 6 min: nothing that is lost or late is mended"
    assert diagnosed_engine(silent, NOW_US) == (Finding("reaper-silent", "stuck", said, REAPER_LOG),)
    told = "`b` has waited for a worker for 10 s: its wake-up is lost; a sweep sends another, but the reaper has been"
    found = Finding("wake-up-lost", "stuck", f"{told} silent for 6 min", REAPER_LOG, "b")
    assert diagnosed(case(WAITS_AT_B), silent, NOW_US) == (found,)


def test_what_nobody_takes_is_stuck_also_where_nobody_knows_of_the_sweeps() -> None:
    known = case(replace(WAITS_AT_B, due_us=LATER))
    assert [each.code for each in diagnosed(known, replace(WORLD, sweeps=None), NOW_US)] == ["nobody-takes-it"]


def test_a_lost_wake_up_is_sent_by_the_sweep_that_finds_it_due() -> None:
    between = replace(WORLD, sweeps=Sweeps(NOW_US - 59 * S - S // 2, 60 * S))
    [found] = diagnosed(case(replace(WAITS_AT_B, available_at_us=NOW_US - 4 * S, due_us=SOON)), between, NOW_US)
    assert (found.code, found.until_us) == ("wake-up-lost", NOW_US + 60 * S + S // 2)


def test_what_is_overdue_is_mended_by_no_sweep_of_the_past() -> None:
    world = replace(WORLD, sweeps=Sweeps(NOW_US - 61 * S, 60 * S))
    [found] = diagnosed(case(Branch("a", "skipping", "b", due_us=NOW_US - 2 * S)), world, NOW_US)
    assert found.until_us == NOW_US + 59 * S


def test_the_same_day_of_another_month_is_another_day() -> None:
    assert instant(NOW_US + 31 * DAY_S * S, NOW_US) == "2027-02-15 08:00 UTC"


def test_a_world_without_rooms_is_well() -> None:
    assert diagnosed_engine(replace(WORLD, usual=Room()), NOW_US) == ()


def test_these_steps_are_not_called_as_their_branches_are() -> None:
    """Or nothing here could tell the one from the other."""
    assert GRAPH.branch_of("b") == "a"
