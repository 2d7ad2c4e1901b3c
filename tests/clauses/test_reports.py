"""What reports are made of: which runs are read, whose steps count, and until when somebody waits."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import Mock

import pytest

from cascade_flow import ChildrenDefinition, InvalidIdError, RunSubmission, StepError, clock
from cascade_flow.analytics.scope import Scope
from cascade_flow.dynamodb import due
from cascade_flow.dynamodb.digests import digests_since
from cascade_flow.errors import ReportTooLargeError
from cascade_flow.operations.analytics import Analytics, _may_matter, counted
from cascade_flow.operations.history import Histories
from cascade_flow.operations.runtime import Runtime
from cascade_flow.records import replace
from clauses.stage import FATAL, RUN, asking, begun, claimed, done, reported, run_of
from clauses.test_events import HOUR_US, ROOT
from faults.moments import pausing
from simulation import TickingClock, World, step
from testbed.wire import Answer, Floor, Request, Send, wire_of


def test_a_report_is_made_while_there_is_time(world: World) -> None:
    begun(world, step("a"))
    assert Analytics(world.backend.runtime, until_us=clock.now_us() + 10**9).throughput().runs_completed == 0
    with pytest.raises(ReportTooLargeError):
        Analytics(world.backend.runtime, until_us=clock.now_us()).throughput()


def test_whoever_is_out_of_time_is_told_how_many_runs_were_read(world: World) -> None:
    with clock.use(TickingClock(clock.now_us(), tick_us=0)):
        Analytics(world.backend.runtime, until_us=clock.now_us())._check_time(read=3)
        late = Analytics(world.backend.runtime, until_us=clock.now_us() - 1)
        with pytest.raises(ReportTooLargeError) as seen:
            late._check_time(read=3)
        assert seen.value.facts == {"runs_read": 3}
        with pytest.raises(ReportTooLargeError) as seen:
            late._check_time(read=3, found=5)
        assert seen.value.facts == {"runs_read": 3, "runs_found": 5}


def test_time_is_looked_at_before_each_portion_of_runs_and_of_steps_and_each_history(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.register([step("a")])
    names = [world.submit(run_id=name) for name in ("r1", "r2", "r3")]
    looked = list[dict[str, int]]()
    monkeypatch.setattr("cascade_flow.operations.analytics._AT_ONCE", 2)
    monkeypatch.setattr(Analytics, "_check_time", lambda it, **known: looked.append(known))
    Analytics(world.backend.runtime).throughput(run_ids=names)
    assert looked == [{"read": 0}, {"read": 2}, *({"read": number, "found": 3} for number in range(3))]
    looked.clear()
    assert Analytics(world.backend.runtime).queue_depth().scheduled_steps == 3
    assert looked == [{"read": 0}, {"read": 2}, {"read": 0}, {"read": 2}]


def test_the_queues_depth_reads_no_steps_but_those_that_it_counts(world: World) -> None:
    begun(world, *ROOT)
    world.submit(run_id="later", available_at=clock.now_us() + HOUR_US)
    world.observer.send_event("later", "e", {"ok": True})
    another, asked = asking(world)
    assert another.get_queue_depth(workflow_slug="other").running_runs == 0
    assert asked.count("BatchGetItem") == 1, "the runs"
    world.backend.cancel_run(RUN)
    asked.clear()
    assert another.get_queue_depth().pending_runs == 1
    assert asked.count("BatchGetItem") == 1, "the run that has not begun"


def test_an_overviews_depth_is_of_the_workflow_that_is_asked_for(world: World) -> None:
    begun(world, step("a"))
    world.register([step("b"), step("c")], slug="other")
    world.backend.submit_run(RunSubmission(workflow_slug="other"))
    for slug, scheduled in (("flow", 1), ("other", 2), (None, 3)):
        depth = Analytics(world.backend.runtime).overview(workflow_slug=slug).summary.queue_depth
        assert (depth.workflow_slug, depth.scheduled_steps) == (slug, scheduled)
    plain, parted = (Analytics(world.backend.runtime).overview(by_step=by_step) for by_step in (False, True))
    assert (plain.steps, plain.intervals, parted.steps) == (None, None, [])


def test_a_report_of_what_is_no_run_is_refused(world: World) -> None:
    with pytest.raises(InvalidIdError):
        Analytics(world.backend.runtime).throughput(run_ids=["no#run"])


def test_a_run_that_has_ended_since_the_index_showed_it_is_under_way_no_more(world: World) -> None:
    begun(world, step("a"))
    late = pausing(world, "BatchGetItem", lambda: done(world, "a"))
    assert late.get_queue_depth().running_runs == 0
    assert run_of(world).status == "completed"


def test_a_step_that_runs_another_workflow_counts(world: World) -> None:
    world.register([step("a")], slug="inner")
    begun(world, step("go", children=ChildrenDefinition(kind="workflow", workflow="inner")))
    held = claimed(world, "go")
    reported(world, held, world.act(held, "worker-1"))
    story = Histories(world.backend.runtime).outline(RUN)
    assert story is not None
    assert "StepStarted" in [event.type for event in counted(story)]


def test_no_history_is_read_that_a_report_is_not_about(world: World) -> None:
    begun(world, step("a"))
    run = run_of(world)
    before, after = run.created_us - 1, run.created_us
    wanted = [Scope(0, after), Scope(0, after, workflow_slug="flow")]
    others = [Scope(0, before), Scope(0, after, workflow_slug="other")]
    assert [_may_matter(run, scope) for scope in (*wanted, *others)] == [True, True, False, False]


def test_a_run_that_has_ended_matters_until_its_end(world: World) -> None:
    begun(world, step("a"))
    done(world, "a")
    run = run_of(world)
    end_us = run.completed_at_us or 0
    assert [_may_matter(run, Scope(since_us, end_us + 9)) for since_us in (end_us, end_us + 1)] == [True, False]
    assert _may_matter(replace(run, completed_at_us=None), Scope(end_us + 1, end_us + 9))
    assert _may_matter(replace(run, status="running"), Scope(end_us + 1, end_us + 9)), "it was tried again"


def test_a_report_reads_no_history_that_it_is_not_about(world: World) -> None:
    begun(world, step("a"))
    runtime, read = reading(world)
    Analytics(runtime).throughput(workflow_slug="other", run_ids=[RUN])
    assert RUN not in read()
    Analytics(runtime).throughput(workflow_slug="flow", run_ids=[RUN])
    assert RUN in read()


def test_who_is_at_work_is_not_looked_for_in_a_run_that_has_not_begun(world: World) -> None:
    world.register([step("a")])
    waiting = world.submit(available_at=clock.now_us() + 10**9)
    runtime, read = reading(world)
    assert Analytics(runtime).active_workers().workers == []
    assert waiting not in read()


def test_what_a_run_has_kept_of_another_is_nobodys_work_on_it(world: World) -> None:
    begun(world, step("a"), step("b"))
    done(world, "a")
    done(world, "b")
    again = world.backend.rerun_from(parent_run_id=RUN, from_step_id="b").run_id
    assert Analytics(world.backend.runtime).active_workers(include_inactive=True).workers == []
    claimed(world, "b", run_id=again, worker="worker-2")
    [worker] = Analytics(world.backend.runtime).active_workers(include_inactive=True).workers
    assert (worker.worker_id, worker.total_steps_processed) == ("worker-2", 0)


def test_runs_that_are_read_for_nothing_take_their_time_too(world: World) -> None:
    begun(world, step("a"))
    late = Analytics(world.backend.runtime, until_us=clock.now_us())
    with pytest.raises(ReportTooLargeError):
        late.throughput(workflow_slug="other")


@pytest.mark.parametrize("runs", [0, 2])
def test_an_overview_reads_what_is_under_way_once_also_where_nothing_is(
    world: World, monkeypatch: pytest.MonkeyPatch, runs: int
) -> None:
    world.register([step("a")])
    for _ in range(runs):
        world.submit()
    live = Mock(wraps=due.live)
    monkeypatch.setattr(due, "live", live)
    Analytics(world.backend.runtime).overview()
    assert live.call_count == 1


def test_what_was_read_before_time_was_over_need_not_be_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that takes too long would take as long the next time."""
    world.register([step("a")])
    world.settle(*(world.submit(run_id=name) for name in ("r1", "r2")))

    def late(_: object, *, read: int, found: int | None = None) -> None:
        if read and found:
            raise ReportTooLargeError

    monkeypatch.setattr(Analytics, "_check_time", late)
    with pytest.raises(ReportTooLargeError):
        Analytics(world.backend.runtime).throughput()
    assert len(list(digests_since(world.observer.runtime.ledger.table, 0))) == 1


