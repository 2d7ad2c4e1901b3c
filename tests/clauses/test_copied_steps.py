"""What a rerun copies of the steps that it keeps: their events and texts, all of them, and nothing of any other."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence

import pytest

from cascade_flow import DynamoDBBackend, clock
from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.codec import Record, references_of
from cascade_flow.engine.commands import Complete
from cascade_flow.engine.state import Birth, Branch, BranchStatus
from cascade_flow.operations import history_copier
from cascade_flow.operations.history_copier import HistoryCopier, _placed
from cascade_flow.records import replace
from clauses.stage import RUN, asking, begun, claimed, done, reported
from simulation import World, step

LATER_S = 1_000


def three_steps(world: World) -> None:
    """A run of three, the first two of which have given something long."""
    begun(world, step("a"), step("b"), step("c"))
    for name in "ab":
        reported(world, claimed(world, name), Complete(json.dumps(secrets.token_hex(1_000)), 1))
    claimed(world, "c")


def all_records(world: World) -> Sequence[Record]:
    history = world.observer.runtime.ledger.history(RUN)
    assert history is not None
    return history.records


def copied(world: World, *kept: str, by: DynamoDBBackend | None = None) -> int:
    """The newest time of what is copied of these steps to another run, which is kept for longer."""
    runtime = (by or world.backend).runtime
    facts = runtime.facts(runtime.run(RUN))
    target = replace(facts, run_id="copy", expires_s=facts.expires_s + LATER_S)
    return HistoryCopier(runtime).copy(RUN, all_records(world), target, dict.fromkeys(kept))


@pytest.mark.parametrize("kept", ["", "a", "b", "ab"])
def test_the_events_of_the_kept_steps_are_copied_and_the_newest_time_is_told(world: World, kept: str) -> None:
    three_steps(world)
    theirs = [record for record in all_records(world) if record.get("stepId") in [*kept]]
    assert copied(world, *kept) == max((record["timestampUs"] for record in theirs), default=0)
    stored = [*world.observer.runtime.ledger.table.query(keys.commits("copy"))]
    assert [record for item in stored for record in items.to_records(item)] == theirs
    texts = {place for record in theirs for place in references_of(record).values()}
    assert len(texts) == len(kept)
    payloads = world.observer.runtime.payloads
    assert payloads.texts("copy", texts) == payloads.texts(RUN, texts)


def test_commits_are_copied_each_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction takes a hundred, and four megabytes: a long history has more."""
    monkeypatch.setattr(history_copier, "_EVENTS_A_COMMIT", 1)
    begun(world, step("a"))
    done(world, "a")
    by, asked = asking(world)
    copied(world, "a", by=by)
    assert (asked.count("PutItem"), asked.count("TransactWriteItems")) == (3, 0)


def test_what_is_copied_is_kept_as_long_as_the_run_that_it_is_copied_to(world: World) -> None:
    three_steps(world)
    copied(world, "a", "b")
    table, expires_s = world.observer.runtime.ledger.table, world.observer.runtime.run(RUN).expires_s + LATER_S
    places = [place for record in all_records(world) for place in references_of(record).values()]
    aside = [table.get(keys.payload_at("copy", place)) for place in places]
    assert [item and item[keys.EXPIRY] for item in aside] == [expires_s] * 2
    assert {item[keys.EXPIRY] for item in table.query(keys.commits("copy"))} == {expires_s}


@pytest.mark.parametrize("most", [1, 2, 3, 40])
def test_no_more_events_are_in_a_copied_commit_than_so_many(
    world: World, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(history_copier, "_EVENTS_A_COMMIT", most)
    three_steps(world)
    copied(world, "a", "b")
    sizes = [len(items.to_records(item)) for item in world.observer.runtime.ledger.table.query(keys.commits("copy"))]
    assert (sum(sizes), max(sizes)) == (6, min(6, most))
    assert all(size == most for size in sizes[:-1])


def test_no_more_is_in_a_copied_commit_than_an_item_holds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    three_steps(world)
    first, second, *_ = [json.dumps(record) for record in all_records(world) if record.get("stepId") in ["a", "b"]]
    monkeypatch.setattr(history_copier, "_BYTES_A_COMMIT", len(first) + len(second))
    copied(world, "a", "b")
    sizes = [len(items.to_records(item)) for item in world.observer.runtime.ledger.table.query(keys.commits("copy"))]
    assert (sizes[0], sum(sizes), max(sizes)) == (2, 6, 2)


@pytest.mark.parametrize(
    ("status", "name", "places", "origin_us"),
    [
        ("scheduled", "c", {"a": 5}, 5),
        ("scheduled", "c", {"b": 7}, None),
        ("scheduled", "j", {"a": 5}, 5),
        ("scheduled", "j", {"b": 7}, 7),
        ("scheduled", "j", {"a": 5, "b": 7}, None),
        ("scheduled", "a", {"b": 7}, None),
        ("open", "j", {"a": 5}, None),
    ],
)
def test_a_branch_names_the_one_commit_that_holds_what_it_is_given(
    world: World, status: BranchStatus, name: str, places: dict[str, int], origin_us: int | None
) -> None:
    begun(world, step("a"), step("b"), step("c", "a"), step("j", "a", "b"))
    facts, branch = world.backend.runtime.facts(world.backend.runtime.run(RUN)), Branch(name, status, name)
    assert _placed(facts, Birth(branch, (), origin_us=1), places) == Birth(branch, (), origin_us=origin_us)


@pytest.mark.parametrize("later_us", [-1_000_000, 1_000_000])
def test_a_copys_branches_begin_after_it_and_not_before_now(world: World, later_us: int) -> None:
    three_steps(world)
    again = world.backend.rerun_from(parent_run_id=RUN, from_step_id="c").run_id
    runtime = world.observer.runtime
    run = runtime.run(again)
    with clock.use(clock.SteppingClock(run.last_us + later_us)):
        births = HistoryCopier(runtime).branches(runtime.facts(run), run)
    begin_us = min(event.timestamp_us for birth in births for event in birth.events)
    assert max(0, later_us) < begin_us - run.last_us + (later_us > 0) <= max(0, later_us) + 10
