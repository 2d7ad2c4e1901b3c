"""What a diagnosis reads: runs as they come to stand, each told once, by requests whose number is bounded."""

from __future__ import annotations

from collections import Counter

import pytest

from cascade_flow import RetryTier, RunNotFoundError, WorkflowRegistration, clock
from cascade_flow.dynamodb import due, keys
from cascade_flow.dynamodb.pulse import get_sweeps
from cascade_flow.dynamodb.table import Update
from cascade_flow.operations import live_pieces
from cascade_flow.operations.diagnoses import Diagnoses, DiagnosisPart
from cascade_flow.operations.live_pieces import START_US
from cascade_flow.operations.preflight import Effect, Planned, Preflight
from cascade_flow.operations.pulse import Pulse
from cascade_flow.operations.steps import Steps
from cascade_flow.operations.tally import Swept
from cascade_flow.wake import Wake
from clauses.stage import AGAIN, FATAL, RUN, asking, begun, claimed, dies, done, dying, reported, silent
from clauses.test_undo import BOOKED, failed, undo_run
from faults.moments import pausing
from simulation import BEGIN_US, TIMING, World, step
from testbed.faults import Kind, faults, only

DIAMOND = (step("a"), step("b", "a"), step("c", "a"), step("j", "b", "c"))
SWEEP_US = 60_000_000
OTHER = {"flow": Planned("sha256:other", frozenset("abc"))}


def told(world: World, run_id: str = RUN) -> dict[str, str]:
    """What is said of a run, by code."""
    diagnosis, _ = Diagnoses(world.observer.runtime).run(run_id)
    return {finding.code: finding.sentence for finding in diagnosis.findings}


def late(world: World) -> dict[str, list[str]]:
    """The codes of all runs that are late or stuck."""
    found = Diagnoses(world.observer.runtime).part(limit=100).diagnoses
    return {diagnosis.run_id: [finding.code for finding in diagnosis.findings] for diagnosis in found}


def test_a_run_that_was_just_submitted_is_well(world: World) -> None:
    begun(world, *DIAMOND)
    assert [*told(world)] == ["queued"]
    assert late(world) == {}