def test_what_is_kept_is_read_since_a_ranges_begin_alone_and_counts_for_its_workflow(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slug in ("flow", "other"):
        world.register([step("a")], slug=slug)
        world.settle(world.backend.submit_run(RunSubmission(workflow_slug=slug, run_id=slug)).run_id)
    start_us = clock.now_us() - HOUR_US
    reports = [Analytics(world.backend.runtime) for _ in range(3)]
    assert reports[0].throughput(start_us=start_us).runs_completed == 2
    kept = Mock(wraps=digests_since)
    monkeypatch.setattr("cascade_flow.operations.ended_runs.digests_since", kept)
    assert reports[1].throughput(start_us=start_us, workflow_slug="other").runs_completed == 1
    assert reports[2].throughput(start_us=start_us).runs_completed == 2
    assert [call.args[1] for call in kept.call_args_list] == [start_us] * 2


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_of_errors_are_as_long_as_asked_for_and_tell_each_once(world: World, limit: int) -> None:
    names = ("a", "b", "c")
    begun(world, *map(step, names))
    held = [claimed(world, name) for name in names]
    for name, hand in zip(names, held, strict=True):
        reported(world, hand, replace(FATAL, error=StepError(name=name, message=name)))
    reports = Analytics(world.backend.runtime)
    pages = [reports.errors("exact", limit=limit, offset=offset) for offset in range(0, 4, limit)]
    assert [len(page.errors) for page in pages] == [min(limit, max(3 - offset, 0)) for offset in range(0, 4, limit)]
    assert {page.total for page in pages} == {3}
    assert [error for page in pages for error in page.errors] == reports.errors("exact", limit=9, offset=0).errors


def test_a_run_that_is_gone_by_then_hides_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.register([step("a")])
    names = [world.submit(run_id=name) for name in ("r1", "r2", "r3")]
    world.settle(*names)
    outline = Histories.outline
    monkeypatch.setattr(Histories, "outline", lambda it, run_id: None if run_id == "r2" else outline(it, run_id))
    assert Analytics(world.backend.runtime).throughput(run_ids=names).runs_completed == 2


def reading(world: World) -> tuple[Runtime, Callable[[], str]]:
    """What reads, and which partitions it has queried by now."""
    client, asked = world.store.another_client(), list[str]()

    def heard(request: Request, send: Send) -> Answer:
        if request.operation == "Query":
            asked.append(str(request.body["ExpressionAttributeValues"]))
        return send(request)

    wire_of(client).add(heard, floor=Floor.SCHEDULE)
    return world.another(client).runtime, lambda: " ".join(asked)
