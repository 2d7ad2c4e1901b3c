"""The one checker of `design.md` §4: reads everything that a run left in the table and says whether the promises hold.

Every test of any suite that stores a run ends with `check_run`. It reads what is stored through the product's own
items, but it trusts none of its decisions: causes, order, ends and indexes are judged here.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from caller_checker import check_told
from cascade_flow import (
    Event,
    LogEntry,
    RunSubmitted,
    StepCompleted,
    StepEvent,
    StepFailed,
    StepReclaimed,
    StepScheduled,
    StepSkipped,
    StepStarted,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowStarted,
    clock,
    dump_event,
    parse_event,
    project_run_state,
    project_step_state,
)
from cascade_flow.backend import Backend
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.items import Item
from cascade_flow.engine.joins import beyond
from cascade_flow.engine.state import ENDED, Branch, Facts
from cascade_flow.engine.waits import reason_in
from cascade_flow.graph import END, is_event
from cascade_flow.operations.history import Histories, RunHistory
from cascade_flow.projection import changes_state
from cascade_flow.retry import attempts_allowed
from undo_checker import check_undo

_TERMINAL = (WorkflowCompleted, WorkflowFailed, WorkflowCancelled)
_STATUS = {"scheduled": {"scheduled"}, "running": {"running"}, "waiting": {"running"}, "failed": {"failed"}}
_OVER = {"completed", "skipped"}
_REPEATED = ("StepHeartbeat", "StepCheckpoint", "StepCheckpointFailed")


@dataclass(frozen=True)
class Checked:
    """A run that keeps the promises: what it left. `facts` are those that the engine decides on, where it drives."""

    story: RunHistory
    events: Sequence[Event]
    given: Facts | None = None
    undone: Sequence[Event] = ()
    """The events of the run that this one undoes."""

    @property
    def facts(self) -> Facts:
        assert self.given is not None, "a caller-driven run has no graph"
        return self.given

    @property
    def status(self) -> str:
        return self.story.run.status

    def count(self, kind: type, step_id: str | None = None) -> int:
        return sum(isinstance(e, kind) and step_id in (None, getattr(e, "step_id", None)) for e in self.events)


def check_run(backend: Backend, run_id: str, *, skew_us: int = 0) -> Checked:
    """Assert what is promised of a run at every moment, whatever has happened to it; machines' clocks may be ahead or
    behind by so much.
    """
    story = Histories(backend.runtime).story(run_id)
    assert story is not None, f"run {run_id} left nothing"
    events = Histories(backend.runtime).with_logs(story)
    left = left_behind(backend, run_id)
    _expires_together(backend, story, left)
    if story.run.driver == "caller":
        checked = Checked(story, events)
        for promise in (_increasing, _faithful):
            promise(checked)
        check_told(backend, checked.story, checked.events)
        return checked
    undone = None if story.run.undoing is None else Histories(backend.runtime).story(story.run.undoing.run_id)
    checked = Checked(story, events, backend.runtime.facts(story.run), () if undone is None else undone.events)
    for promise in _PROMISES:
        promise(checked)
    _folded(backend, checked)
    check_undo(backend, checked)
    _placed(backend, checked, left, skew_us)
    return checked


def left_behind(backend: Backend, run_id: str) -> Mapping[str, Item]:
    """Every item of a run's partition, by its sort key."""
    everything = keys.Span(keys.run(run_id).pk, " ", "~")
    return {str(item[keys.SORT]): item for item in backend.runtime.ledger.table.query(everything)}


def _expires_together(backend: Backend, story: RunHistory, left: Mapping[str, Item]) -> None:
    """All that belongs to a run goes at one and the same time: nothing of it before the rest, nothing for ever."""
    times = {sort: item.get(keys.EXPIRY) for sort, item in left.items()}
    for key in _idempotency_keys(story):
        times[key] = (backend.runtime.ledger.table.get(keys.idempotency(key)) or {}).get(keys.EXPIRY)
    assert set(times.values()) == {story.run.expires_s}, f"the run expires at {story.run.expires_s}: {times}"


