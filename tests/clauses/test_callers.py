"""Runs of other engines: every word under what was known of the run and the step, every event under a free key (§2)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from cascade_flow import (
    ConflictError,
    DynamoDBBackend,
    EngineDrivenError,
    InvalidIdError,
    LogEntry,
    RunNotFoundError,
    RunSubmitted,
    StaleAttemptError,
    StepError,
    StepHeartbeat,
    StepRetrying,
    StepStarted,
    ThrottledError,
    clock,
)
from cascade_flow.dynamodb import due, keys, registry
from cascade_flow.dynamodb.caller_ledger import CallerLedger, chunk_of
from cascade_flow.dynamodb.items import log_item
from cascade_flow.dynamodb.table import Put, Table
from cascade_flow.engine.caller import Draft
from cascade_flow.errors import RequestError
from cascade_flow.operations.copies import _taken_from
from checker import check_run
from clauses.stage import DONE, FATAL, begun, claimed, counting, dies, done, dying, reported
from contract.called import FLOW, Called
from faults.moments import pausing
from simulation import BEGIN_US, TickingClock, World, step

MINUTE_US = 60_000_000
ENDS: dict[str, Callable[[Called], object]] = {
    "completed": Called.finish,
    "failed": Called.give_up,
    "cancelled": lambda run: run.backend.cancel_run(run.run_id),
}


def under_way(world: World, *steps: str) -> Called:
    """A run of which these steps are scheduled."""
    run = Called.new(world.backend)
    for name in steps or ("a",):
        run.schedule(name)
    return run


def by(run: Called, backend: DynamoDBBackend) -> Called:
    """The run in the hands of another process."""
    return replace(run, backend=backend)


def others(world: World, run: Called) -> Called:
    return by(run, world.observer)


def listed(world: World, run: Called) -> list[str]:
    """The steps of a run that lie in the due index."""
    table = world.observer.runtime.ledger.table
    found = due.called(table, until_us=clock.now_us() + MINUTE_US)
    return sorted(entry.branch for entry in found if entry.run_id == run.run_id and entry.branch)


def gone(world: World, key: keys.Key) -> None:
    """An item is away: it has expired, or somebody has deleted it."""
    world.store.another_client().delete_item(
        TableName=world.store.table, Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}}
    )


def checked(world: World, run: Called) -> list[str]:
    check_run(world.observer, run.run_id)
    return others(world, run).kinds()


def test_workflows_of_which_runs_were_told_are_noted_once_by_each_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[str] = []
    put_called = registry.put_called

    def note(table: Table, slug: str) -> None:
        noted.append(slug)
        put_called(table, slug)

    monkeypatch.setattr(registry, "put_called", note)
    world.backend.initialize_run("other", "reserved")
    under_way(world)
    Called.new(world.backend, "run-2")
    Called(world.backend, "run-3", slug="bills").submit()
    assert noted == [FLOW, "bills"]
    assert [*registry.list_called(world.observer.runtime.ledger.table)] == ["bills", FLOW]


def test_a_workflow_that_could_not_be_noted_is_noted_by_who_tries_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No run is told of whose workflow is not: nobody would find it."""

    def refuse(_: Table, slug: str) -> None:
        raise ThrottledError(slug)

    run = Called(world.backend, "run-1")
    with monkeypatch.context() as busy:
        busy.setattr(registry, "put_called", refuse)
        for _ in range(2):
            with pytest.raises(ThrottledError):
                run.submit()
    table = world.observer.runtime.ledger.table
    assert ([*registry.list_called(table)], world.observer.runtime.ledger.run("run-1")) == ([], None)
    run.submit()
    assert [*registry.list_called(table)] == [FLOW]


@pytest.mark.parametrize("end", ENDS)
def test_no_report_is_taken_after_the_runs_end(world: World, end: str) -> None:
    run = under_way(world)
    run.take("a")
    late = by(run, pausing(world, "TransactWriteItems", lambda: ENDS[end](others(world, run))))
    with pytest.raises(StaleAttemptError):
        late.complete("a")
    assert "StepCompleted" not in checked(world, run)


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_claimed_or_scheduled_after_the_runs_end(world: World, end: str) -> None:
    for name in ("run-1", "run-2"):
        run = Called.with_step(world.backend, run_id=name)
        late = by(run, pausing(world, "TransactWriteItems", partial(ENDS[end], others(world, run))))
        if name == "run-1":
            assert late.claim("a") is None
        else:
            with pytest.raises(StaleAttemptError):
                late.schedule("b")
        assert not {"StepStarted", "b"} & {*checked(world, run), *run.kinds("b")}
        assert run.kinds("b") == []


