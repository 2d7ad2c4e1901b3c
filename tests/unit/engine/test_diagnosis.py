"""Why a run stands where it stands: a test for each finding; and every run that goes on gets one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, strategies as st

from cascade_flow.engine.diagnosis import Case, Room, World, diagnosed, diagnosed_engine, remaining_steps
from cascade_flow.engine.findings import ORDER, Finding, Sweeps, nth, span
from cascade_flow.engine.limit_findings import run_waits, step_waits
from cascade_flow.engine.limits import Waiting
from cascade_flow.engine.state import Branch, BranchStatus, Family, Limit, Owed, Patience, Run, Signal, Stop, StopKind
from cascade_flow.graph import END, Graph
from cascade_flow.model.workflows import EventDefinition
from unit.engine.facts import NOW_US, TIMING, run_of, step

S = 1_000_000
GRAPH = Graph([step("a"), step("b", "a"), step("c"), step("j", "b", "c"), step("last", "j")])
STEPS = frozenset(GRAPH.steps)
SWEEPS = Sweeps(NOW_US - 48 * S, 60 * S)
WORLD = World(TIMING, SWEEPS, Room(1, 8))
FULL_ROOM = Room(8, 8)
LEASED: dict[str, Any] = {
    "worker": "w",
    "lease_us": NOW_US + 8 * S,
    "heartbeat_us": NOW_US - S,
    "started_at_us": NOW_US - 9 * S,
}
RUNNING = Branch("c", "running", "c", **LEASED)
RETRYING = Branch("a", "scheduled", "b", attempt=4, available_at_us=NOW_US + 300 * S)
JOIN = Branch("j", "open", "j", arrived=1, due_us=NOW_US + 600 * S)


def case(*branches: Branch, deployed: frozenset[str] | None = STEPS, graph: Graph | None = GRAPH, **run: Any) -> Case:
    return Case(run_of(**run), {branch.name: branch for branch in branches}, graph, deployed)


def finding(found: tuple[Finding, ...], code: str) -> Finding:
    return next(each for each in found if each.code == code)


def due(at_us: int, waited_s: int = 10, **known: Any) -> Branch:
    return Branch("c", "scheduled", "c", available_at_us=NOW_US - waited_s * S, due_us=at_us, **known)


def waiting_case(event: Branch) -> Case:
    graph = Graph([step("a"), step("e", "a", event=EventDefinition())])
    return Case(run_of(), {"a": Branch("a", "ended", "a"), "e": event}, graph, frozenset(graph.steps))


FAMILY = Family(items=3, children=3, chunk=100, attempt=1, at_once=2)


def handing_out(due_us: int, *children: Case) -> Case:
    """A run whose step `a` waits for runs of its own, and these of them."""
    branch = Branch("a", "waiting", "a", family=FAMILY, due_us=due_us)
    return Case(run_of(), {"a": branch}, GRAPH, STEPS, children={"a": children})


WAITING = Branch("e", "open", "e", arrived=1, patience=Patience(NOW_US + 300 * S, 1), due_us=NOW_US + 300 * S)
LATE = due(NOW_US - 7 * S)
AGAIN = due(NOW_US + 7 * S)
FULL = {"a": Branch("a", "ended", "b"), "c": Branch("c", "ended", "c")}

EXPECTED: list[tuple[str, Case, World, str, str, int | None]] = [
    ("over", case(status="completed"), WORLD, "well", "the run has completed", None),
    ("driven-by-caller", case(driver="caller"), WORLD, "waits", "when its caller says so", None),
    ("version-gone", case(graph=None), WORLD, "stuck", "version v1 of workflow 'flow' is no longer stored", None),
    ("delayed", case(status="pending", available_at_us=NOW_US + 90 * S), WORLD, "waits", "in 90 s", NOW_US + 90 * S),
    (
        "start-overdue",
        case(status="pending", available_at_us=NOW_US - 5 * S, due_us=NOW_US - 5 * S),
        WORLD,
        "late",
        "should have started 5 s ago: its wake-up is late or lost; the sweep in 12 s starts it",
        NOW_US + 12 * S,
    ),
    ("past-deadline", case(deadline_us=NOW_US - S, due_us=NOW_US - S), WORLD, "late", "the sweep in 12 s ends it", 12),
    (
        "stopping",
        case(RUNNING, stop=Stop("failed", 1, "a")),
        WORLD,
        "waits",
        "is failing, since `a` failed, and ends when `c` is done",
        None,
    ),
    (
        "stopping",
        case(RUNNING, stop=Stop("failed", 1), deadline_us=NOW_US - S),
        WORLD,
        "waits",
        "is failing, and ends when `c` is done",
        None,
    ),
    (
        "stop-unfinished",
        case(RUNNING, stop=Stop("cancelled", 1), due_us=NOW_US - S),
        WORLD,
        "late",
        "is being cancelled, and whoever was about it did not come to the end; the sweep in 12 s ends it",
        12,
    ),
    ("retry-unfinished", case(reviving=True, due_us=NOW_US - S), WORLD, "late", "the sweep in 12 s goes on", 12),
    ("roots-owed", case(owed=3, due_us=NOW_US - S), WORLD, "late", "the sweep in 12 s does so", 12),
    ("roots-owed", case(owed=3, due_us=NOW_US + S), WORLD, "well", "somebody is about it", None),
    ("stalled", case(), WORLD, "stuck", "nothing of the run is under way", None),
    ("workflow-gone", case(RETRYING, deployed=None), WORLD, "stuck", "`b`, `c`, `j` and 1 more would fail", None),
    ("step-gone", case(RETRYING, deployed=STEPS - {"j"}), WORLD, "stuck", "has no `j` any more", None),
    (
        "branches-owed",
        case(Branch("a", "ended", "b", owed=Owed(("b",)), due_us=NOW_US - S)),
        WORLD,
        "late",
        "what follows `b` is still to be put under way",
        12,
    ),
    ("running", case(RUNNING), WORLD, "well", "`c` has been running for 9 s (attempt 1)", None),
    (
        "worker-silent",
        case(replace(RUNNING, heartbeat_us=NOW_US - 6 * S, lease_us=NOW_US + 4 * S)),
        WORLD,
        "late",
        "worker w of `c` has been silent for 6 s, and may be dead: its lease ends in 4 s",
        4,
    ),
    (
        "lease-over",
        case(replace(RUNNING, heartbeat_us=None, lease_us=NOW_US - S, due_us=NOW_US - S)),
        WORLD,
        "late",
        "worker w fell silent 9 s ago while it ran `c`: its lease is over; the sweep in 12 s gives the step to another",
        12,
    ),
    ("retrying", case(RETRYING), WORLD, "waits", "`b` is in retry 3 until", 300),
    ("step-delayed", case(replace(RETRYING, attempts_before=3)), WORLD, "waits", "`b` starts at", 300),
    ("step-delayed", case(replace(RETRYING, attempt=1)), WORLD, "waits", "`b` starts at", 300),
    (
        "not-ready",
        case(replace(RETRYING, attempts_before=3, laters=2)),
        WORLD,
        "waits",
        "`b` is not ready, and asks again at 08:05 UTC (in 5 min), for the 3rd time",
        300,
    ),
    (
        "retrying",
        case(replace(RETRYING, attempts_before=2)),
        WORLD,
        "waits",
        "`b` is in retry 1 until 08:05 UTC (in 5 min)",
        300,
    ),
    ("queued", case(due(NOW_US + S, 2)), WORLD, "well", "`c` is due, and waits for a worker for 2 s", None),
    (
        "wake-up-lost",
        case(LATE),
        WORLD,
        "late",
        "`c` has waited for a worker for 10 s: its wake-up is lost; the sweep in 12 s sends another",
        12,
    ),
    ("wake-up-lost", case(LATE), replace(WORLD, sweeps=None), "late", "the next sweep sends another", None),
    (
        "wake-up-lost",
        case(LATE),
        replace(WORLD, sweeps=replace(SWEEPS, last_us=NOW_US - 360 * S)),
        "stuck",
        "a sweep sends another, but the reaper has been silent for 6 min",
        None,
    ),
    ("nobody-takes-it", case(AGAIN), WORLD, "stuck", "was called out again, and nobody took it", 7),
    (
        "concurrency-used-up",
        case(AGAIN),
        replace(WORLD, usual=FULL_ROOM),
        "late",
        "`c` has waited for a worker for 10 s: all 8 steps that may run at once do",
        None,
    ),
    (
        "waits-for-event",
        waiting_case(WAITING),
        WORLD,
        "waits",
        "the run waits for `e` from outside until",
        300,
    ),
    ("waits-for-event", waiting_case(replace(WAITING, patience=Patience(NOW_US, 7))), WORLD, "waits", "until", 3_600),
    (
        "event-timed-out",
        waiting_case(replace(WAITING, patience=Patience(NOW_US - S, 1), due_us=NOW_US - S)),
        WORLD,
        "late",
        "the sweep in 12 s ends that",
        12,
    ),
    (
        "event-unfinished",
        waiting_case(replace(WAITING, signal=Signal("m", NOW_US, "signal", "1"), due_us=NOW_US - S)),
        WORLD,
        "late",
        "`e` was sent, and whoever was about it did not come to the end",
        12,
    ),
    ("skip-unfinished", case(Branch("c", "skipping", "c", due_us=NOW_US - S)), WORLD, "late", "the sweep in 12 s", 12),
    (
        "waits-for",
        case(RETRYING, JOIN, FULL["c"]),
        WORLD,
        "waits",
        "`j` waits for `b`, which is in retry 3 until",
        300,
    ),
    ("waits-for", case(RUNNING, JOIN, RETRYING), WORLD, "waits", "`j` waits for `b` and `c`, of which `b` is in", 300),
    (
        "waits-for",
        case(replace(RETRYING, step="a"), JOIN, FULL["c"]),
        WORLD,
        "waits",
        "`j` waits for `b`, and so for `a`, which is in retry 3 until",
        300,
    ),
    (
        "join-unopened",
        case(*FULL.values(), replace(JOIN, due_us=NOW_US - S)),
        WORLD,
        "late",
        "all that `j` waits for is there, and whoever was about it did not come to the end; the sweep in 12 s",
        12,
    ),
    (
        "children-unlooked",
        handing_out(NOW_US - 3 * S),
        WORLD,
        "late",
        "`a` waits for runs of its own, and nobody has looked how they are; the sweep in 12 s does so",
        12,
    ),
    (
        "waits-for-children",
        handing_out(NOW_US - 2 * S),
        WORLD,
        "well",
        "`a` waits for its items: 0 of 3 are over",
        None,
    ),
]

OF_C = (
    *("stopping", "running", "worker-silent", "lease-over", "queued", "wake-up-lost", "nobody-takes-it"),
    *("concurrency-used-up", "skip-unfinished"),
)
STEP_OF = {
    **dict.fromkeys(OF_C, "c"),
    **dict.fromkeys(("children-unlooked", "waits-for-children"), "a"),
    **dict.fromkeys(("branches-owed", "retrying", "step-delayed", "not-ready"), "b"),
    **dict.fromkeys(("waits-for-event", "event-timed-out", "event-unfinished"), "e"),
    **dict.fromkeys(("step-gone", "waits-for", "join-unopened"), "j"),
}
"""The step that a finding is about; none, where it is about the run."""


@pytest.mark.parametrize(("code", "known", "world", "severity", "said", "until"), EXPECTED)
def test_each_finding(code: str, known: Case, world: World, severity: str, said: str, until: int | None) -> None:
    found = finding(diagnosed(known, world, NOW_US), code)
    assert found.severity == severity
    assert said in found.sentence
    until_us = until if until is None or until > NOW_US else NOW_US + until * S
    assert found.until_us == until_us
    assert bool(found.cure) == (severity == "stuck" or code in ("concurrency-used-up", "waits-for-event"))
    assert found.step_id == STEP_OF.get(code)


def in_pool(pool: str) -> Graph:
    """The graph, with `c` for workers of this pool."""
    return Graph([s.model_copy(update={"executor": pool} if id == "c" else {}) for id, s in GRAPH.steps.items()])


@pytest.mark.parametrize(
    ("at_work", "severity", "said"),
    [(0, "stuck", "of pool 'gpu-box' for 10 s, and none is at work"), (2, "late", "those there run 2 steps already")],
)
def test_a_step_of_a_pool_waits_for_its_workers(at_work: int, severity: str, said: str) -> None:
    world = replace(WORLD, pools={"gpu-box": at_work} if at_work else {}, usual=FULL_ROOM)
    [found] = diagnosed(case(LATE, graph=in_pool("gpu-box")), world, NOW_US)
    assert found.severity == severity
    assert said in found.sentence
    assert "cascade worker --pool gpu-box" in found.cure


def test_the_worst_comes_first() -> None:
    found = diagnosed(case(RETRYING, AGAIN, JOIN), WORLD, NOW_US)
    assert [each.code for each in found] == ["nobody-takes-it", "retrying", "waits-for"]


def test_of_the_children_the_one_that_is_worst_off_is_told() -> None:
    running, late, stuck = case(RUNNING), case(replace(RUNNING, lease_us=NOW_US - S)), case()
    for children in ((running, stuck, late), (late, running, stuck)):
        [found] = diagnosed(handing_out(NOW_US, *children), WORLD, NOW_US)
        assert (found.code, found.severity) == ("waits-for-children", "stuck")
        assert "nothing of the run is under way" in found.sentence


def test_a_run_that_waits_for_others_says_how_many_go_on() -> None:
    limit = Limit("flow", 5)
    told = [run_waits(run_of(), Waiting(limit, taken=2, before=before)).sentence for before in (1, None)]
    assert told == [
        "the run waits for another run of 'flow' to end (2 of 5 go on, 1 before it)",
        "the run waits for another run of 'flow' to end (2 of 5 go on, many before it)",
    ]


@pytest.mark.parametrize(
    ("turn_us", "when"), [(NOW_US + 90 * S, "08:01:30 UTC (in 90 s)"), (None, "08:00:00 UTC (in 0 s)")]
)
def test_a_step_that_waits_for_its_turn_says_when_that_is(turn_us: int | None, when: str) -> None:
    found = step_waits(LATE, Waiting(Limit("openai", 3, 6 * S), turn_us=turn_us), NOW_US)
    assert (found.code, found.until_us, found.step_id) == ("waits-for-turn", turn_us, "c")
    assert found.sentence.startswith("`c` waits for its turn at openai (3 in 6 s), ")
    assert found.sentence.endswith(when)


@pytest.mark.parametrize(("due_s", "sweep_s"), [(None, 12), (1, 12), (20, 72)])
def test_a_lease_that_is_over_is_found_when_the_index_says_so(due_s: int | None, sweep_s: int) -> None:
    due_us = None if due_s is None else NOW_US + due_s * S
    [found] = diagnosed(case(replace(RUNNING, lease_us=NOW_US - S, due_us=due_us)), WORLD, NOW_US)
    assert (found.code, found.until_us) == ("lease-over", NOW_US + sweep_s * S)


@pytest.mark.parametrize(("attempt", "is_told"), [(1, True), (2, False)])
def test_a_retry_does_not_come_after_what_its_step_was_delayed_behind(attempt: int, is_told: bool) -> None:
    graph = Graph([step("a"), step("b", "a", delay_ms=90_000)])
    waits = Branch("a", "scheduled", "b", attempt=attempt, available_at_us=NOW_US + 90 * S)
    for known in (waits, replace(waits, attempts_before=attempt - 1)):
        [found] = diagnosed(Case(run_of(), {"a": known}, graph, frozenset(graph.steps)), WORLD, NOW_US)
        assert ("90 s after `a`" in found.sentence) is is_told
        assert "None" not in found.sentence


def test_an_event_is_waited_for_once_all_before_it_is_over() -> None:
    graph = Graph([step("a"), step("c"), step("e", "a", "c", event=EventDefinition())])
    known = Case(run_of(), {"c": RUNNING, "e": WAITING}, graph, frozenset(graph.steps))
    assert [each.code for each in diagnosed(known, WORLD, NOW_US)] == ["waits-for", "running"]


@pytest.mark.parametrize(
    ("world", "codes"),
    [
        (WORLD, []),
        (replace(WORLD, sweeps=None), ["reaper-unknown"]),
        (
            replace(WORLD, sweeps=Sweeps(NOW_US - 360 * S, 60 * S), usual=FULL_ROOM),
            ["reaper-silent", "concurrency-used-up"],
        ),
        (replace(WORLD, usual=FULL_ROOM, urgent=Room(2, 2, urgent=True)), ["concurrency-used-up"] * 2),
        (replace(WORLD, urgent=Room(1, 2, urgent=True)), []),
    ],
)
def test_what_keeps_all_runs_waiting(world: World, codes: list[str]) -> None:
    assert [each.code for each in diagnosed_engine(world, NOW_US)] == codes


def test_a_silent_reaper_is_told_with_its_silence() -> None:
    [found] = diagnosed_engine(replace(WORLD, sweeps=Sweeps(NOW_US - 360 * S, 60 * S)), NOW_US)
    assert "silent for 6 min" in found.sentence


@pytest.mark.parametrize(
    ("branches", "left"),
    [
        ((), "a b c j last"),
        ((RETRYING,), "b c j last"),
        ((RETRYING, RUNNING), "b j last"),
        ((*FULL.values(), Branch("j", "failed", "last")), "last"),
    ],
)
def test_steps_that_are_still_to_be_begun(branches: tuple[Branch, ...], left: str) -> None:
    assert " ".join(remaining_steps(case(*branches), NOW_US)) == left


def test_nothing_remains_of_a_run_that_stops_or_is_over() -> None:
    assert remaining_steps(case(status="failed"), NOW_US) == ()
    assert remaining_steps(case(stop=Stop("timeout", 1)), NOW_US) == ()


@pytest.mark.parametrize(
    ("last_s", "due_s", "first_s"),
    [
        (-48, 0, 12),
        (-48, 11, 12),
        (-48, 12, 12),
        (-48, 13, 72),
        (-48, 72, 72),
        (-48, -500, 12),
        (-48, 133, 192),
        (-100, -90, 20),
        (-61, -2, 59),
        (-60, -2, 0),
        (0, 0, 60),
        (5, 0, 65),
    ],
)
def test_the_first_sweep_that_finds_it(last_s: int, due_s: int, first_s: int) -> None:
    sweeps = replace(SWEEPS, last_us=NOW_US + last_s * S)
    assert sweeps.first_after(NOW_US + due_s * S, NOW_US) == NOW_US + first_s * S


@pytest.mark.parametrize(
    ("us", "said"),
    [
        (-5 * S, "0 s"),
        (0, "0 s"),
        (1, "1 s"),
        (S, "1 s"),
        (S + 1, "2 s"),
        (119 * S, "119 s"),
        (120 * S - 1, "2 min"),
        (120 * S, "2 min"),
        (360 * S, "6 min"),
        (7_199 * S, "119 min"),
        (7_200 * S, "2 h"),
        (200_000 * S, "2 d"),
    ],
)
def test_spans_are_rounded_up_never_below_nothing_and_said_as_people_say_them(us: int, said: str) -> None:
    assert span(us) == said


TIMES = st.one_of(st.none(), st.integers(-100, 100).map(lambda s: NOW_US + s * S))
BRANCHES = st.builds(
    Branch,
    name=st.sampled_from(["a", "c", "j", END]),
    status=st.sampled_from(get_args(BranchStatus)),
    step=st.just("a"),
    attempt=st.integers(1, 5),
    halt=st.sampled_from([None, "park", "stop"]),
    owed=st.sampled_from([None, Owed(("a",))]),
    **dict.fromkeys(["available_at_us", "lease_us", "heartbeat_us", "started_at_us", "due_us"], TIMES),
)
GRAPHS = st.sampled_from([GRAPH, None, Graph([step("a"), step("c"), step("j", "a", "c"), step("end", "a")])])


@st.composite
def placed(draw: st.DrawFn, graph: Graph | None) -> Branch:
    """A branch that stands at one of its own steps; the one that is the run's end waits, or is over."""
    branch = draw(BRANCHES)
    if branch.name == END:
        return replace(branch, step=END, status=draw(st.sampled_from(["open", "ended"])), owed=None)
    family = Family(items=3, children=3, chunk=100, attempt=1, at_once=2) if branch.status == "waiting" else None
    known = graph or GRAPH
    chain = known.chain(branch.name) if branch.name in known.branches else ["a"]
    return replace(branch, name=known.branch_of(chain[0]), step=draw(st.sampled_from(chain)), family=family)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    graph = draw(GRAPHS)
    stops = st.builds(Stop, kind=st.sampled_from(get_args(StopKind)), run_attempt=st.just(1))
    run: Run = run_of(
        status=draw(st.sampled_from(["pending", "running", "failed", "completed", "cancelled"])),
        reviving=draw(st.booleans()),
        owed=draw(st.sampled_from([None, 1])),
        stop=draw(st.none() | stops),
        due_us=draw(TIMES),
        available_at_us=draw(TIMES) or NOW_US,
        deadline_us=draw(TIMES) or NOW_US,
    )
    branches = {branch.name: branch for branch in draw(st.lists(placed(graph), max_size=4))}
    return Case(run, branches, graph, draw(st.none() | st.sets(st.sampled_from(sorted(STEPS))).map(frozenset)))


