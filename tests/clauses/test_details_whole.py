"""What is shown of a run, of a step and of events, each field of it: with texts and without, at each stage."""

from __future__ import annotations

import json
import secrets
from collections.abc import Set
from typing import Any

import pytest

from cascade_flow import (
    InvalidIdError,
    LogEntry,
    RetryTier,
    RunNotFoundError,
    RunSubmission,
    StepNotFoundError,
    VersionNotFoundError,
    clock,
)
from cascade_flow.dynamodb.listing import EVERY, Count, Filter, Tally
from cascade_flow.dynamodb.registry import put_notes
from cascade_flow.engine.commands import Complete, Postpone, SkipStep
from cascade_flow.model.workflows import WorkflowNotes
from cascade_flow.offload import Bucket
from cascade_flow.operations import details as module
from cascade_flow.operations.details import Details, StepDetails
from cascade_flow.operations.history import EventDetails, Histories
from cascade_flow.operations.payloads import OFFLOAD_BYTES, Handed, Payloads
from cascade_flow.testing.memory.bucket_client import BucketClient
from clauses.stage import AGAIN, FATAL, RUN, begun, claimed, done, reported, run_of
from contract.called import Called
from shapes import undo
from simulation import World, step

LATER = 1_000_000
VAST, LONG = (json.dumps(secrets.token_hex(size)) for size in (OFFLOAD_BYTES, 1_000))
VAST_OUTPUT = json.dumps(secrets.token_hex(OFFLOAD_BYTES))
CHAIN = (step("a"), step("b", "a", export_output=True), step("c", "b"))


def details(world: World) -> Details:
    return Details(world.observer.runtime)


@pytest.fixture
def read(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Set[str]]:
    """A world with a bucket, of which nothing is read; and the places whose texts are read, look by look."""
    world.bucket = BucketClient()
    world.backend, world.observer = world.another(), world.another(world.store.another_client())
    found, texts = list[Set[str]](), Payloads.texts

    def noted(payloads: Payloads, run_id: str, places: Set[str]) -> Any:
        found.append(places)
        return texts(payloads, run_id, places)

    monkeypatch.setattr(Payloads, "texts", noted)
    monkeypatch.setattr(Bucket, "get", lambda *_: pytest.fail("it is read"))
    return found


def lent(world: World, text: str) -> str:
    """The address of a text that lies in the bucket."""
    return world.observer.runtime.payloads.lend(text)


def through(world: World, *outputs: str) -> None:
    """A run of a chain, whose first steps have given these."""
    begun(world, *CHAIN, input=json.loads(VAST))
    for name, output in zip("abc", outputs, strict=False):
        reported(world, claimed(world, name, branch="a"), Complete(output, 1))


def test_a_run_is_told_with_its_texts_where_they_are_wanted(world: World, read: list[Set[str]]) -> None:
    through(world, VAST_OUTPUT, LONG, "1")
    found, run = details(world).run(RUN), run_of(world)
    assert (found.run.run_id, found.run.status, found.run.completed_at) == (RUN, "completed", run.completed_at_us)
    assert (found.version_id, found.undo_status, found.has_payloads) == (run.version_id, None, True)
    assert found.steps == details(world).steps(RUN)
    assert found.end is not None
    assert (found.end.type, found.end.timestamp_us) == ("WorkflowCompleted", run.completed_at_us)
    assert getattr(found.end, "output", None) == json.dumps({"b": json.loads(LONG)}, separators=(",", ":"))
    assert found.outside == {"input": lent(world, VAST)}, "no step's output is the run's"
    assert all(len(places) <= 1 for places in read)


def test_a_run_is_told_with_its_long_input_and_where_its_vast_output_lies(world: World, read: list[Set[str]]) -> None:
    begun(world, step("a", export_output=True), input=json.loads(LONG))
    reported(world, claimed(world, "a"), Complete(VAST_OUTPUT, 1))
    found = details(world).run(RUN)
    assert (found.run.input, getattr(found.end, "output", None)) == (LONG, "null")
    assert found.outside == {"output": lent(world, json.dumps({"a": json.loads(VAST_OUTPUT)}, separators=(",", ":")))}
    assert details(world).run(RUN, payloads=False).run.input == "null"


