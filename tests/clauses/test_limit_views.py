"""What people see of limits, whole: which there are, how one stands, and what a step or a run waits for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cascade_flow import ChildrenDefinition, InvalidIdError, StepLimit, WorkflowRegistration, clock
from cascade_flow.dynamodb.places import Places
from cascade_flow.dynamodb.turns import next_turn
from cascade_flow.engine.limits import Holder, Place, Waiter, Waiting
from cascade_flow.engine.state import Branch, Limit, Run
from cascade_flow.errors import LimitNotFoundError
from cascade_flow.operations.details import Details
from cascade_flow.operations.limit_views import MOST_SHOWN, Declared, LimitDetails, LimitViews
from clauses.stage import claimed, reported
from shapes import undo
from simulation import BEGIN_US, World, step

NOW_US = BEGIN_US + 60_000_000
STRIPE = StepLimit(name="stripe", at_most=2)
ERP = StepLimit(name="erp", at_most=1, key="customer")
OPENAI = StepLimit(name="openai", at_most=1, per_ms=2_000)
TILL = Limit("till", 2)
RATE = Limit("rate", 1, 2_000_000)
OTHER, FIRST, MINE = (Holder(name, "a", "a", 1) for name in ("other", "first", "mine"))


@pytest.fixture
def now(world: World) -> Iterator[clock.SteppingClock]:
    """A time that stands still."""
    with clock.use(clock.SteppingClock(NOW_US)) as still:
        yield still


def views(world: World) -> LimitViews:
    return LimitViews(world.observer.runtime)


def declared(world: World) -> None:
    """Two workflows whose steps name three limits, one of them also where it undoes something."""
    each = ChildrenDefinition(kind="map", over="free")
    steps = [
        step("pay", limit=STRIPE),
        step("free", undo=undo("un-free", limit=STRIPE)),
        step("book", limit=ERP),
        step("pack", "free", children=each, limit=STRIPE),
    ]
    world.register(steps)
    others = [step("ask", limit=OPENAI), step("charge", limit=STRIPE)]
    world.backend.register_workflow(WorkflowRegistration(slug="shop", name="Shop", steps=others))


def taken(world: World, id: str, number: int, holder: Holder, until_us: int) -> None:
    """A place that somebody has until then."""
    assert Places(world.backend.runtime.ledger.table).take(id, number, holder, now_us=BEGIN_US, until_us=until_us)


def lined_up(world: World, id: str, *holders: Holder) -> None:
    for rank, holder in enumerate(holders):
        Places(world.backend.runtime.ledger.table).line_up(id, Waiter(rank, holder, 2))


def test_all_limits_are_told_by_name_with_all_that_name_them(world: World) -> None:
    declared(world)
    assert views(world).all() == [
        Declared(ERP, {"flow": ["book"]}),
        Declared(OPENAI, {"shop": ["ask"]}),
        Declared(STRIPE, {"flow": ["pay", "un-free", "pack"], "shop": ["charge"]}),
    ]


def test_the_steps_of_a_limit_are_told_by_their_ids(world: World) -> None:
    world.register([step("pay", limit=STRIPE).model_copy(update={"name": "Pay the bill"})])
    assert views(world).all() == [Declared(STRIPE, {"flow": ["pay"]})]


@pytest.mark.usefixtures("now")
def test_a_limit_is_told_as_it_stands(world: World) -> None:
    declared(world)
    named = {each.limit.name: each for each in views(world).all()}
    assert views(world).one("stripe", None) == LimitDetails(named["stripe"], None, {}, (), None)
    taken(world, "stripe", 0, OTHER, NOW_US)
    taken(world, "stripe", 1, FIRST, NOW_US + 1)
    lined_up(world, "stripe", MINE)
    places, line = {1: Place(FIRST, NOW_US + 1, BEGIN_US)}, (Waiter(0, MINE, 2),)
    assert views(world).one("stripe", None) == LimitDetails(named["stripe"], None, places, line, None)


@pytest.mark.usefixtures("now")
@pytest.mark.parametrize(("key", "holder"), [("C-1", OTHER), ("", FIRST), (None, FIRST)])
def test_of_a_limit_by_key_one_value_is_told_also_that_which_is_empty(
    world: World, key: str | None, holder: Holder
) -> None:
    declared(world)
    for id, each in {"erp": MINE, "erp#C-1": OTHER, "erp#": FIRST, "erp#None": MINE}.items():
        taken(world, id, 0, each, NOW_US + 1)
    found = views(world).one("erp", key)
    assert (found.key, found.places) == (key, {0: Place(holder, NOW_US + 1, BEGIN_US)})


@pytest.mark.usefixtures("now")
def test_of_turns_no_place_is_told_and_when_the_next_one_is_free(world: World) -> None:
    declared(world)
    [openai] = [each for each in views(world).all() if each.limit == OPENAI]
    assert views(world).one("openai", None) == LimitDetails(openai, None, {}, (), None)
    next_turn(world.backend.runtime.ledger.table, Limit("openai", 1, 2_000_000))
    assert views(world).one("openai", None) == LimitDetails(openai, None, {}, (), NOW_US + 2_000_000)


@pytest.mark.usefixtures("now")
def test_of_turns_by_key_those_of_one_value_are_told(world: World) -> None:
    world.register([step("a", limit=StepLimit(name="maps", at_most=1, per_ms=2_000, key="customer"))])
    next_turn(world.backend.runtime.ledger.table, Limit("maps#C-1", 1, 2_000_000))
    found = {key: views(world).one("maps", key) for key in ("C-1", "C-2")}
    assert {key: (each.key, each.next_free_us) for key, each in found.items()} == {
        "C-1": ("C-1", NOW_US + 2_000_000),
        "C-2": ("C-2", None),
    }


def test_what_is_no_name_of_a_limit_is_refused_as_such(world: World) -> None:
    declared(world)
    with pytest.raises(InvalidIdError):
        views(world).one("a/../b?", None)


def test_who_asks_for_a_limit_that_nobody_names_is_told_which_there_are(world: World) -> None:
    with pytest.raises(LimitNotFoundError, match=r"no workflow names a limit 'till'; there are: none$"):
        views(world).one("till", None)
    declared(world)
    with pytest.raises(LimitNotFoundError, match=r"there are: erp, openai, stripe$"):
        views(world).one("till", None)


@pytest.mark.usefixtures("now")
@pytest.mark.parametrize(
    ("run_id", "branch", "waits"),
    [
        ("mine", {}, Waiting(TILL, 1, 1)),
        ("mine", {"available_at_us": NOW_US}, Waiting(TILL, 1, 1)),
        ("mine", {"available_at_us": NOW_US + 1}, None),
        ("mine", {"attempt": 2}, Waiting(TILL, 1, None)),
        ("new", {}, Waiting(TILL, 1, None)),
        ("other", {}, None),
        ("mine", {"status": "running"}, None),
        ("mine", {"status": "open"}, None),
        ("mine", {"halt": "stop"}, None),
        ("mine", {"limit": None}, None),
        ("mine", {"limit": RATE}, None),
        ("mine", {"limit": RATE, "turn_us": NOW_US}, None),
        ("mine", {"limit": RATE, "turn_us": NOW_US + 1}, Waiting(RATE, turn_us=NOW_US + 1)),
        ("mine", {"limit": RATE, "turn_us": NOW_US + 1, "status": "running"}, None),
    ],
)
def test_a_step_says_what_it_waits_for_if_it_is_due_and_has_no_place(
    world: World, run_id: str, branch: dict[str, Any], waits: Waiting | None
) -> None:
    taken(world, "till", 0, OTHER, NOW_US + 1)
    taken(world, "till", 1, FIRST, NOW_US)
    lined_up(world, "till", FIRST, MINE)
    told = Branch(**{"name": "a", "step": "a", "status": "scheduled", "limit": TILL, **branch})
    assert views(world).waits(run_id, [told]) == ({} if waits is None else {"a": waits})


@pytest.mark.usefixtures("now")
@pytest.mark.parametrize(
    ("run", "waits"),
    [
        ({}, Waiting(TILL, 1, 1)),
        ({"available_at_us": NOW_US}, Waiting(TILL, 1, 1)),
        ({"available_at_us": NOW_US + 1}, None),
        ({"run_attempt": 2}, Waiting(TILL, 1, None)),
        ({"run_id": "other"}, None),
        ({"status": "running"}, None),
        ({"status": "cancelled"}, None),
        ({"limit": None}, None),
    ],
)
def test_a_run_says_what_it_waits_for_if_it_is_due_and_has_no_place(
    world: World, run: dict[str, Any], waits: Waiting | None
) -> None:
    taken(world, "till", 0, Holder.of_run("other", 1), NOW_US + 1)
    taken(world, "till", 1, Holder.of_run("gone", 1), NOW_US)
    lined_up(world, "till", Holder.of_run("first", 1), Holder.of_run("mine", 1))
    told: dict[str, Any] = {"run_id": "mine", "workflow_slug": "flow", "version_id": "v", "status": "pending"}
    times = dict.fromkeys(("created_us", "available_at_us", "deadline_us", "expires_s"), BEGIN_US)
    assert views(world).run_waits(Run(**{**told, **times, "limit": TILL, **run})) == (
        {} if waits is None else {"": waits}
    )


def test_each_step_of_a_run_is_told_with_what_it_waits_for_itself(world: World) -> None:
    one = StepLimit(name="till", at_most=1)
    world.register([step("b"), step("a", limit=one), step("c", limit=one), step("d", limit=one, delay_ms=60_000)])
    for run_id in ("r1", "r2"):
        world.submit(run_id=run_id)
    told = {run_id: waiting_of(world, run_id) for run_id in ("r1", "r2")}
    in_line = {name: Waiting(Limit("till", 1), 1, before) for name, before in (("a", 1), ("c", 2))}
    assert told == {
        "r1": {"b": None, "a": None, "c": Waiting(Limit("till", 1), 1, 0), "d": None},
        "r2": {"b": None, **in_line, "d": None},
    }


def waiting_of(world: World, run_id: str) -> dict[str, Waiting | None]:
    """What is shown of each step, with its run and by itself."""
    details = Details(world.observer.runtime)
    shown = details.steps(run_id)
    assert details.run(run_id).steps == shown
    return {each.definition.id: each.waiting for each in shown}


def test_a_later_step_of_a_branch_is_told_with_what_it_waits_for(world: World) -> None:
    world.register([step("a"), step("b", "a", limit=StepLimit(name="till", at_most=1))])
    for run_id in ("r1", "r2"):
        world.submit(run_id=run_id)
        held = claimed(world, "a", run_id=run_id)
        reported(world, held)
    assert waiting_of(world, "r1") == {"a": None, "b": None}
    assert waiting_of(world, "r2") == {"a": None, "b": Waiting(Limit("till", 1), 1, 0)}


def test_two_hundred_of_those_who_wait_are_shown_and_counted(world: World) -> None:
    declared(world)
    taken(world, "stripe", 0, OTHER, 2 * NOW_US)
    lined_up(world, "stripe", *(Holder(f"r{number:03d}", "a", "a", 1) for number in range(MOST_SHOWN + 1)))
    shown = views(world).one("stripe", None).line
    assert [waiter.holder.run_id for waiter in shown] == [f"r{number:03d}" for number in range(MOST_SHOWN)]
    branch = Branch("a", "scheduled", "a", limit=Limit("stripe", 2))
    last, beyond = (views(world).waits(f"r{number:03d}", [branch]) for number in (MOST_SHOWN - 1, MOST_SHOWN))
    assert last == {"a": Waiting(Limit("stripe", 2), 1, MOST_SHOWN - 1)}
    assert beyond == {"a": Waiting(Limit("stripe", 2), 1, None)}, "nobody has counted so far"


def test_a_workflow_that_is_deployed_no_more_names_no_limit(world: World) -> None:
    registration = WorkflowRegistration(slug="flow", name="Flow", steps=[step("a", limit=STRIPE)])
    world.backend.runtime.registry.deploy([registration])
    assert views(world).all() == [Declared(STRIPE, {"flow": ["a"]})]
    world.backend.runtime.registry.deploy([])
    assert views(world).all() == []
