"""Copies are made in parts that a transaction and an item hold: by their number, their steps and their bytes."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import Event, LogEntry, StepHeartbeat
from cascade_flow.dynamodb import caller_ledger
from cascade_flow.dynamodb.codec import Record
from cascade_flow.operations import copies
from cascade_flow.operations.copies import _batches
from cascade_flow.operations.history_copier import _chunks
from clauses.stage import counting
from clauses.test_callers import under_way
from contract.called import FLOW, Called
from simulation import World

LONG = "é" * 1_000


def line(at_us: int, message: str = LONG) -> LogEntry:
    place: dict[str, Any] = {"workflow_slug": FLOW, "run_id": "run", "step_id": "a"}
    return LogEntry(**place, timestamp_us=10**15 + at_us, attempt_number=1, stream="stdout", message=message)


def sizes_of(events: list[Event]) -> list[int]:
    """How many events each part has, none of which is left out."""
    parts = list(_batches(events))
    assert [event for part in parts for event in part] == events
    return [len(part) for part in parts]


def test_a_part_has_room_for_the_steps_of_its_events() -> None:
    beats: list[Event] = [
        StepHeartbeat(
            workflow_slug=FLOW, run_id="run", step_id=f"s{n}", timestamp_us=n, attempt_number=1, worker_id="w"
        )
        for n in range(1, 101)
    ]
    assert sizes_of(beats) == [45, 45, 10]
    assert sizes_of([line(n, "short") for n in range(180)]) == [89, 89, 2]


def test_a_part_has_no_more_bytes_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    three = 3 * len(line(0).model_dump_json().encode())
    monkeypatch.setattr(copies, "_BYTES_AT_ONCE", three)
    assert sizes_of([line(n) for n in range(7)]) == [3, 3, 1]
    monkeypatch.setattr(copies, "_BYTES_AT_ONCE", 1)
    assert sizes_of([line(n) for n in range(2)]) == [1, 1], "what is longer goes alone"


def test_a_copied_commit_is_no_longer_and_no_larger_than_an_item() -> None:
    short: list[Record] = [{"timestampUs": n} for n in range(81)]
    assert [len(chunk) for chunk in _chunks(short)] == [40, 40, 1]
    long: list[Record] = [{"timestampUs": n, "message": "é" * 15_000} for n in range(5)]
    assert [len(chunk) for chunk in _chunks(long)] == [2, 2, 1], "an é is six characters of JSON text"


def test_a_copy_of_long_events_is_made_in_transactions_of_so_many_bytes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = under_way(world)
    source.take("a")
    for _ in range(20):
        source.beat("a")
    whole = most_in_a_transaction(world, source)
    monkeypatch.setattr("cascade_flow.dynamodb.caller_ledger._AT_ONCE_BYTES", 500)
    assert most_in_a_transaction(world, source, "again") < whole / 2


def test_a_part_and_one_item_more_are_less_than_a_transaction_takes() -> None:
    assert max(caller_ledger._AT_ONCE_BYTES, copies._BYTES_AT_ONCE) + 400_000 < 4_000_000


def most_in_a_transaction(world: World, source: Called, target: str = "copy") -> int:
    by, sizes = counting(world)
    by.copy_entire_run(FLOW, source.run_id, target)
    return max(sizes)