LATE: dict[str, Callable[[Called], object]] = {
    "begun": lambda run: run.backend.save_step_start(FLOW, run.run_id, "b", "worker-2", dependencies=[]),
    "beaten": lambda run: run.beat("a"),
    "tried again": lambda run: run.retry("a"),
    "failed": lambda run: run.fail("a"),
    "skipped": lambda run: run.skip("a"),
    "reclaimed": lambda run: run.reclaim("a"),
}


@pytest.mark.parametrize("word", LATE)
def test_nothing_is_said_of_a_step_after_the_runs_end(world: World, word: str) -> None:
    run = under_way(world)
    run.take("a")
    with pytest.raises(StaleAttemptError):
        LATE[word](by(run, pausing(world, "TransactWriteItems", others(world, run).give_up)))
    assert checked(world, run)[-1] == "WorkflowFailed"


@pytest.mark.parametrize("word", [word for word in LATE if word != "begun"])
def test_who_says_again_what_is_stored_is_told_so(world: World, word: str) -> None:
    run = under_way(world)
    run.take("a")
    LATE[word](run)
    if word == "beaten":
        run.give_up()
    with pytest.raises(StaleAttemptError) as caught:
        LATE[word](run)
    assert caught.value.facts.get("stored", False) is (word != "tried again"), "its times are others"


def test_who_tries_again_says_it_again_where_all_of_it_is_stored(world: World) -> None:
    run = under_way(world)
    run.take("a")
    found = list[bool]()
    with clock.use(TickingClock(clock.now_us(), tick_us=0)):
        run.retry("a", max_retries=3)
        for said in (3, 4):
            with pytest.raises(StaleAttemptError) as caught:
                run.retry("a", max_retries=said)
            found.append(caught.value.facts.get("stored", False))
    assert found == [True, False]


def test_who_claims_what_is_not_due_writes_nothing(world: World) -> None:
    run = under_way(world)
    run.take("a")
    late, sizes = counting(world)
    assert by(run, late).claim("a") is None
    assert not any(sizes)


def test_what_is_left_of_a_run_that_is_gone_is_listed_nowhere(world: World) -> None:
    run, other = under_way(world), Called.with_step(world.backend, run_id="run-2")
    gone(world, keys.run(run.run_id))
    assert [ref.run_id for ref in world.observer.list_scheduled_steps()] == [other.run_id]


@pytest.mark.parametrize("end", ENDS)
def test_the_steps_of_an_ended_run_leave_the_lists(world: World, end: str) -> None:
    run = under_way(world, "a", "b")
    run.take("a")
    assert listed(world, run) == ["a", "b"]
    ENDS[end](run)
    assert listed(world, run) == []


def test_the_steps_of_a_run_that_goes_on_again_stay_in_the_lists(world: World) -> None:
    run = under_way(world)
    late = by(run, pausing(world, "TransactWriteItems", lambda: others(world, run).try_again(), at=2))
    late.give_up()
    assert listed(world, run) == ["a"]
    check_run(world.observer, run.run_id)


def test_a_step_that_was_forgotten_is_not_made_by_who_takes_it_from_the_lists(world: World) -> None:
    run = under_way(world)
    forget = partial(gone, world, keys.branch(run.run_id, "a"))
    by(run, pausing(world, "TransactWriteItems", forget, at=2)).give_up()
    assert world.observer.runtime.ledger.table.get(keys.branch(run.run_id, "a")) is None


def test_a_run_that_has_expired_takes_no_more_words(world: World) -> None:
    run = under_way(world)
    run.take("a")
    late = by(run, pausing(world, "TransactWriteItems", lambda: gone(world, keys.run(run.run_id))))
    with pytest.raises(RunNotFoundError):
        late.complete("a")