def _idempotency_keys(story: RunHistory) -> Iterator[str]:
    """The key under which the run was submitted to the engine; a copied RunSubmitted speaks of another run."""
    submissions = (event for event in story.events if isinstance(event, RunSubmitted))
    for event in submissions:
        own = event.timestamp_us >= story.run.created_us and story.run.driver == "engine"
        if own and event.idempotency_key is not None:
            yield event.idempotency_key


def _increasing(checked: Checked) -> None:
    times = [event.timestamp_us for event in checked.events]
    assert times == sorted(set(times)), f"times are not strictly increasing: {times}"


def _own(checked: Checked) -> Sequence[Event]:
    """What was not copied from another run: of that one's retries a copy knows nothing."""
    return [event for event in checked.story.events if event.timestamp_us >= checked.story.run.created_us]


def _ordered(checked: Checked) -> None:
    facts = checked.facts
    for event in _own(checked):
        if is_foreign(checked, event):
            assert not changes_state(event), f"somebody else has moved the engine's run: {event}"
            continue
        branch = facts.graph.residue(facts.graph.branch_of(event.step_id)) if hasattr(event, "step_id") else 0
        assert event.timestamp_us % facts.graph.modulus == branch, f"a time of another branch: {event}"


def is_foreign(checked: Checked, event: Event) -> bool:
    """Whether somebody else has appended this event to a run of the engine's; copies keep the times that they had."""
    modulus = checked.facts.graph.modulus
    return event.timestamp_us >= checked.story.run.created_us and event.timestamp_us % modulus == modulus - 1


def _faithful(checked: Checked) -> None:
    for event in checked.events:
        assert event.event_id == str(event.timestamp_us)
        assert parse_event(dump_event(event)) == event


def _caused(checked: Checked) -> None:
    """Every effect comes after its cause: dependencies, schedule, start, end of each attempt, in this order."""
    over: set[str] = set()
    seen: set[tuple[str, str, int]] = set()
    started = False
    for event in checked.story.events:
        started = started or isinstance(event, WorkflowStarted)
        if not isinstance(event, get_args(StepEvent)) or is_foreign(checked, event):
            continue
        copied = event.timestamp_us < checked.story.run.created_us
        assert started or copied, f"a step's event before the run's start: {event}"
        mark = (event.type, event.step_id, event.attempt_number)
        if isinstance(event, StepScheduled):
            dependencies = checked.facts.graph.step(event.step_id).dependencies
            assert over.issuperset(dependencies), f"scheduled before its dependencies were over: {event}"
        elif isinstance(event, StepStarted):
            assert ("StepScheduled", *mark[1:]) in seen, f"started without a schedule: {event}"
        elif _says_without_work(event):
            assert ("StepScheduled", *mark[1:]) in seen, f"neither scheduled nor begun: {event}"
        elif not isinstance(event, StepSkipped):
            assert ("StepStarted", *mark[1:]) in seen, f"no start before: {event}"
        assert mark not in seen or event.type in _REPEATED, f"twice: {event}"
        assert event.step_id not in over, f"after the step's end: {event}"
        seen.add(mark)
        over |= {event.step_id} if isinstance(event, StepCompleted | StepSkipped) else set()


def _says_without_work(event: StepEvent) -> bool:
    """A skip and a failure for good can be said of an attempt that nobody has begun."""
    return (isinstance(event, StepSkipped) and event.skip_type == "primary") or (
        isinstance(event, StepFailed) and event.terminal
    )


def _ended_once(checked: Checked) -> None:
    ends = [event for event in checked.story.events if isinstance(event, _TERMINAL)]
    attempts = Counter(event.workflow_attempt_number for event in ends)
    assert all(count == 1 for count in attempts.values()), f"more than one end: {ends}"
    if checked.status in ENDED:
        assert ends, f"the run has {checked.status} without a terminal event"
        assert checked.story.events[-1] == ends[-1], f"after the end: {checked.story.events[-1]}"
        assert checked.story.run.completed_at_us == ends[-1].timestamp_us


