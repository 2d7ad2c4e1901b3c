"""Log lines as they are stored: by their size and not by their number, and in their order."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from cascade_flow import clock
from cascade_flow.dynamodb import items, keys
from cascade_flow.operations.logs import Logs
from clauses.stage import RUN, asking, begun, run_of
from simulation import World, step


@pytest.mark.parametrize("lines", [1, 101, 3_000])
def test_many_short_lines_cost_one_write(world: World, lines: int) -> None:
    begun(world, step("a"))
    by, asked = asking(world)
    now_us = clock.now_us()
    Logs(by.runtime).store(run_of(world), "a", 1, [(now_us + each, "stdout", f"{each}") for each in range(lines)])
    assert asked == ["PutItem"]
    assert [line.message for line in Logs(world.observer.runtime).lines(RUN)] == [f"{each}" for each in range(lines)]


def test_a_chunk_lies_at_the_time_of_its_first_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """So lines of one microsecond keep their order, where a clock is too coarse to tell them apart."""
    monkeypatch.setattr("cascade_flow.operations.logs._CHUNK_BYTES", 100)
    begun(world, step("a"))
    now_us, logs = clock.now_us(), Logs(world.backend.runtime)
    for number in range(8):
        begin_us = now_us + 100 * number
        lines = [(begin_us, "stdout", f"{number} first"), (begin_us + 1, "stdout", f"{number} then")]
        logs.store(run_of(world), "a", 1, [*lines, (begin_us + 1, "stdout", f"{number} last")])
    stored = list(world.observer.runtime.ledger.table.query(keys.logs(RUN)))
    assert len(stored) == 16
    assert [line.message for line in logs.lines(RUN)] == [
        f"{number} {word}" for number in range(8) for word in ("first", "then", "last")
    ]


def test_of_a_step_no_others_lines_are_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(world, step("a"), step("b"))
    for name in ("a", "b"):
        Logs(world.backend.runtime).store(run_of(world), name, 1, [(clock.now_us(), "stdout", name)])
    to_lines = Mock(wraps=items.to_log_lines)
    monkeypatch.setattr(items, "to_log_lines", to_lines)
    found = world.observer.load_events("flow", RUN, step_id="a", types=["LogEntry"])
    assert ([getattr(event, "message", "") for event in found], to_lines.call_count) == (["a"], 1)