def test_a_run_that_has_expired_keeps_no_other_from_being_listed(world: World) -> None:
    expired, other = under_way(world), Called.with_step(world.backend, "b", "run-2")
    gone(world, keys.run(expired.run_id))
    assert listed(world, expired) == ["a"]
    assert [(ref.run_id, ref.step_id) for ref in world.observer.list_scheduled_steps()] == [(other.run_id, "b")]


def test_the_engine_does_nothing_for_a_run_that_its_caller_drives(world: World) -> None:
    run = under_way(world)
    with pytest.raises(RequestError, match="is driven by its caller, so the engine does nothing for it"):
        run.backend.send_event(run.run_id, "a", None)


def test_lines_of_a_run_that_is_spoken_of_already_are_stored_with_no_further_look_at_it(world: World) -> None:
    run = under_way(world)
    late, requests = counting(world)
    late.save_step_logs(FLOW, run.run_id, "a", [line(run)])
    assert len(requests) == 2, "its own item, and what is stored"


def test_lines_of_a_run_that_has_expired_are_not_deleted_one_by_one(world: World) -> None:
    run = under_way(world)
    run.backend.save_step_logs(FLOW, run.run_id, "a", [line(run)])
    late = by(run, pausing(world, "TransactWriteItems", lambda: gone(world, keys.run(run.run_id))))
    with pytest.raises(RunNotFoundError):
        late.backend.delete_step_events(FLOW, run.run_id, step_ids=["a"])
    assert list(world.observer.runtime.ledger.table.query(keys.logs(run.run_id)))


def line(run: Called, at_us: int | None = None) -> LogEntry:
    return LogEntry(**place(FLOW, run.run_id, at_us), step_id="a", attempt_number=1, stream="stdout", message="hello")


def place(slug: str, run_id: str, at_us: int | None = None) -> dict[str, Any]:
    """Where an event of somebody else's belongs."""
    return {"workflow_slug": slug, "run_id": run_id, "timestamp_us": at_us or clock.now_us()}


def test_words_are_kept_from_a_run_that_is_being_copied_into(world: World) -> None:
    source = under_way(world)
    run = Called(world.backend, "copy")
    run.backend.initialize_run(FLOW, run.run_id)
    copying = dying(world, "PutItem", after=True)

    def copied() -> None:
        dies(lambda: copying.copy_entire_run(FLOW, source.run_id, run.run_id))

    with pytest.raises(ConflictError, match="being copied"):
        by(run, pausing(world, "TransactWriteItems", copied)).schedule("z")
    world.observer.copy_entire_run(FLOW, source.run_id, run.run_id)
    assert checked(world, run) == checked(world, source)


def test_steps_of_a_callers_run_are_no_branches(world: World) -> None:
    history = world.observer.runtime.ledger.history(under_way(world).run_id)
    assert history is not None
    assert (history.branches, [record["type"] for record in history.records][-1:]) == ({}, ["StepScheduled"])


def test_two_events_of_one_time_are_two(world: World) -> None:
    run = under_way(world)
    with clock.use(TickingClock(BEGIN_US + MINUTE_US, tick_us=0)):
        for name in ("b", "c", "d"):
            run.schedule(name)
    assert checked(world, run).count("StepScheduled") == 4


def test_who_schedules_a_step_that_another_has_scheduled_meanwhile_tells_of_both(world: World) -> None:
    run = under_way(world)
    late = by(run, pausing(world, "TransactWriteItems", lambda: others(world, run).begin("b")))
    late.schedule("b", attempt=2)
    check_run(world.observer, run.run_id)
    assert others(world, run).kinds("b") == ["StepStarted", "StepScheduled"]


def test_who_was_overtaken_by_what_is_told_of_before_all_that_is_known_tells_of_it_too(world: World) -> None:
    """A step that is told anew is never stored as one that somebody knows already."""
    run = under_way(world)
    [scheduled] = run.events("StepScheduled")
    first_us = int(scheduled.timestamp_us) - 1
    early = StepStarted(
        **place(FLOW, run.run_id, first_us), step_id="a", worker_id="worker-2", dependencies=[], attempt_number=1
    )
    late = pausing(world, "TransactWriteItems", lambda: world.observer.append_event(FLOW, run.run_id, early))
    by(run, late).schedule("a", attempt=2)
    assert checked(world, run)[-3:] == ["StepStarted", "StepScheduled", "StepScheduled"]


