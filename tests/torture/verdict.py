"""What is asserted of every run when chaos is over, and of all of them together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cascade_flow import StepCompleted, StepStarted
from cascade_flow.clock import now_us
from cascade_flow.dynamodb import due
from cascade_flow.engine.state import ENDED
from cascade_flow.errors import CascadeFlowError
from checker import Checked, check_run
from e2e.waiting import until
from torture.users import Promised, Town
from torture.workflows.chaos.order import Begun

SETTLED_WITHIN_US = 240_000_000
_WORD = "word"


@dataclass(frozen=True)
class Violation:
    """Something that was promised and isn't so. `run_id` is empty for what is about all runs."""

    run_id: str
    what: str


def violations(town: Town) -> Iterator[Violation]:
    """Wait until everything has settled, then judge it."""
    yield from (Violation("", complaint) for complaint in town.complaints)
    yield from _unsettled(town)
    begun = town.begun()
    words = {attempt.word: attempt for attempt in begun}
    for run in town.promised:
        yield from _of_run(town, run, words)
    yield from of_attempts(town, begun)
    yield from _of_all(town)


def _unsettled(town: Town) -> Iterator[Violation]:
    deadline_us = now_us() + SETTLED_WITHIN_US
    for run in town.promised:
        try:
            left_us = max(1, deadline_us - now_us())
            until(lambda run=run: town.stack.status(run.run_id) in ENDED, within_us=left_us)  # type: ignore[misc]
        except AssertionError:
            yield Violation(run.run_id, f"{run.shape}: not over {SETTLED_WITHIN_US // 1_000_000} s after chaos ended")


def _of_run(town: Town, run: Promised, words: dict[str, Begun]) -> Iterator[Violation]:
    try:
        checked = check_run(town.stack.backend, run.run_id)
        must_have_ended(run, checked)
        must_be_signed(checked, words)
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


def _stored(town: Town) -> Iterator[Any]:
    page: list[Any] = [None]
    offset = 0
    while page:
        page = list(town.stack.backend.list_runs(limit=500, offset=offset).runs)
        yield from page
        offset += len(page)
