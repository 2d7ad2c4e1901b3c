"""New runs out of old ones: reruns from any step and resumed runs, also while their author dies at any request."""

from collections.abc import Sequence

import pytest

from cascade_flow import (
    InputInvalidError,
    RunNotFoundError,
    RunNotRetryableError,
    StepCompleted,
    StepNotFoundError,
    StepSkipped,
    WorkflowRerunFromStep,
    WorkflowResumed,
    clock,
)
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.wake import Wake
from checker import Checked
from shapes import NESTED, SHAPES, WIDE, Shape, diamond
from simulation import TickingClock, World, step as declared
from testbed.faults import Kind, at, cases, faults, nowhere
from testbed.servers import Server, fresh_table
from testbed.wire import Answer, Floor, Request, Send, wire_of

RUN = "run"
WHOLE = [shape for shape in (*SHAPES, WIDE) if shape.status == "completed"]
BROKEN = [shape for shape in SHAPES if shape.status == "failed"]


@pytest.fixture
def world(server: Server):
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        yield World(store, clock=time)


def ended(world: World, shape: Shape) -> Checked:
    """A run of this shape at its end; its script is mended then."""
    world.script = dict(shape.script)
    world.register(shape.steps)
    world.submit(**shape.submission, run_id=RUN, input={"order": 7})
    world.settle(RUN)
    world.ran.clear()
    return world.check(RUN)


def affected(shape: Shape, step_id: str) -> set[str]:
    """The step and all that depend on it."""
    found = {step_id}
    for step in [s for _ in shape.steps for s in shape.steps]:
        found |= {step.id} if found & set(step.dependencies) else set()
    return found


@pytest.mark.parametrize("shape", WHOLE, ids=str)
def test_a_rerun_runs_the_step_and_its_dependents_and_keeps_the_rest(world: World, shape: Shape) -> None:
    parent = ended(world, shape)
    for step in shape.steps[:4]:
        world.ran.clear()
        run_id = world.backend.rerun_from(parent_run_id=RUN, from_step_id=step.id).run_id
        world.settle(run_id)
        again = world.check(run_id)
        skipped = {s.id for s in shape.steps} - {name for name, _ in world.ran}
        assert again.status == "completed"
        assert {name for name, _ in world.ran} <= affected(shape, step.id)
        assert step.id in {name for name, _ in world.ran} or shape.script
        assert again.count(WorkflowRerunFromStep) == 1
        assert again.count(StepCompleted) == parent.count(StepCompleted)
        assert skipped >= {s.id for s in shape.steps} - affected(shape, step.id)
    assert world.check(RUN).events == parent.events


@pytest.mark.parametrize("shape", BROKEN, ids=str)
def test_a_resumed_run_keeps_what_was_completed(world: World, shape: Shape) -> None:
    parent = ended(world, shape)
    world.script = {}
    run_id = world.backend.resume_run(RUN).run_id
    world.settle(run_id)
    again = world.check(run_id)
    assert again.status == "completed"
    assert again.count(WorkflowResumed) == 1
    assert len(world.ran) == len(shape.steps) - parent.count(StepCompleted)


def test_what_a_rerun_is_given_reaches_its_steps(world: World) -> None:
    ended(world, Shape("diamond", diamond()))
    run_id = world.backend.rerun_from(parent_run_id=RUN, from_step_id="a", input={"order": 8}).run_id
    world.settle(run_id)
    state = world.observer.get_run(run_id)
    assert state is not None
    assert state.input == '{"order":8}'
    world.check(run_id)


def test_a_rerun_goes_onto_the_current_version(world: World) -> None:
    ended(world, Shape("diamond", diamond()))
    world.register([*diamond(), *NESTED[-1:0], diamond()[0].model_copy(update={"id": "e", "dependencies": ["d"]})])
    run_id = world.backend.rerun_from(parent_run_id=RUN, from_step_id="d").run_id
    world.settle(run_id)
    assert {name for name, _ in world.ran} == {"d", "e"}
    world.check(run_id)