def test_of_two_reports_one_is_taken(world: World) -> None:
    run = under_way(world)
    run.take("a")
    late = by(run, pausing(world, "TransactWriteItems", lambda: others(world, run).fail("a", terminal=True)))
    with pytest.raises(StaleAttemptError):
        late.complete("a")
    assert "StepCompleted" not in checked(world, run)


def test_of_two_ends_one_is_taken(world: World) -> None:
    run = under_way(world)
    late = by(run, pausing(world, "TransactWriteItems", lambda: others(world, run).give_up()))
    with pytest.raises(StaleAttemptError):
        late.finish()
    assert "WorkflowCompleted" not in checked(world, run)


def test_of_two_first_words_both_are_told(world: World) -> None:
    run = Called(world.backend, "run-1")
    by(run, pausing(world, "TransactWriteItems", lambda: others(world, run).start())).submit()
    assert sorted(checked(world, run)) == ["RunSubmitted", "WorkflowStarted"]


def test_what_is_said_of_an_ended_run_that_goes_on_meanwhile_leaves_its_step_in_the_lists(world: World) -> None:
    run = under_way(world)
    run.take("a")
    run.give_up()
    late = pausing(world, "TransactWriteItems", lambda: others(world, run).try_again())
    beat = StepHeartbeat(**place(FLOW, run.run_id), step_id="a", worker_id="worker-1", attempt_number=1)
    late.append_event(FLOW, run.run_id, beat)
    assert listed(world, run) == ["a"]
    check_run(world.observer, run.run_id)


def test_who_brings_a_step_back_into_the_lists_overwrites_nothing_of_it(world: World) -> None:
    run = under_way(world)
    run.take("a")
    run.give_up()
    by(run, pausing(world, "PutItem", lambda: others(world, run).complete("a"))).try_again()
    assert checked(world, run)[-1] == "StepCompleted"
    assert listed(world, run) == []


def test_the_note_that_all_steps_are_listed_comes_too_late_for_another_attempt(world: World) -> None:
    run = under_way(world)
    run.give_up()

    def meanwhile() -> None:
        others(world, run).give_up()
        dies(lambda: by(run, dying(world, "TransactWriteItems", after=True)).try_again())

    by(run, pausing(world, "UpdateItem", meanwhile)).try_again()
    assert [ref.step_id for ref in world.observer.list_scheduled_steps()] == ["a"]
    assert listed(world, run) == ["a"]


def test_who_reserves_an_id_that_others_take_meanwhile_is_told_whose_it_is(world: World) -> None:
    late = pausing(world, "PutItem", lambda: world.observer.initialize_run("bills", "run-1"))
    with pytest.raises(RunNotFoundError, match="belongs to 'bills'"):
        late.initialize_run(FLOW, "run-1")
    pausing(world, "PutItem", lambda: world.observer.initialize_run(FLOW, "run-2")).initialize_run(FLOW, "run-2")


@pytest.mark.parametrize("bad", ["a#b", "", "two words"])
def test_no_run_is_made_for_what_is_no_workflows_name(world: World, bad: str) -> None:
    event = submission("run-1", clock.now_us()).model_copy(update={"workflow_slug": bad})
    with pytest.raises(InvalidIdError):
        world.backend.batch_append_events([event])
    assert world.observer.runtime.ledger.run("run-1") is None


def test_who_cancels_says_how_long_it_took_and_what_was_done(world: World) -> None:
    run = Called.new(world.backend, available_at_us=clock.now_us() + MINUTE_US)
    for name in ("a", "b", "c"):
        run.schedule(name)
    run.do("b")
    world.clock.pause_us(MINUTE_US)
    world.backend.cancel_run(run.run_id)
    [cancelled] = run.events("WorkflowCancelled")
    assert MINUTE_US < cancelled.duration_us < MINUTE_US + 1_000_000
    assert cancelled.completed_steps == 1


def test_who_cancels_by_a_clock_that_was_set_back_says_that_it_took_no_time(world: World) -> None:
    run = under_way(world)
    world.clock.pause_us(-MINUTE_US)
    world.backend.cancel_run(run.run_id)
    assert [event.duration_us for event in run.events("WorkflowCancelled")] == [0]