@pytest.mark.usefixtures("read")
def test_a_run_says_of_each_of_its_texts_where_it_lies(world: World) -> None:
    begun(world, step("a", export_output=True), input=json.loads(VAST))
    reported(world, claimed(world, "a"), Complete(VAST_OUTPUT, 1))
    assert sorted(details(world).run(RUN).outside) == ["input", "output"]


def test_a_run_is_told_without_what_is_not_wanted(world: World, read: list[Set[str]]) -> None:
    through(world, VAST_OUTPUT, LONG, "1")
    whole, read[:] = details(world).run(RUN), []
    bare = details(world).run(RUN, payloads=False, steps=False)
    assert (bare.run, bare.steps, bare.has_payloads, bare.outside, read) == (whole.run, None, False, {}, [])
    assert (bare.end and bare.end.timestamp_us, getattr(bare.end, "output", None)) == (
        whole.end and whole.end.timestamp_us,
        "null",
    )
    assert details(world).run(RUN, steps=False).end == whole.end
    assert details(world).run(RUN, payloads=False).steps == whole.steps


def test_a_step_is_told_with_what_it_was_given_and_gave(world: World, read: list[Set[str]]) -> None:
    through(world, VAST_OUTPUT, LONG)
    given, vast = Handed(address=lent(world, VAST)), Handed(address=lent(world, VAST_OUTPUT))
    told = {name: details(world).step(RUN, name) for name in "abc"}
    assert [each.step for each in told.values()] == [*details(world).steps(RUN)]
    assert {name: (each.input, dict(each.given), each.output) for name, each in told.items()} == {
        "a": (given, {}, vast),
        "b": (given, {"a": vast}, Handed(LONG)),
        "c": (given, {"b": Handed(LONG)}, None),
    }
    assert [[(tried.number, tried.status) for tried in each.attempts] for each in told.values()] == [
        [(1, "completed")],
        [(1, "completed")],
        [],
    ]
    assert [len(places) for places in read] == [0, 1, 1], "what the others gave is not read"


def test_a_step_is_told_with_all_its_attempts_in_their_order(world: World) -> None:
    begun(world, step("a", retry=[RetryTier(max_attempts=3, delay_ms=0)]))
    for attempt in (1, 2):
        reported(world, claimed(world, "a", attempt), AGAIN)
    claimed(world, "a", 3)
    tried = details(world).step(RUN, "a").attempts
    assert [(each.number, each.status) for each in tried] == [(1, "failed"), (2, "failed"), (3, "running")]


def test_a_step_is_told_without_texts_where_none_are_wanted(world: World, read: list[Set[str]]) -> None:
    through(world, "1", LONG)
    told = details(world).step(RUN, "b", payloads=False)
    assert (told.input, told.given, told.output, len(told.attempts), read) == (None, {}, None, 1, [])


