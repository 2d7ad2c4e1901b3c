"""Lists of runs: the part that is asked for, of whom it is asked for, and nothing read that isn't shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cascade_flow import RunSubmission, WorkflowCancelled, WorkflowNotFoundError, WorkflowRegistration
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.codec import references_of
from cascade_flow.dynamodb.listing import Filter
from cascade_flow.dynamodb.table import Update
from cascade_flow.operations.runs import Runs
from clauses.stage import RUN, asking, begun
from clauses.test_microseconds import at
from contract.called import FLOW, Called
from simulation import BEGIN_US, World, step

LONG = {"text": "".join(f"{number}, " for number in range(2_000))}


@pytest.fixture
def five(world: World) -> list[str]:
    """Runs of two workflows, the newest first; `r1` and `r3` of the other, with a tag, and cancelled."""
    for slug in ("flow", "other"):
        world.register([step("a")], slug=slug)
    for number in range(5):
        odd = number % 2 == 1
        wish: dict[str, Any] = {"workflow_slug": "other" if odd else "flow", "tags": ["odd"] if odd else None}
        world.backend.submit_run(RunSubmission(run_id=f"r{number}", input=LONG, **wish))
        if odd:
            world.backend.cancel_run(f"r{number}")
        world.clock.pause_us(1_000)
    return ["r4", "r3", "r2", "r1", "r0"]


PARTS: list[tuple[dict[str, Any], list[str], int]] = [
    ({}, ["r4", "r3", "r2", "r1", "r0"], 5),
    ({"limit": 2}, ["r4", "r3"], 5),
    ({"limit": 2, "offset": 1}, ["r3", "r2"], 5),
    ({"offset": 4, "limit": 9}, ["r0"], 5),
    ({"workflow_slug": "other"}, ["r3", "r1"], 2),
    ({"workflow_slug": "flow", "limit": 1, "offset": 1}, ["r2"], 3),
    ({"status": ["cancelled"]}, ["r3", "r1"], 2),
    ({"status": ["cancelled"], "limit": 1, "offset": 1}, ["r1"], 2),
    ({"tags": ["odd"], "limit": 1}, ["r3"], 2),
    ({"status": ["running"], "tags": ["odd"]}, [], 0),
    ({"status": ["running"]}, ["r4", "r2", "r0"], 3),
]


@pytest.mark.usefixtures("five")
@pytest.mark.parametrize(("asked", "there", "total"), PARTS)
def test_a_page_has_what_was_asked_for_and_counts_all_that_fits(
    world: World, asked: dict[str, Any], there: list[str], total: int
) -> None:
    page = world.observer.list_runs(**asked)
    assert ([run.run_id for run in page.runs], page.total) == (there, total)
    wanted = Filter(tuple(asked.get("status", ())), tuple(asked.get("tags", ())))
    runs, slug = Runs(world.observer.runtime), asked.get("workflow_slug")
    part = runs.part(slug, wanted, limit=asked.get("limit", 9), offset=asked.get("offset", 0))
    assert [run.run_id for run in part.runs] == there
    assert runs.count(slug, wanted).number == total


@pytest.mark.usefixtures("five")
def test_a_list_reads_no_input_that_was_put_aside(world: World) -> None:
    late, asked = asking(world)
    page = late.list_runs(limit=5)
    assert [run.input for run in page.runs] == [None] * 5
    assert asked.count("BatchGetItem") == 1
    whole = world.observer.get_run("r4")
    assert whole is not None
    assert whole.input is not None


@pytest.mark.usefixtures("five")
def test_each_status_is_counted_of_whom_it_is_asked_for(world: World) -> None:
    runs = Runs(world.observer.runtime)
    counts = {
        (slug, tag): dict(runs.tally(slug, Filter(tags=(tag,) if tag else ())).numbers)
        for slug in (None, "flow", "other")
        for tag in ("", "odd")
    }
    assert counts == {
        (None, ""): {"running": 3, "cancelled": 2},
        (None, "odd"): {"cancelled": 2},
        ("flow", ""): {"running": 3},
        ("flow", "odd"): {},
        ("other", ""): {"cancelled": 2},
        ("other", "odd"): {"cancelled": 2},
    }
    assert {slug: runs.ids(slug) for slug in ("flow", "other")} == {"flow": ["r4", "r2", "r0"], "other": ["r3", "r1"]}


def test_a_run_that_nobody_can_read_keeps_no_other_from_being_listed(world: World, five: list[str]) -> None:
    world.observer.runtime.ledger.table.write([Update(keys.run("r2"), None, set={"e": b"\x00"}, blind=True)])
    assert [run.run_id for run in world.observer.list_runs().runs] == [name for name in five if name != "r2"]


def test_of_a_workflow_that_is_retired_and_never_had_a_run_there_are_none(world: World) -> None:
    registry = world.backend.runtime.registry
    registry.deploy([WorkflowRegistration(slug="flow", name="Flow", steps=[step("a")])])
    registry.deploy([])
    runs = Runs(world.observer.runtime)
    assert runs.found("flow", Filter(), limit=1).ids == []
    with pytest.raises(WorkflowNotFoundError):
        runs.found("other", Filter(), limit=1)


def test_runs_of_those_that_are_registered_retired_and_called_are_listed_together(world: World) -> None:
    registry = world.backend.runtime.registry
    registry.deploy([WorkflowRegistration(slug="flow", name="Flow", steps=[step("a")])])
    world.submit(run_id="old")
    registry.deploy([])
    world.register([step("a")], slug="new")
    world.backend.submit_run(RunSubmission(workflow_slug="new", run_id="fresh"))
    Called.new(world.backend, "called")
    assert {run.run_id: run.workflow_slug for run in world.observer.list_runs().runs} == {
        "old": "flow",
        "fresh": "new",
        "called": FLOW,
    }


@pytest.mark.parametrize("reason", [None, "enough"])
def test_who_cancels_says_why(world: World, reason: str | None) -> None:
    begun(world, step("a"))
    called = Called.new(world.backend, "called")
    for slug, run_id in (("flow", RUN), (FLOW, called.run_id)):
        world.backend.cancel_run(run_id, reason)
        [end] = [e for e in world.observer.load_events(slug, run_id) if isinstance(e, WorkflowCancelled)]
        assert (end.reason, end.workflow_attempt_number) == (reason, 1)


def test_a_long_input_is_put_aside_and_kept_as_long_as_the_run_that_names_it(world: World) -> None:
    begun(world, step("a"), input=LONG)
    world.backend.cancel_run(RUN)
    world.clock.pause_us(86_400_000_000)
    rerun = world.backend.rerun_from(parent_run_id=RUN, from_step_id="a", input={**LONG, "more": 1}).run_id
    for run_id, given in ((RUN, LONG), (world.backend.resume_run(RUN).run_id, LONG), (rerun, {**LONG, "more": 1})):
        run, state = world.observer.runtime.run(run_id), world.observer.get_run(run_id)
        assert state is not None
        assert json.loads(state.input or "") == given
        [place] = references_of(run.tail[0]).values()
        stored = world.observer.runtime.ledger.table.get(keys.payload_at(run_id, place))
        assert stored is not None
        assert stored[keys.EXPIRY] == run.expires_s


def test_runs_of_one_microsecond_are_listed_in_one_order_whoever_is_asked(world: World) -> None:
    """By their workflows' names: else a page of one process could repeat, or leave out, what another's has shown."""
    slugs = [f"w{number}" for number in range(9)]
    for slug in reversed(slugs):
        world.register([step("a")], slug=slug)
    with at(BEGIN_US):
        for slug in reversed(slugs):
            world.backend.submit_run(RunSubmission(workflow_slug=slug, run_id=f"of-{slug}"))
    pages = [world.another().list_runs(offset=offset, limit=3).runs for offset in (0, 3, 6)]
    assert len({run.created_at for page in pages for run in page}) == 1
    assert [run.workflow_slug for page in pages for run in page] == slugs