def test_a_workflow_is_active_where_a_run_was_submitted_and_has_not_ended(world: World) -> None:
    Called(world.backend, "reserved", slug="bills").schedule("a")
    run = under_way(world)
    assert world.backend.list_active_workflows() == [FLOW]
    late = pausing(world, "BatchGetItem", others(world, run).finish)
    assert late.list_active_workflows() == []


def test_active_workflows_come_in_the_order_of_their_slugs_and_without_what_nobody_can_read(world: World) -> None:
    for slug in "fedcbaz":
        Called(world.backend, f"run-{slug}", slug=slug).submit()
    table = world.observer.runtime.ledger.table
    item = table.get(keys.run("run-z"))
    assert item is not None
    table.write([Put({**item, "e": b"\x63"})])
    assert world.backend.list_active_workflows() == list("abcdef")


def submission(run_id: str, at_us: int, **told: Any) -> RunSubmitted:
    said = {"version_id": "v1", "available_at_us": at_us, "priority": 0, "has_input_schema": False, **told}
    return RunSubmitted(**place(FLOW, run_id, at_us), **said)


def test_of_two_events_of_one_time_each_keeps_its_long_text(world: World) -> None:
    at_us = clock.now_us()
    inputs = [json.dumps(secrets.token_hex(1_000)) for _ in range(2)]
    for input in inputs:
        world.backend.append_event(FLOW, "run-1", submission("run-1", at_us, input=input))
    assert [event.input for event in Called(world.observer, "run-1").events()] == inputs


# -- copies -----------------------------------------------------------------------------------------------------------


def copy(backend: DynamoDBBackend, source: Called) -> Called:
    backend.copy_entire_run(FLOW, source.run_id, "copy")
    return Called(backend, "copy")


def test_a_copy_takes_a_new_id_and_one_that_is_only_initialized(world: World) -> None:
    source = under_way(world)
    assert checked(world, copy(world.backend, source)) == checked(world, source)
    world.backend.initialize_run(FLOW, "another")
    world.backend.copy_entire_run(FLOW, source.run_id, "another")
    assert checked(world, Called(world.backend, "another")) == checked(world, source)


def test_an_interrupted_copy_is_repeated(world: World) -> None:
    source = under_way(world)
    dies(lambda: copy(dying(world, "TransactWriteItems"), source))
    assert world.observer.runtime.ledger.run("copy") is None
    assert checked(world, copy(world.backend, source)) == checked(world, source)


def test_a_copy_leaves_no_line_of_one_that_was_interrupted(world: World) -> None:
    source = under_way(world)
    dies(lambda: copy(dying(world, "TransactWriteItems"), source))
    table = world.observer.runtime.ledger.table
    left = log_item(keys.log_chunk("copy", "a", 1, BEGIN_US, "ab"), [(BEGIN_US, "stdout", "old")], expires_s=2**40)
    table.write([Put(left)])
    assert checked(world, copy(world.backend, source)) == checked(world, source)
    assert list(table.query(keys.logs("copy"))) == []


def test_a_copys_lines_expire_with_it(world: World) -> None:
    run = world.observer.runtime.ledger.run(under_way(world).run_id)
    assert run is not None
    key = keys.log_chunk("older", "a", 1, BEGIN_US, "ab")
    copied = chunk_of(run, log_item(key, [(BEGIN_US, "stdout", "line")], expires_s=7))
    assert (copied[keys.PARTITION], copied[keys.EXPIRY]) == (keys.run(run.run_id).pk, run.expires_s)


def test_a_copy_is_seen_by_nobody_until_it_is_whole(world: World) -> None:
    source = under_way(world)
    dies(lambda: copy(dying(world, "TransactWriteItems"), source))
    ledger = world.observer.runtime.ledger
    assert ledger.table.get(keys.run("copy")) is not None
    assert (ledger.run("copy"), ledger.history("copy")) == (None, None)
    assert [run.run_id for run in ledger.runs(["copy", source.run_id])] == [source.run_id]
    assert ledger.snapshot([("copy", "a")]).run("copy") is None
    assert world.observer.get_run("copy") is None
    assert world.observer.load_events(FLOW, "copy") == []
    assert world.observer.list_run_ids(FLOW) == [source.run_id]
    assert "copy" not in {entry.run_id for entry in due.live(ledger.table)}
    copied = copy(world.backend, source)
    assert sorted(world.observer.list_run_ids(FLOW)) == sorted([copied.run_id, source.run_id])