ROOMS = st.builds(Room, st.integers(0, 3), st.none() | st.integers(1, 3), st.booleans())
WORLDS = st.builds(
    World,
    timing=st.just(TIMING),
    sweeps=st.none() | st.builds(Sweeps, st.integers(-500, 0).map(lambda s: NOW_US + s * S), st.just(60 * S)),
    usual=ROOMS,
    urgent=st.none() | ROOMS,
)


@given(cases(), WORLDS)
def test_every_run_gets_a_finding(known: Case, world: World) -> None:
    found = diagnosed(known, world, NOW_US)
    assert found
    assert [each.severity for each in found] == sorted((each.severity for each in found), key=ORDER.index)
    for each in found:
        assert each.until_us is None or each.until_us >= NOW_US
        assert each.cure or each.severity != "stuck", "who is stuck is told what to do"
        assert each.step_id is None or known.graph is None or each.step_id in known.graph.steps


@given(cases(), WORLDS)
def test_whatever_is_live_of_a_run_that_goes_on_is_told(known: Case, world: World) -> None:
    run = known.run
    if run.status != "running" or run.stop or known.graph is None or run.deadline_us <= NOW_US:
        return
    told = {each.step_id for each in diagnosed(known, world, NOW_US)}
    live = {branch.step for branch in known.branches.values() if branch.live and branch.name != "$"}
    assert live <= told