def test_a_lost_wake_up_is_told_with_the_sweep_that_mends_it(world: World) -> None:
    begun(world, *DIAMOND)
    world.clock.pause_us(2 * TIMING.grace_us)
    Pulse().beat(world.backend.runtime, clock.now_us() - SWEEP_US // 2)
    assert "the sweep in 30 s sends another" in told(world)["wake-up-lost"]
    world.clock.pause_us(6 * SWEEP_US)
    assert "silent for 6 min" in told(world)["wake-up-lost"]
    diagnosis, [reaper] = Diagnoses(world.observer.runtime).run(RUN)
    assert (reaper.code, diagnosis.is_well) == ("reaper-silent", False)


def test_a_second_beat_tells_how_often_the_reaper_comes(world: World) -> None:
    begun(world, *DIAMOND)
    pulse = Pulse()
    for _ in range(2):
        pulse.beat(world.backend.runtime, clock.now_us())
        world.clock.pause_us(2_000_000)
    world.clock.pause_us(TIMING.grace_us)
    assert "the sweep in 1 s" in told(world)["wake-up-lost"] or "the sweep in 2 s" in told(world)["wake-up-lost"]


def test_how_often_the_reaper_comes_is_the_time_between_its_last_two_sweeps(world: World) -> None:
    """A clock that stands still, or steps back, is no reason to come all the time."""
    pulse, noted = Pulse(), []
    for second in (0, 2, 7, 7, 6):
        pulse.beat(world.backend.runtime, BEGIN_US + second * 1_000_000)
        noted.append(get_sweeps(world.observer.runtime.ledger.table))
    assert [each and (each.last_us - BEGIN_US, each.every_us) for each in noted] == [
        (0, 60_000_000),
        (2_000_000, 2_000_000),
        (7_000_000, 5_000_000),
        (7_000_000, 1),
        (6_000_000, 1),
    ]


def test_a_sweep_is_noted_under_the_time_at_which_it_began(world: World) -> None:
    """However long it takes: the next one comes a minute after that."""

    swept = Swept({"looked at": 1}, [])

    def slow() -> Swept:
        world.clock.pause_us(SWEEP_US // 2)
        return swept

    begun_us = clock.now_us()
    assert Pulse().noted(world.backend.runtime, slow) is swept
    noted = get_sweeps(world.observer.runtime.ledger.table)
    assert noted is not None
    assert begun_us < noted.last_us < begun_us + SWEEP_US // 2


def test_a_sweep_that_can_not_be_noted_counts_all_the_same(world: World, caplog: pytest.LogCaptureFixture) -> None:
    swept = Swept({"looked at": 1}, [])
    with faults(only({"PutItem"}, lambda *_: Kind.THROTTLE), world.store.client):
        assert Pulse().noted(world.backend.runtime, lambda: swept) is swept
    assert get_sweeps(world.observer.runtime.ledger.table) is None
    assert "the sweep could not be noted" in caplog.text


def test_what_was_called_out_again_in_vain_is_stuck(world: World) -> None:
    begun(world, *DIAMOND)
    for _ in range(2):
        world.clock.pause_us(2 * TIMING.grace_us)
        world.sweep()
    assert [*told(world)] == ["nobody-takes-it"]
    assert late(world) == {RUN: ["nobody-takes-it"]}


@pytest.mark.parametrize("beside", [None, "cpu"])
def test_a_step_that_waits_for_a_pool_is_told_of_once(world: World, beside: str | None) -> None:
    begun(world, step("a", executor="gpu"), step("b", executor=beside))
    if beside is None:
        done(world, "b")
    assert late(world) == {}
    world.clock.pause_us(2 * TIMING.grace_us)
    assert late(world) == {RUN: ["no-worker-of-pool", "no-worker-of-pool" if beside else "waits-for"]}
    assert Diagnoses(world.observer.runtime).part(limit=100).looked_at == 1


@pytest.mark.parametrize(
    ("busy", "urgent_concurrency", "usual", "urgent"),
    [
        (0, 1, "concurrency-used-up", "wake-up-lost"),
        (1, 1, "wake-up-lost", "concurrency-used-up"),
        (0, 0, "concurrency-used-up", "concurrency-used-up"),
        (1, 0, "concurrency-used-up", "concurrency-used-up"),
    ],
)
def test_who_waits_for_a_place_is_told_of_the_places_that_are_its_own(
    world: World, busy: int, urgent_concurrency: int, usual: str, urgent: str
) -> None:
    world.register([step("a")])
    for run_id, priority in {"usual": 0, "urgent": 1, RUN: busy}.items():
        world.submit(run_id=run_id, priority=priority)
    world.clock.pause_us(2 * TIMING.grace_us)
    claimed(world, "a")
    diagnoses = Diagnoses(world.observer.runtime, concurrency=1, urgent_concurrency=urgent_concurrency)
    found = {each.run_id: each.findings[0].code for each in diagnoses.part(limit=9).diagnoses}
    assert found == {"usual": usual, "urgent": urgent}


def test_each_kind_of_place_is_full_when_its_own_number_is_taken(world: World) -> None:
    begun(world, step("a"), step("b"), priority=1)
    world.clock.pause_us(2 * TIMING.grace_us)
    claimed(world, "a")
    for usual, urgent, code in ((9, 1, "concurrency-used-up"), (1, 9, "wake-up-lost")):
        diagnoses = Diagnoses(world.observer.runtime, concurrency=usual, urgent_concurrency=urgent)
        assert code in [each.code for each in diagnoses.run(RUN)[0].findings]


def test_of_a_run_that_is_still_to_start_the_engine_is_told_too(world: World) -> None:
    begun(world, step("a"), available_at=clock.now_us() + 100_000_000)
    assert [each.code for each in Diagnoses(world.observer.runtime).run(RUN)[1]] == ["reaper-unknown"]


def test_a_dead_worker_takes_nobodys_place(world: World) -> None:
    world.register([step("a")])
    world.submit(run_id="waits")
    world.submit(run_id=RUN)
    claimed(world, "a")
    silent(world)
    found = Diagnoses(world.observer.runtime, concurrency=1).part(limit=9).diagnoses
    assert {each.run_id: each.findings[0].code for each in found} == {"waits": "wake-up-lost", RUN: "lease-over"}


def test_a_dead_worker_is_told_of_before_and_after_its_lease(world: World) -> None:
    begun(world, *DIAMOND)
    claimed(world, "a")
    assert [*told(world)] == ["running"]
    world.clock.pause_us(TIMING.lease_us * 3 // 4)
    assert "worker worker-1 of `a` has been silent for 8 s" in told(world)["worker-silent"]
    silent(world)
    assert [*told(world)] == ["lease-over"]


def test_a_join_says_what_it_waits_for(world: World) -> None:
    steps = [each.model_copy(update={"retry": [RetryTier(max_attempts=5, delay_ms=60_000)]}) for each in DIAMOND]
    begun(world, *steps)
    done(world, "a", "c")
    reported(world, claimed(world, "b", branch="a"), AGAIN)
    said = told(world)
    assert [*said] == ["retrying", "waits-for"]
    assert "`j` waits for `b`, which is in retry 1 until" in said["waits-for"]
    assert late(world) == {}


def test_who_dies_over_a_fork_is_told_of(world: World) -> None:
    begun(world, step("a"), *(step(f"p{n}", "a") for n in range(6)))
    held = claimed(world, "a")
    steps = dying(world, "TransactWriteItems", at=2)
    dies(lambda: reported(world, held, by=steps))
    world.clock.pause_us(TIMING.lease_us + TIMING.grace_us)
    assert "branches-owed" in told(world)


def test_a_failing_run_waits_for_what_runs(world: World) -> None:
    begun(world, step("a"), step("b"))
    claimed(world, "a")
    reported(world, claimed(world, "b"), FATAL)
    assert told(world)["stopping"] == "the run is failing, since `b` failed, and ends when `a` is done"


def test_a_delayed_run_is_well_until_its_time_is_over(world: World) -> None:
    begun(world, *DIAMOND, available_at=clock.now_us() + 100_000_000)
    assert [*told(world)] == ["delayed"]
    assert late(world) == {}
    world.clock.pause_us(101_000_000)
    assert late(world) == {RUN: ["start-overdue"]}


def test_a_run_that_is_over_or_never_was(world: World) -> None:
    begun(world, step("a"))
    world.settle(RUN)
    assert told(world) == {"over": "the run has completed"}
    assert Diagnoses(world.observer.runtime).part(limit=9).looked_at == 0
    with pytest.raises(RunNotFoundError):
        told(world, "nobody")


def test_an_undeployed_workflow_and_a_removed_step_are_told(world: World) -> None:
    old = WorkflowRegistration(slug="flow", name="Flow", steps=list(DIAMOND))
    new = WorkflowRegistration(slug="flow", name="Flow", steps=[step("a"), step("b", "a"), step("c", "a")])
    registry = world.backend.runtime.registry
    registry.deploy([old])
    world.submit(run_id=RUN)
    registry.deploy([new])
    assert "no `j` any more" in told(world)["step-gone"]
    registry.deploy([])
    assert "workflow 'flow' is no longer deployed" in told(world)["workflow-gone"]
    assert late(world) == {RUN: ["workflow-gone", "queued"]}


def test_an_item_that_nobody_can_read_keeps_no_other_from_being_told(world: World) -> None:
    begun(world, *DIAMOND)
    world.submit(run_id="other")
    broken = Update(keys.branch(RUN, "a"), None, set={"sk2": 1, "e": b"\x00"})
    world.backend.runtime.ledger.table.write([broken])
    world.clock.pause_us(2 * TIMING.grace_us)
    assert late(world) == {RUN: ["unreadable"], "other": ["wake-up-lost"]}
    assert [*told(world)] == ["unreadable"]


def parts(world: World, limit: int) -> list[DiagnosisPart]:
    found, after_us = [], START_US
    while True:
        part = Diagnoses(world.observer.runtime).part(limit=limit, after_us=after_us)
        found.append(part)
        if part.more_us is None:
            return found
        after_us = part.more_us


def test_piece_by_piece_each_run_is_told_once(world: World) -> None:
    begun(world, step("a"), step("b"), step("c"))
    runs = [RUN, *(world.submit() for _ in range(6))]
    done(world, "a")
    world.clock.pause_us(2 * TIMING.grace_us)
    runs += [world.submit() for _ in range(3)]
    found = parts(world, 2)
    told = Counter(diagnosis.run_id for part in found for diagnosis in part.diagnoses)
    assert told == Counter(runs[:7])
    assert sum(part.looked_at for part in found) == len(runs)
    assert len(found) > 3


def test_a_piece_asks_no_more_where_more_is_stored(world: World) -> None:
    begun(world, *DIAMOND)
    asked = []
    for _ in range(2):
        for _ in range(8):
            world.submit()
        world.clock.pause_us(2 * TIMING.grace_us)
        by, requests = asking(world)
        assert Diagnoses(by.runtime).part(limit=4).looked_at == 4
        asked.append(len(requests))
    assert asked[0] == asked[1] < 30


def effects(world: World, planned: dict[str, Planned], limit: int = 100) -> list[Effect]:
    found, after_us = [], START_US
    while True:
        part = Preflight(world.observer.runtime).part(planned, limit=limit, after_us=after_us)
        found.append(part)
        if part.more_us is None:
            return found
        after_us = part.more_us


def test_a_deployment_of_the_same_version_changes_nothing(world: World) -> None:
    begun(world, *DIAMOND)
    version = world.backend.runtime.run(RUN).version_id
    [effect] = effects(world, {"flow": Planned(version, frozenset("abcj"))})
    assert (effect.unaffected, effect.changed, effect.broken) == (1, 0, [])


def test_other_code_and_steps_that_are_gone_are_told_by_run(world: World) -> None:
    begun(world, *DIAMOND)
    assert [effect.changed for effect in effects(world, {"flow": Planned("new", frozenset("abcj"))})] == [1]
    [effect] = effects(world, OTHER)
    assert [(each.run_id, each.workflow_slug, each.steps) for each in effect.broken] == [(RUN, "flow", ["j"])]
    [effect] = effects(world, {})
    assert [each.steps for each in effect.broken] == [["a", "b", "c", "j"]]


def test_of_what_undoes_a_run_the_undos_that_are_gone_are_told(world: World) -> None:
    failed(world, *BOOKED)
    [effect] = effects(world, {"flow": Planned("new", frozenset({"un-b"}))})
    assert [(each.run_id, each.steps) for each in effect.broken] == [(undo_run(world).run_id, ["un-a"])]
    assert effects(world, {"flow": Planned("new", frozenset({"un-a", "un-b"}))}) == [Effect(0, 1, [], None)]


def test_what_a_run_has_behind_it_or_in_hand_breaks_nothing(world: World) -> None:
    begun(world, step("a"), step("b", "a"))
    world.submit(run_id="over")
    done(world, "a")
    held = claimed(world, "b", branch="a")
    world.backend.cancel_run("over")
    [effect] = effects(world, {"flow": Planned("new", frozenset())})
    assert (effect.unaffected, effect.changed, effect.broken) == (1, 0, [])
    reported(world, held, AGAIN)
    [effect] = effects(world, {"flow": Planned("new", frozenset("a"))})
    assert [each.steps for each in effect.broken] == [["b"]]


def test_each_run_under_way_is_unaffected_changed_or_broken(world: World) -> None:
    world.register([step("a"), step("b")])
    held = {"both": "ab", "one": "a", "another": "a", "r1": "", "r2": "", "r3": ""}
    for run_id, names in held.items():
        world.submit(run_id=run_id)
        for name in names:
            assert Steps(world.backend.runtime).claim(Wake(run_id, name, name, 1), "worker-1")
    [effect] = effects(world, {"flow": Planned("new", frozenset("b"))})
    assert (effect.unaffected, effect.changed) == (1, 2)
    assert {each.run_id: [*each.steps] for each in effect.broken} == {run_id: ["a"] for run_id in ("r1", "r2", "r3")}


def test_what_ends_while_a_preflight_looks_counts_no_more(world: World) -> None:
    begun(world, *DIAMOND)
    world.submit(run_id="over")
    late = pausing(world, "BatchGetItem", lambda: world.observer.cancel_run("over"))
    effect = Preflight(late.runtime).part({}, limit=100)
    assert (effect.unaffected, effect.changed, [each.run_id for each in effect.broken]) == (0, 0, [RUN])


def test_a_preflight_counts_each_run_once_in_pieces(world: World) -> None:
    begun(world, *DIAMOND)
    for _ in range(6):
        world.submit()
    done(world, "a")
    found = effects(world, OTHER, limit=2)
    assert len(found) > 3
    assert len({each.run_id for effect in found for each in effect.broken}) == 7
    assert sum(len(effect.broken) for effect in found) == 7


def test_a_piece_ends_also_where_nothing_in_it_is_wanted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_pieces, "_MOST_ENTRIES", 3)
    world.register([step("a")])
    for number in range(5):
        world.submit(run_id=f"run-{number}")
        world.clock.pause_us(1_000_000)
    table = world.observer.runtime.ledger.table
    nothing = live_pieces.piece(table, after_us=START_US, most_runs=100, wanted=lambda _: False)
    third = [*due.later(table, than_us=START_US, at_once=100)][2]
    assert (nothing.entries, nothing.more_us) == ([], third.due_us)
    more = live_pieces.piece(table, after_us=nothing.more_us or 0, most_runs=100)
    assert 0 < len({entry.run_id for entry in more.entries}) < 5
