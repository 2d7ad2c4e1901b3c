"""What is asserted of every run when chaos is over, and of all of them together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from cascade_flow import Event, ScheduleDefinition, StepCompleted, StepFailed, StepReclaimed, StepStarted
from cascade_flow.clock import now_us
from cascade_flow.dynamodb import due
from cascade_flow.engine.state import ENDED
from cascade_flow.errors import CascadeFlowError
from cascade_flow.local.deployment import client as emulated
from checker import Checked, check_run
from e2e.waiting import until
from family_checker import check_families
from schedule_checker import must_be_times_of, scheduled_runs, times_of
from torture.users import Promised, Town, outputs_of
from torture.workflows.chaos.growth import AT_ONCE, SCHEDULE
from torture.workflows.chaos.order import Begun, Order

SETTLED_WITHIN_US = 240_000_000
_WORD = "word"
_SPREAD_US = 1_000
"""By how much an event's time may be later than the clock's when it was decided."""


@dataclass(frozen=True)
class Violation:
    """Something that was promised and isn't so. `run_id` is empty for what is about all runs."""

    run_id: str
    what: str


def violations(town: Town) -> Iterator[Violation]:
    """Wait until everything has settled, then judge it."""
    yield from (Violation("", complaint) for complaint in town.complaints)
    ticks = list(_ticked(town))
    yield from _unsettled(town, town.promised)
    undos = _undos(town)
    town.promised += undos
    yield from _unsettled(town, undos)
    begun = town.begun()
    words = {attempt.word: attempt for attempt in begun}
    stored = _stored_partitions(town)
    for run in town.promised:
        yield from _of_run(town, run, words, stored)
    yield from ticks
    yield from _gated(town)
    yield from of_attempts(town, begun)
    yield from _of_all(town)


def _unsettled(town: Town, runs: Iterable[Promised]) -> Iterator[Violation]:
    deadline_us = now_us() + SETTLED_WITHIN_US
    for run in runs:
        try:
            left_us = max(1, deadline_us - now_us())
            until(lambda run=run: town.stack.status(run.run_id) in ENDED, within_us=left_us)  # type: ignore[misc]
        except AssertionError:
            yield Violation(run.run_id, f"{run.shape}: not over {SETTLED_WITHIN_US // 1_000_000} s after chaos ended")


def _of_run(town: Town, run: Promised, words: dict[str, Begun], stored: Collection[str]) -> Iterator[Violation]:
    try:
        checked = check_run(town.stack.backend, run.run_id)
        must_have_ended(run, checked)
        for each in (checked, *check_families(town.stack.backend, checked, stored)):
            must_be_signed(each, words)
        if checked.status == "completed":
            must_have_given(run, town.stack.client.run(run.run_id)["output"])
    except (AssertionError, CascadeFlowError, LookupError) as error:
        yield Violation(run.run_id, f"{run.shape}: {type(error).__name__}: {error}")


def must_have_ended(run: Promised, checked: Checked) -> None:
    assert checked.status in run.ends, f"{checked.status}, where it must be one of {sorted(run.ends)}"


def must_be_signed(checked: Checked, words: dict[str, Begun]) -> None:
    """The StepCompleted of an attempt holds what that attempt's own code gave, and no other's."""
    for event in (event for event in checked.events if isinstance(event, StepCompleted)):
        output = json.loads(event.output)
        if isinstance(output, dict) and _WORD in output:
            author = words[output[_WORD]]
            said, stands = (author.step_id, author.attempt), (event.step_id, event.attempt_number)
            assert said == stands, f"the output of {said} is stored as that of {stands}"
            assert event.timestamp_us < checked.story.run.created_us or author.run_id == event.run_id, event


def must_have_given(run: Promised, told: Mapping[str, Any] | None) -> None:
    """What a caller is told over HTTP is what the workflow gives."""
    given = {step: _unsigned(output) for step, output in (told or {}).items()}
    assert given in run.outputs, f"it gave {given}, and must give {run.outputs[:3]}"


def _unsigned(output: Any) -> Any:
    return output["value"] if isinstance(output, dict) and _WORD in output else output