@pytest.mark.parametrize(
    ("step_id", "said"),
    [
        ("quote", "`quote` starts at 08:05 UTC (in 5 min), 2 min after the run's start"),
        ("remind", "`remind` starts at 08:05 UTC (in 5 min), 60 min after `quote`"),
        ("both", "`both` starts at 08:05 UTC (in 5 min), 2 h after `quote` and `remind`"),
    ],
)
def test_a_delayed_step_says_how_long_after_what_it_starts(step_id: str, said: str) -> None:
    graph = Graph(
        [
            step("quote", delay_ms=120_000),
            step("remind", "quote", delay_ms=3_600_000),
            step("both", "quote", "remind", delay_ms=7_200_000),
        ]
    )
    waiting = Branch(step_id, "scheduled", step_id, available_at_us=NOW_US + 300 * S)
    waiting = replace(waiting, name=graph.branch_of(step_id))
    found = diagnosed(Case(run_of(), {waiting.name: waiting}, graph, frozenset(graph.steps)), WORLD, NOW_US)
    assert [each.sentence for each in found if each.code == "step-delayed"] == [said]


@pytest.mark.parametrize(
    ("number", "said"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st"), (113, "113th")],
)
def test_times_are_counted_as_people_do(number: int, said: str) -> None:
    assert nth(number) == said