def test_a_copy_of_a_copy_stands_for_the_first_run(world: World) -> None:
    run = under_way(world)
    for source, target in ((run.run_id, "copy"), ("copy", "another")):
        world.backend.copy_entire_run(FLOW, source, target)
    assert world.observer.runtime.run("another").first_run_id == run.run_id


@pytest.mark.parametrize("submitted", [0, 1, 2])
def test_what_was_said_of_a_run_before_its_submission_was_copied_counts(world: World, submitted: int) -> None:
    """Also where what is copied with it lies before it."""
    run = Called(world.backend, "copy")
    run.start()
    source, kinds = Called(world.backend, "run-1"), ["WorkflowInputValidation"] * 2
    kinds.insert(submitted, "RunSubmitted")
    for kind in kinds:
        if kind == "RunSubmitted":
            source.submit()
        else:
            world.backend.save_workflow_input_validation(
                FLOW, source.run_id, workflow_attempt_number=1, has_schema=False, success=True
            )
    world.backend.copy_workflow_events(FLOW, source.run_id, run.run_id, exclude_terminal=True)
    assert checked(world, run) == ["WorkflowStarted", *kinds]
    assert run.status == "running"


def test_of_a_copy_that_was_never_submitted_no_workflow_is_noted(world: World) -> None:
    Called(world.backend, "run-1").schedule("a")
    world.backend.copy_entire_run(FLOW, "run-1", "copy")
    assert registry.list_called(world.observer.runtime.ledger.table) == []


@pytest.mark.parametrize("said", [[], ["a"]])
def test_a_copy_of_what_was_never_submitted_goes_on_as_its_source_would(world: World, said: list[str]) -> None:
    source, run = Called(world.backend, "run-1"), Called(world.backend, "copy")
    world.backend.initialize_run(FLOW, source.run_id)
    for name in said:
        source.schedule(name)
    world.backend.copy_entire_run(FLOW, source.run_id, run.run_id)
    run.schedule("b")
    assert checked(world, run) == [*checked(world, source), "StepScheduled"]
    run.submit()
    assert run.status == "pending"


def test_an_event_of_the_first_time_of_all_is_copied_once(world: World) -> None:
    beat = StepHeartbeat(
        workflow_slug=FLOW, run_id="run-1", timestamp_us=0, step_id="a", worker_id="w", attempt_number=1
    )
    world.backend.append_event(FLOW, "run-1", beat)
    for _ in range(2):
        world.backend.copy_step_events(FLOW, "run-1", "copy", include_step_ids=["a"])
    assert checked(world, Called(world.backend, "copy")) == ["StepHeartbeat"]


def test_a_run_is_there_into_which_nothing_was_copied(world: World) -> None:
    run = under_way(world)
    world.backend.copy_step_events(FLOW, run.run_id, "steps", include_step_ids=["nothing"])
    assert world.observer.run_exists(FLOW, "steps")


def test_of_two_events_that_say_the_same_each_is_copied_where_the_first_was_moved_on(world: World) -> None:
    """The first stands where the second should, since another had its time when the copy was interrupted."""
    said = Draft(StepHeartbeat, {"step_id": "a"}, 7)
    others = {7: Draft(StepHeartbeat, {"step_id": "b"}, 7), 8: Draft(StepStarted, {"step_id": "a"}, 8)}
    there: dict[int, Draft | None] = {**others, 9: said}
    assert [_taken_from(there, wanted) for wanted in (said, replace(said, at_us=8))] == [True, False]


def test_a_copy_takes_no_id_of_which_something_was_said(world: World) -> None:
    source = under_way(world)
    said = Called(world.backend, "copy")
    said.schedule("z")
    with pytest.raises(ConflictError, match="taken"):
        copy(world.backend, source)
    assert checked(world, said) == ["StepScheduled"]


def test_a_copy_takes_no_id_of_a_run_of_the_engines(world: World) -> None:
    source = under_way(world)
    begun(world, step("a"), available_at=clock.now_us() + MINUTE_US)
    with pytest.raises(ConflictError, match="taken"):
        world.backend.copy_entire_run(FLOW, source.run_id, "run")
    assert check_run(world.observer, "run").status == "pending"


