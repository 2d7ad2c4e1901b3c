"""The peer's filesystem backend and ours give the same answers to whatever a caller did with its runs.

Times are compared as they are: both clocks stand still during an operation, and move on between two by whole
milliseconds, so that both write the same microseconds. What is not the same on purpose is in `peer.rules`,
`peer.translations` and `peer.answers`, and in docs/peer.md.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, given, settings

from cascade_flow import CheckpointRef, DynamoDBBackend, StepCheckpointFailed, StepError, clock
from checker import check_run
from peer.both import Both
from peer.operations import Operation
from peer.random_arguments import RUNS
from peer.random_sequences import EVERYTHING, Play, plays
from simulation import BEGIN_US, TIMING
from tally import TALLY
from testbed.plugin import Servers
from testbed.servers import CreateTable, fresh_table

SEQUENCES = 16
MANY = 1_000


def play(servers: Servers, create: CreateTable, played: Play) -> None:
    with fresh_table(servers.running("memory"), create) as store:
        backend = DynamoDBBackend(store.table, client=store.client, timing=TIMING)
        with clock.use(clock.SteppingClock(BEGIN_US)) as time:
            both = Both(backend, time, RUNS)
            both.play(played.acts, played.questions)
            both.compare()
            for run_id in RUNS:
                if backend.run_exists(RUNS[run_id], run_id):
                    check_run(backend, run_id)
    TALLY.update(sequences=1, operations=both.counts["operations"], answers=both.counts["answers"])


def test_of_a_failed_checkpoint_inside_another(servers: Servers, table_creator: CreateTable) -> None:
    """Only we tell inside which; everything else about it is the same."""
    failed = StepCheckpointFailed(
        event_id=str(BEGIN_US),
        timestamp_us=BEGIN_US,
        workflow_slug="billing",
        run_id="bill-1",
        step_id="a",
        name="page",
        sequence_number=1,
        attempt_number=1,
        error=StepError(message="no"),
        parent_checkpoint=CheckpointRef(name="all", sequence_number=0),
    )
    acts = [
        Operation("initialize_run", ("billing", "bill-1"), at_us=BEGIN_US + 1_000),
        Operation("append_event", ("billing", "bill-1", failed), at_us=BEGIN_US + 2_000),
    ]
    play(servers, table_creator, Play(acts, EVERYTHING))


def test_of_a_run_that_is_cancelled_when_a_step_was_scheduled_again(
    servers: Servers, table_creator: CreateTable
) -> None:
    at_us = BEGIN_US + 1_000
    step = ("billing", "bill-1", "a")
    schedule = {"available_at_us": at_us, "reason": "retry", "attempt_number": 1}
    submission = {"version_id": "sha256:1", "available_at_us": at_us, "priority": 0, "has_input_schema": False}
    said: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("save_run_submitted", ("billing", "bill-1"), submission),
        ("save_step_scheduled", step, schedule),
        ("save_step_start", (*step, "ann"), {"dependencies": []}),
        ("save_step_complete", (*step, "out"), {"duration_us": 5, "attempt_number": 1, "logs": []}),
        ("save_step_scheduled", step, schedule),
        ("cancel_run", ("bill-1", None), {}),
    ]
    acts = [Operation(name, place, told, at_us + 1_000 * n) for n, (name, place, told) in enumerate(said)]
    play(servers, table_creator, Play(acts, EVERYTHING))


def test_of_a_cancellation_of_a_run_that_is_only_reserved(servers: Servers, table_creator: CreateTable) -> None:
    acts = [
        Operation("initialize_run", ("billing", "bill-1"), at_us=BEGIN_US + 1_000),
        Operation("cancel_run", ("bill-1", None), at_us=BEGIN_US + 2_000),
    ]
    play(servers, table_creator, Play(acts, EVERYTHING))


@settings(max_examples=SEQUENCES, deadline=None, derandomize=True, phases=[Phase.generate])
@given(played=plays())
def test_of_sequences(servers: Servers, table_creator: CreateTable, played: Play) -> None:
    """The same ones every time. Shrinking one takes long, so what fails is told as it was found."""
    play(servers, table_creator, played)


@pytest.mark.slow
@settings(max_examples=MANY, deadline=None, phases=[Phase.generate])
@given(played=plays(longest=80))
def test_of_many_long_sequences(servers: Servers, table_creator: CreateTable, played: Play) -> None:
    """New ones every time."""
    play(servers, table_creator, played)