def test_a_step_is_given_what_is_over_and_nothing_by_what_was_skipped(world: World) -> None:
    begun(world, step("a"), step("b"), step("c"), step("j", "a", "b", "c", skip_cascades=False), input={"order": 7})
    done(world, "a")
    reported(world, claimed(world, "b"), SkipStep("nothing to do", 1))
    claimed(world, "c")
    told = details(world).step(RUN, "j")
    assert (told.input, told.given, told.output) == (
        Handed('{"order":7}'),
        {"a": Handed('"done"'), "b": Handed()},
        None,
    )
    assert [each.status for each in details(world).step(RUN, "c").attempts] == ["running"]
    assert details(world).step(RUN, "c").output is None


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_events_come_with_their_texts_in_portions(
    world: World, read: list[Set[str]], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    through(world, VAST_OUTPUT, LONG, "1")
    found, read[:] = [*details(world).events(RUN)], []
    assert [each.event.timestamp_us for each in found] == [
        event.timestamp_us
        for event in Histories(world.observer.runtime).outline(RUN).events  # type: ignore[union-attr]
    ]
    assert {each.event.type: each.outside for each in found if each.outside} == {
        "RunSubmitted": {"input": lent(world, VAST)},
        "StepCompleted": {"output": lent(world, VAST_OUTPUT)},
    }
    assert [getattr(each.event, "output", None) for each in found if each.event.type == "StepCompleted"] == [
        "null",
        LONG,
        "1",
    ]
    assert all(each.has_payloads for each in found)


def test_events_are_told_without_texts_where_none_are_wanted(world: World, read: list[Set[str]]) -> None:
    through(world, VAST_OUTPUT, LONG, "1")
    told = [*details(world).events(RUN, payloads=False)]
    assert [EventDetails(each.event, {}, has_payloads=False) for each in details(world).events(RUN)] != told
    assert told == [EventDetails(each.event, {}, has_payloads=False) for each in told]
    assert [getattr(each.event, "output", None) for each in told if each.event.type == "StepCompleted"] == [
        "null",
        "null",
        "1",
    ]


def test_the_events_behind_a_time_that_pass_the_filter_are_told(world: World) -> None:
    begun(world, step("a"), step("b"))
    done(world, "a", "b")
    every = [each.event for each in details(world).events(RUN)]
    for place, event in enumerate(every):
        assert [each.event for each in details(world).events(RUN, after_us=int(event.timestamp_us))] == every[
            place + 1 :
        ]
        bare = details(world).events(RUN, after_us=int(event.timestamp_us), payloads=False)
        assert [each.event for each in bare] == every[place + 1 :]
    wanted = details(world).events(RUN, step_id="b", types=["StepStarted", "StepCompleted"])
    assert [(each.event.type, getattr(each.event, "step_id", "")) for each in wanted] == [
        ("StepStarted", "b"),
        ("StepCompleted", "b"),
    ]
    with pytest.raises(StepNotFoundError, match="has no step 'c'; its steps are a, b"):
        details(world).events(RUN, step_id="c")


def test_of_no_step_and_of_no_run_nothing_is_told(world: World) -> None:
    begun(world, step("a"))
    world.backend.initialize_run("other", "reserved")
    with pytest.raises(StepNotFoundError, match="has no step 'b'; its steps are a"):
        details(world).step(RUN, "b")
    with pytest.raises(InvalidIdError):
        details(world).step(RUN, "a/../b?")
    for look in (details(world).run, details(world).steps, details(world).brief, details(world).events):
        with pytest.raises(InvalidIdError):
            look("a/../b?")
    for run_id in ("reserved", "nobody"):
        for look in (details(world).run, details(world).steps, details(world).brief):
            with pytest.raises(RunNotFoundError, match=run_id):
                look(run_id)
        with pytest.raises(RunNotFoundError, match=run_id):
            details(world).step(run_id, "a")
    assert ([*details(world).events("reserved")], details(world).logs("reserved", step_id=None, attempt=None)) == (
        [],
        [],
    )
    with pytest.raises(RunNotFoundError, match="nobody"):
        details(world).events("nobody")
    with pytest.raises(RunNotFoundError, match="nobody"):
        details(world).logs("nobody", step_id=None, attempt=None)


def test_a_workflow_is_told_with_its_versions_and_what_is_noted_of_them(world: World) -> None:
    begun(world, step("a"))
    notes, version_id = WorkflowNotes(description="what it is for"), run_of(world).version_id
    put_notes(world.backend.runtime.ledger.table, "flow", version_id, notes)
    [entry] = details(world).workflows()
    assert (entry.metadata.slug, entry.version_id, entry.description) == ("flow", version_id, notes.description)
    workflow, version = details(world).workflow("flow"), details(world).version("flow", version_id)
    assert (workflow.entry, [each.version_id for each in workflow.versions]) == (entry, [version_id])
    assert (version, version.notes) == (workflow.version(version_id), notes)
    world.register([step("b")])
    workflow, version = details(world).workflow("flow"), details(world).version("flow", version_id)
    assert (workflow.current and workflow.current.notes, version.notes) == (WorkflowNotes(), notes)
    with pytest.raises(VersionNotFoundError, match=f"has no version 'v'; it has {version_id}"):
        details(world).version("flow", "v")
    for slug in ("shop", "bakery"):
        world.register([step("a")], slug=slug)
    assert [each.metadata.slug for each in details(world).workflows()] == ["bakery", "flow", "shop"]


@pytest.mark.parametrize("total", [True, False])
@pytest.mark.parametrize("by_status", [True, False])
@pytest.mark.parametrize(
    ("slug", "wanted", "numbers"),
    [
        ("flow", Filter(), {"completed": 1, "running": 1}),
        ("flow", Filter(tags=("x",)), {"completed": 1}),
        ("shop", Filter(), {"running": 1}),
        (None, Filter(), {"completed": 1, "running": 2}),
    ],
)
def test_runs_are_counted_as_far_as_that_is_wanted(
    world: World, slug: str | None, wanted: Filter, numbers: dict[str, int], total: bool, by_status: bool
) -> None:
    three_runs(world)
    count = Count(sum(numbers.values()), is_exact=True) if total else None
    tally = Tally(numbers, is_exact=True) if by_status else None
    assert details(world).counted(slug, wanted, total=total, by_status=by_status) == (count, tally)


def three_runs(world: World) -> None:
    """Two of one workflow, the older of which is over, and one of another."""
    begun(world, step("a"), tags=["x"])
    done(world, "a")
    world.submit(run_id="second")
    world.register([step("a")], slug="shop")
    world.backend.submit_run(RunSubmission(workflow_slug="shop", run_id="third"))


def test_runs_are_listed_as_is_wanted_and_from_where_it_is_wanted(world: World) -> None:
    three_runs(world)

    def listed(slug: str | None, wanted: Filter = EVERY, **options: Any) -> list[str]:
        return [run.run_id for run in details(world).runs(slug, wanted, **{"limit": 5, **options}).runs]

    assert (listed(None), listed("flow"), listed("shop")) == (["third", "second", RUN], ["second", RUN], ["third"])
    assert (listed("flow", Filter(("completed",))), listed("flow", offset=1)) == ([RUN], [RUN])
    assert (listed(None, offset=1, limit=1), listed(None, offset=1)) == (["second"], ["second", RUN])
    first = details(world).runs("flow", EVERY, limit=1)
    assert ([run.run_id for run in first.runs], listed("flow", after=first.more)) == (["second"], [RUN])


def test_a_run_says_how_far_it_is_undone(world: World) -> None:
    begun(world, step("a", undo=undo("un-a")), step("b", "a"))
    done(world, "a")
    assert details(world).run(RUN).undo_status is None
    reported(world, claimed(world, "b", branch="a"), FATAL)
    undone_by = str(run_of(world).undone_by)
    found = details(world).run(RUN)
    assert (found.undo_status, found.run.undone_by, details(world).run(undone_by).run.undoes) == (
        "running",
        undone_by,
        RUN,
    )
    assert details(world).run(RUN, payloads=False, steps=False).undo_status == "running"
    assert details(world).brief(undone_by).status == "running"
    world.settle(undone_by)
    assert (details(world).run(RUN).undo_status, details(world).run(undone_by).undo_status) == ("completed", None)


def test_of_a_run_that_was_tried_again_the_newest_end_is_told(world: World) -> None:
    def end() -> tuple[str, float] | None:
        told = details(world).run(RUN).end
        return None if told is None else (told.type, told.timestamp_us)

    begun(world, step("a", retry=[RetryTier(max_attempts=1)]))
    assert end() is None
    reported(world, claimed(world, "a"), FATAL)
    assert end() == ("WorkflowFailed", run_of(world).completed_at_us)
    world.backend.retry_run(RUN)
    assert end() is None
    world.backend.cancel_run(RUN)
    assert end() == ("WorkflowCancelled", run_of(world).completed_at_us)


def foreign(step_id: str) -> LogEntry:
    """A line that somebody else adds."""
    told: dict[str, object] = {"workflow_slug": "flow", "run_id": RUN, "timestamp_us": clock.now_us()}
    return LogEntry.model_validate(
        {**told, "step_id": step_id, "attempt_number": 1, "stream": "stdout", "message": "hello"}
    )


def one(world: World, run_id: str = RUN) -> StepDetails:
    """What is shown of the first step."""
    return details(world).steps(run_id)[0]


def test_a_step_says_how_often_it_was_not_ready_and_what_it_said_last_while_it_waits(world: World) -> None:
    begun(world, step("a"), step("b", "a"))
    assert (one(world).postponed, one(world).state.status) == (None, "scheduled")
    for attempt, reason in ((1, "too early"), (2, "still too early")):
        reported(world, claimed(world, "a", attempt), Postpone(reason, 1, delay_us=LATER))
        assert (one(world).postponed, one(world).state.status) == ((attempt, reason), "scheduled")
        world.clock.pause_us(2 * LATER)
    held = claimed(world, "a", 3)
    assert (one(world).postponed, one(world).state.status) == ((2, None), "running")
    reported(world, held)
    assert (one(world).postponed, one(world).state.status) == ((2, None), "completed")


def test_steps_are_told_in_declared_order_by_their_ids(world: World) -> None:
    begun(world, step("z"), step("b", "z").model_copy(update={"name": "Billing"}), step("a"))
    told = details(world).steps(RUN)
    assert [(each.definition.id, each.state.step_id) for each in told] == [(name, name) for name in "zba"]


def test_a_step_that_nothing_has_happened_to_stands_before_its_first_attempt(world: World) -> None:
    begun(world, step("a"), step("b", "a"))
    _, told = details(world).steps(RUN)
    assert (told.state.step_id, told.state.run_id, told.state.workflow_slug) == ("b", RUN, "flow")
    assert (told.state.status, told.state.attempt_number, told.state.dependencies) == ("pending", 1, ["a"])
    assert (told.state.state_changes, told.skipped, told.event, told.children) == ([], None, None, None)


def test_a_step_that_is_skipped_says_why_also_where_its_lines_come_after_that(world: World) -> None:
    begun(world, step("a"), step("b"))
    held = claimed(world, "a")
    reported(world, held, SkipStep("nothing to do", 1))
    world.backend.append_event("flow", RUN, foreign("a"))
    assert one(world).skipped is not None
    assert (getattr(one(world).skipped, "type", None), getattr(one(world).skipped, "reason", None)) == (
        "StepSkipped",
        "nothing to do",
    )


def test_a_step_that_was_skipped_and_is_tried_after_all_says_nothing_of_that(world: World) -> None:
    run = Called.with_step(world.backend)
    run.skip("a")
    assert (one(world, run.run_id).skipped is None, one(world, run.run_id).state.status) == (False, "skipped")
    run.schedule("a", 2)
    assert (one(world, run.run_id).skipped, one(world, run.run_id).state.status) == (None, "scheduled")
    run.skip("a", 2)
    assert getattr(one(world, run.run_id).skipped, "attempt_number", None) == 2


def test_of_a_step_that_has_completed_twice_the_last_output_is_shown(world: World) -> None:
    called = Called.with_step(world.backend)
    for attempt in (1, 2):
        if attempt == 2:
            called.schedule("a", 2)
        called.begin("a")
        called.complete("a", attempt, attempt)
    shown = details(world).step(called.run_id, "a").output
    assert shown is not None
    assert shown.text == "2"