@pytest.mark.parametrize("moment", ["TransactWriteItems", "PutItem"])
def test_of_two_copies_one_is_refused(world: World, moment: str) -> None:
    source, other = under_way(world), Called.new(world.backend, "run-2")
    last = {"TransactWriteItems": 1, "PutItem": 3}[moment]
    late = pausing(world, moment, lambda: copy(world.observer, other), at=last)
    with pytest.raises(ConflictError, match="taken"):
        copy(late, source)
    assert checked(world, Called(world.backend, "copy")) == checked(world, other)


# -- events of others in runs of the engine's -------------------------------------------------------------------------


@pytest.mark.parametrize("status", ENDS)
def test_nothing_is_added_after_the_end_of_a_run_of_the_engines(world: World, status: str) -> None:
    begun(world, step("a"))
    held = claimed(world, "a")

    def ended() -> None:
        world.clock.pause_us(-MINUTE_US // 2)
        if status == "cancelled":
            world.observer.cancel_run("run")
        else:
            reported(world, held, FATAL if status == "failed" else DONE)

    world.clock.pause_us(MINUTE_US)
    late = pausing(world, "TransactWriteItems", ended)
    for told in (foreign(), retrying()):
        with pytest.raises(EngineDrivenError, match="after its end"):
            late.append_event("flow", "run", told)
    assert check_run(world.observer, "run").status == status


def test_what_reports_ask_for_is_told_though_a_run_ends_before_it_is_added(world: World) -> None:
    begun(world, step("a"))
    held, told = claimed(world, "a"), retrying()

    def ended_and_reported() -> None:
        reported(world, held, DONE)
        assert world.observer.get_retry_analysis().total_retries == 0

    pausing(world, "TransactWriteItems", ended_and_reported).append_event("flow", "run", told)
    assert world.observer.get_retry_analysis().total_retries == 1
    check_run(world.observer, "run")


def test_what_a_caller_tells_of_before_its_run_was_submitted_is_reported(world: World) -> None:
    before_us = clock.now_us()
    world.clock.pause_us(10 * MINUTE_US)
    under_way(world)
    world.backend.append_event(FLOW, "run-1", retrying(before_us + 1, run=(FLOW, "run-1")))
    found = world.backend.get_retry_analysis(start_us=before_us, end_us=before_us + MINUTE_US)
    assert found.total_retries == 1


def foreign(at_us: int | None = None) -> LogEntry:
    return LogEntry(**place("flow", "run", at_us), step_id="a", attempt_number=1, stream="stdout", message="hello")


def retrying(at_us: int | None = None, *, run: tuple[str, str] = ("flow", "run")) -> StepRetrying:
    more: dict[str, Any] = {"error": StepError(message="no"), "next_attempt": 2}
    return StepRetrying(**place(*run, at_us), step_id="a", attempt_number=1, **more)


def test_what_happened_before_the_end_of_a_run_of_the_engines_is_added(world: World) -> None:
    begun(world, step("a"))
    early_us = clock.now_us()
    done(world, "a")
    world.backend.append_event("flow", "run", foreign(early_us))
    assert check_run(world.observer, "run").count(LogEntry) == 1


def test_two_events_of_others_of_one_time_are_two(world: World) -> None:
    begun(world, step("a"))
    at_us = clock.now_us()
    for _ in range(3):
        world.backend.append_event("flow", "run", foreign(at_us))
    assert check_run(world.observer, "run").count(LogEntry) == 3


def test_a_long_run_is_copied_in_transactions_that_dynamodb_takes(world: World) -> None:
    source = under_way(world, *(f"s{number:02d}" for number in range(60)))
    by, sizes = counting(world)
    assert checked(world, copy(by, source)) == checked(world, source)
    assert sum(sizes) > 100 >= max(sizes)


def test_steps_whose_run_is_gone_are_nobodys(world: World) -> None:
    """The table deletes what has expired item by item."""
    called = Called.with_step(world.backend)
    ledger = CallerLedger(world.backend.runtime.ledger.table)
    assert set(ledger.whole_scene(called.slug, called.run_id).steps) == {"a"}
    world.backend.runtime.ledger.table.delete(keys.run(called.run_id))
    for gone in (ledger.whole_scene(called.slug, called.run_id), ledger.known_run(called.slug, called.run_id, "a")):
        assert (gone.run, gone.step, gone.steps) == (None, None, {})