def _quiet_between(checked: Checked) -> None:
    """What happens in a run happens between the start and the end of one of its attempts."""
    under_way = False
    for event in checked.story.events:
        if isinstance(event, _TERMINAL):
            assert under_way or event.workflow_attempt_number == 1, f"the end of what has not started: {event}"
            under_way = False
        elif isinstance(event, WorkflowStarted):
            under_way = True
        elif isinstance(event, get_args(StepEvent)) and not is_foreign(checked, event):
            copied = event.timestamp_us < checked.story.run.created_us
            assert under_way or copied, f"the run is not under way: {event}"


def _won_once(checked: Checked) -> None:
    wins = Counter(event.step_id for event in checked.story.events if isinstance(event, StepCompleted | StepSkipped))
    assert all(count == 1 for count in wins.values()), f"a step was over more than once: {wins}"
    if checked.status == "completed":
        assert wins.keys() == checked.facts.graph.steps.keys(), "completed, and not every step is over"


def _signed(checked: Checked) -> None:
    """An output that says whose it is (`by`: step, attempt, worker) is stored as what that worker's attempt gave."""
    workers = {(e.step_id, e.attempt_number): e.worker_id for e in checked.story.events if isinstance(e, StepStarted)}
    for event in (event for event in checked.story.events if isinstance(event, StepCompleted)):
        output = json.loads(event.output)
        mark = (event.step_id, event.attempt_number)
        if isinstance(output, dict) and "by" in output:
            assert output["by"] == [*mark, workers[mark]], f"the output of another attempt: {event}"


def _exported(checked: Checked) -> None:
    """A completed run gives what the attempts that won have given, of every step that it exports, and nothing else; one
    that does a map's item gives what that gives.
    """
    won = {event.step_id: event for event in checked.story.events if isinstance(event, StepCompleted | StepSkipped)}
    for end in (event for event in checked.story.events if isinstance(event, WorkflowCompleted)):
        gave = {step: won[step] for step in checked.facts.graph.exports}
        given: Any = {step: json.loads(e.output) for step, e in gave.items() if isinstance(e, StepCompleted)}
        if (up := checked.story.run.up) is not None and up.is_item:
            given = given.get(up.step)
        assert json.loads(end.output) == given, f"the run gave {end.output}, its steps have given {given}"


def _tried(checked: Checked) -> None:
    """In no attempt of the run a step is begun more often than its policy allows; what was postponed doesn't count, and
    comes again, and what its worker gave back doesn't count either.
    """
    begun, postponed = Counter[str](), set[tuple[str, int]]()
    for event in _own(checked):
        if isinstance(event, WorkflowStarted):
            begun.clear()
        elif isinstance(event, StepStarted):
            begun[event.step_id] += 1
            allowed = attempts_allowed(checked.facts.graph.step(event.step_id).retry)
            assert begun[event.step_id] <= allowed, f"more often than {allowed} times: {event}"
        elif isinstance(event, LogEntry) and not is_foreign(checked, event) and reason_in(event.message) is not None:
            begun[event.step_id] -= 1
            postponed.add((event.step_id, event.attempt_number + 1))
        elif isinstance(event, StepReclaimed):
            begun[event.step_id] -= event.reclaimed_by == event.original_worker_id
        elif isinstance(event, StepScheduled):
            postponed.discard((event.step_id, event.attempt_number))
    assert not postponed, f"postponed, and never scheduled again: {postponed}"


_PROMISES = (
    _increasing,
    _ordered,
    _faithful,
    _caused,
    _ended_once,
    _quiet_between,
    _won_once,
    _tried,
    _signed,
    _exported,
)


def _folded(backend: Backend, checked: Checked) -> None:
    """Stored state is the fold of the events, of the run and of every branch's step."""
    run_id, slug = checked.story.run.run_id, checked.story.run.workflow_slug
    folded = project_run_state([e for e in checked.events if e.category == "workflow"], slug)
    assert backend.get_run(run_id) == folded
    by_step: dict[str, list[Any]] = defaultdict(list)
    for event in checked.story.events:
        if isinstance(event, get_args(StepEvent)):
            by_step[event.step_id].append(event)
    for name, branch in checked.story.branches.items():
        if name != END:
            _fold_of_branch(checked, branch, by_step)
    reached = {checked.facts.graph.branch_of(step) for step in by_step}
    ended_before_its_births = checked.story.run.owed is not None
    assert ended_before_its_births or reached <= checked.story.branches.keys()