def test_what_cannot_be_rerun_is_refused_with_its_reason(world: World) -> None:
    ended(world, Shape("diamond", diamond()))
    with pytest.raises(RunNotFoundError):
        world.backend.rerun_from(parent_run_id="nobody", from_step_id="a")
    with pytest.raises(StepNotFoundError):
        world.backend.rerun_from(parent_run_id=RUN, from_step_id="z")
    with pytest.raises(RunNotRetryableError):
        world.backend.resume_run(RUN)
    with pytest.raises(RunNotRetryableError):
        world.backend.retry_run(RUN)
    world.register(diamond(), input_schema_json={"type": "object", "required": ["order"]})
    with pytest.raises(InputInvalidError):
        world.backend.rerun_from(parent_run_id=RUN, from_step_id="a", input={})
    world.check(RUN)


@pytest.mark.parametrize("shape", [Shape("nested", NESTED), WHOLE[-1]], ids=str)
def test_a_rerun_whose_author_dies_is_made_whole_or_not_at_all(world: World, shape: Shape) -> None:
    ended(world, shape)
    step_id = shape.steps[1].id
    with faults(nowhere, world.store.client) as clean:
        world.backend.rerun_from(parent_run_id=RUN, from_step_id=step_id)
    for number, kind in cases(clean.log, [Kind.CRASH_BEFORE, Kind.CRASH_AFTER]):
        before = set(world.observer.list_run_ids("flow"))
        with faults(at({number: kind}), world.store.client):
            world.outlive(lambda: world.backend.rerun_from(parent_run_id=RUN, from_step_id=step_id))
        for run_id in set(world.observer.list_run_ids("flow")) - before:
            world.settle(run_id)
            assert world.check(run_id).status == "completed", f"{kind} at {number}"


def test_a_filled_join_begins_when_what_waits_for_it_is_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = [f"p{n}" for n in range(30)]
    steps = [declared("a"), declared("b"), declared("j", "a", "b"), *map(declared, roots), declared("k", "j", *roots)]
    ended(world, Shape("late", steps))
    send = world.mailbox.send

    def run_at_once(wakes: Sequence[Wake]) -> None:
        send(wakes)
        while world.mailbox.wakes:
            world.deliver(world.mailbox.wakes.pop(), world.observer)

    monkeypatch.setattr(world.mailbox, "send", run_at_once)
    run_id = world.backend.rerun_from(parent_run_id=RUN, from_step_id="j").run_id
    monkeypatch.undo()
    world.settle(run_id)
    assert world.check(run_id).status == "completed"


def test_a_rerun_that_is_stopped_at_once_is_there_all_the_same(world: World) -> None:
    ended(world, WIDE)
    client = world.store.another_client()
    cancelled: list[str] = []

    def cancel_first(request: Request, send: Send) -> Answer:
        if request.operation == "TransactWriteItems" and not cancelled:
            cancelled.extend(run_id for run_id in world.observer.list_run_ids("flow") if run_id != RUN)
            world.observer.cancel_run(cancelled[0])
        return send(request)

    wire_of(client).add(cancel_first, floor=Floor.REWRITE)
    run_id = world.another(client).rerun_from(parent_run_id=RUN, from_step_id="a").run_id
    assert cancelled == [run_id]
    assert world.check(run_id).status == "cancelled"


def test_a_copy_made_by_a_clock_that_is_behind_keeps_what_was_copied(world: World) -> None:
    world.register(diamond())
    world.submit(run_id=RUN)
    world.settle(RUN)
    world.clock.pause_us(-60_000_000)
    world.ran.clear()
    run_id = world.backend.rerun_from(parent_run_id=RUN, from_step_id="d").run_id
    world.settle(run_id)
    assert world.check(run_id).status == "completed"
    assert world.ran == [("d", 1)]


def test_what_gives_way_again_names_where_the_skip_began(world: World) -> None:
    world.script = {"a": ["skip"]}
    world.register([declared("a"), declared("b", "a"), declared("c", "b")])
    world.submit(run_id=RUN)
    world.settle(RUN)
    run_id = world.backend.rerun_from(parent_run_id=RUN, from_step_id="c").run_id
    world.settle(run_id)
    skips = [event for event in world.check(run_id).events if isinstance(event, StepSkipped)]
    assert [(event.step_id, event.cascaded_from) for event in skips] == [("a", None), ("b", "a"), ("c", "a")]