def of_attempts(town: Town, begun: list[Begun]) -> Iterator[Violation]:
    """Every attempt's code was run once at the most, and only where the engine knows of its start."""
    times = Counter((attempt.run_id, attempt.step_id, attempt.attempt) for attempt in begun)
    yield from (Violation(run, f"{step}, attempt {n}: run {k} times") for (run, step, n), k in times.items() if k > 1)
    for run_id in dict.fromkeys(attempt.run_id for attempt in begun):
        run = town.stack.backend.get_run(run_id)
        assert run is not None
        events = town.stack.backend.load_events(run.workflow_slug, run_id, types=["StepStarted"])
        started = {(run_id, e.step_id, e.attempt_number) for e in events if isinstance(e, StepStarted)}
        strange = [attempt for attempt in times if attempt[0] == run_id and attempt not in started]
        yield from (Violation(run_id, f"ran, and was never started: {attempt}") for attempt in strange)


def _of_all(town: Town) -> Iterator[Violation]:
    """There are the runs that were asked for and no others, and nobody looks after any of them for long."""
    stored = {state.run_id for state in _stored(town)}
    asked = {run.run_id for run in town.promised}
    yield from (Violation(run_id, "somebody made this run, and nobody was told") for run_id in stored - asked)
    yield from (Violation(run_id, "somebody was told of this run, and it isn't listed") for run_id in asked - stored)
    table = town.stack.backend.runtime.ledger.table
    try:
        until(lambda: not list(due.entries(table, until_us=2**62)))
    except AssertionError:
        yield from (Violation(entry.run_id, f"still due: {entry}") for entry in due.entries(table, until_us=2**62))


def _undos(town: Town) -> list[Promised]:
    """The runs that undo others; each must come to its end, and do all of it."""
    backend = town.stack.backend
    undone = {run.run_id: run for run in town.promised}
    runs = backend.runtime.ledger.runs(list(undone))
    pairs = [(undone[run.run_id], run.undone_by) for run in runs if run.undone_by is not None]
    return [replace(run, run_id=undo, ends=frozenset({"completed"})) for run, undo in pairs]


def _ticked(town: Town) -> list[Violation]:
    """The schedule is paused, so that there is an end: each of its times until now has its one run, and no other."""
    backend, order = town.stack.backend, Order(folder=town.folder, number=0)
    every_us = backend.schedules.pause("ticking", SCHEDULE).every_us
    definition, paused_us = ScheduleDefinition(name=SCHEDULE, every_us=every_us), now_us()
    found = scheduled_runs(backend, "ticking", SCHEDULE)
    ends, outputs = frozenset({"completed"}), outputs_of("ticking", 0)
    town.promised += [Promised(run.run_id, "ticking", order, ends, outputs) for run in found.values()]
    times = times_of(definition, after_us=town.begun_us, until_us=paused_us)
    missed = [time_us for time_us in times if time_us not in found]
    must_be_times_of(found, [definition], after_us=min(found, default=0) - 1)
    return [Violation("", f"the schedule's time {time_us} has no run") for time_us in missed]


def _gated(town: Town) -> Iterator[Violation]:
    """Of the attempts that share a limit no more went on at once than may."""
    moves = [move for run in town.promised if run.shape == "gated" for move in moves_of(_events(town, run))]
    yield from (Violation("", f"{out} were behind the gate at {at_us}") for at_us, out in crowded(moves))


def _events(town: Town, run: Promised) -> list[Event]:
    return town.stack.backend.load_events(run.shape, run.run_id)


def moves_of(events: Iterable[Event]) -> Iterator[tuple[int, int]]:
    """When attempts begin (1) and when they are over (-1); one that was believed dead, when it was last heard of."""
    for event in events:
        if isinstance(event, StepStarted):
            yield event.timestamp_us, 1
        elif isinstance(event, StepReclaimed):
            yield event.timestamp_us - event.stale_duration_us, -1
        elif isinstance(event, StepCompleted | StepFailed):
            yield event.timestamp_us - _SPREAD_US, -1


def crowded(moves: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The moments at which more were behind the gate than may be, and how many."""
    times, changes = zip(*sorted(moves), strict=True) if (moves := list(moves)) else ((), ())
    return [(at_us, out) for at_us, out in zip(times, accumulate(changes), strict=True) if out > AT_ONCE]


def _stored_partitions(town: Town) -> set[str]:
    """The ids of all runs of which anything is there, children too."""
    client = emulated(town.stack.local, "dynamodb")
    pages = client.get_paginator("scan").paginate(TableName=town.stack.local.outputs["TableName"])
    return {item["pk"]["S"].removeprefix("R#") for page in pages for item in page["Items"]}


def _stored(town: Town) -> Iterator[Any]:
    page: list[Any] = [None]
    offset = 0
    while page:
        page = list(town.stack.backend.list_runs(limit=500, offset=offset).runs)
        yield from page
        offset += len(page)