def _fold_of_branch(checked: Checked, branch: Branch, by_step: dict[str, list[Any]]) -> None:
    graph, slug = checked.facts.graph, checked.story.run.workflow_slug
    for step in graph.chain(branch.name):
        state = project_step_state(by_step[step], slug) if by_step[step] else None
        if beyond(graph, branch, step):
            assert state is not None, f"{step} is over in {branch}, and never happened"
            assert state.status in _OVER, f"{step} is over in {branch}, not in {state}"
        elif branch.status == "open" and branch.attempt > 1:
            assert state is not None, f"{branch} waits again, and never failed"
            assert state.status == "failed", f"{branch} waits again, and is {state}"
        elif step != branch.step or branch.status in ("open", "skipping"):
            assert state is None, f"{step} is ahead of {branch}, and has {state}"
        else:
            assert state is not None, f"nothing has led to {branch}"
            assert state.status in _STATUS[branch.status], f"{branch} is not {state}"
            assert state.attempt_number == branch.attempt
            _fold_of_attempt(branch, state)


def _fold_of_attempt(branch: Branch, state: Any) -> None:
    if branch.status == "scheduled":
        assert state.available_at == branch.available_at_us
    if branch.status == "running":
        assert state.claimed_by == branch.worker
        assert (branch.heartbeat_us is None) or state.last_heartbeat is not None
    if branch.status == "failed":
        assert state.terminal
        assert isinstance(state.error.message, str)


def _placed_for_whom_it_waits(checked: Checked, branch: Branch, item: Item) -> None:
    """What waits for a pool's worker lies with the pool, all else where the sweep looks."""
    run_id = checked.story.run.run_id
    assert keys.DUE_SHARD in item, f"live, and not in the due index: {branch}"
    if branch.status in ("scheduled", "running"):
        assert branch.pool == checked.facts.graph.step(branch.step).executor, f"for whom is {branch}?"
    waits = branch.status == "scheduled" and branch.pool is not None and branch.owed is None
    shards = [keys.pool(str(branch.pool))] if waits else [keys.due(run_id)]
    assert item[keys.DUE_SHARD] in shards, f"in {item[keys.DUE_SHARD]!r}: {branch}"


def _placed(backend: Backend, checked: Checked, left: Mapping[str, Item], skew_us: int) -> None:
    """What is live is in the due index, what has ended is not for long."""
    story, timing, run = checked.story, backend.runtime.timing, left[keys.RUN]
    ended = story.run.status in ENDED
    shard = keys.done(story.run.run_id) if ended else keys.due(story.run.run_id)
    assert run[keys.DUE_SHARD] == shard, f"the run is {story.run.status}, and in {run[keys.DUE_SHARD]!r}"
    for name, branch in story.branches.items():
        item = left[keys.branch(story.run.run_id, name).sk]
        if (branch.live or branch.status == "open") and not ended:
            _placed_for_whom_it_waits(checked, branch, item)
        if ended:
            assert not branch.live, f"live after the run's end: {branch}"
            end_us, pause_us = int(story.run.completed_at_us or 0), max(timing.lease_us, timing.grace_us)
            if branch.status == "open":  # left alone 15 times as long as its run was old; who arrives late moves it
                end_us = max(end_us, clock.now_us())
                pause_us += 15 * (end_us - story.run.created_us + 2 * skew_us) + 2 * skew_us
                if is_event(checked.facts.graph, name):  # put off until the run's deadline, or its own
                    end_us = max(end_us, story.run.deadline_us, branch.patience.until_us if branch.patience else 0)
            assert int(item.get(keys.DUE_TIME, 0)) <= end_us + pause_us, f"due for long: {branch}"
