"""Who goes first where work waits: urgent runs have workers of their own, and leave the others theirs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from e2e.stack import Stack
from e2e.waiting import until
from e2e.workflows.trials.meeting import Meeting
from infra.written import PARAMETERS

ROOM, URGENT_ROOM = (int(PARAMETERS[name]["Default"]) for name in ("WorkerConcurrency", "UrgentConcurrency"))
WAITING = 4


def meeting_in(folder: Path) -> Meeting:
    folder.mkdir()
    return Meeting(folder=folder)


def submitted(stack: Stack, meeting: Meeting, number: int, **wishes: Any) -> list[str]:
    told = meeting.model_dump(mode="json")
    return [stack.submit("counter", input=told, **wishes) for _ in range(number)]


def test_urgent_runs_overtake_those_that_wait_and_take_nothing_from_them(stack: Stack, tmp_path: Path) -> None:
    usual, urgent = meeting_in(tmp_path / "usual"), meeting_in(tmp_path / "urgent")
    waiting = submitted(stack, usual, ROOM + WAITING)
    until(lambda: len(usual.visits("served")) == ROOM, otherwise=lambda: usual.visits("served"))
    for run_id in [stack.submit("linear", input={"number": 1}, priority=priority) for priority in (1, 1_000_000)]:
        stack.finished(run_id)
    assert len(usual.visits("served")) == ROOM, "who came first still waits for a place"

    pressing = submitted(stack, urgent, URGENT_ROOM + 1, priority=1)
    until(lambda: len(urgent.visits("served")) == URGENT_ROOM, otherwise=lambda: urgent.visits("served"))
    usual.let_go("served")
    for run_id in waiting:
        stack.finished(run_id)
    assert len(urgent.visits("served")) == URGENT_ROOM, "what is urgent has its own places, and no more"
    urgent.let_go("served")
    for run_id in pressing:
        stack.finished(run_id)


@pytest.mark.slow
def test_two_hundred_runs_wait_and_ten_urgent_ones_come(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    with stack.wakeups.unheard():
        usual = [stack.submit("errand", input={"ms": 2_000}) for _ in range(200)]
        urgent = [stack.submit("errand", input={"ms": 2_000}, priority=1) for _ in range(10)]
    until(lambda: all(stack.status(run_id) == "completed" for run_id in usual + urgent), within_us=600_000_000)
    waited, hurried = _seconds(stack, usual), _seconds(stack, urgent)
    last_us = max(_ended_us(stack, urgent))
    before = sum(ended_us < last_us for ended_us in _ended_us(stack, usual))
    with capsys.disabled():
        print(
            f"\nusual: {_told(waited)}; urgent: {_told(hurried)}; {before} usual ones ended before the last urgent one"
        )
    assert max(hurried) < median(waited) / 2, "they overtake"
    assert before > 0, "they starve nobody"


def _told(seconds: Sequence[float]) -> str:
    return f"{min(seconds):.1f} to {max(seconds):.1f} s, half of them within {median(seconds):.1f} s"


def _seconds(stack: Stack, run_ids: Sequence[str]) -> list[float]:
    """How long each took, from its submission to its end."""
    runs = [stack.backend.get_run(run_id) for run_id in run_ids]
    return [(run.completed_at - run.created_at) / 1_000_000 for run in runs if run and run.completed_at]


def _ended_us(stack: Stack, run_ids: Sequence[str]) -> list[float]:
    runs = [stack.backend.get_run(run_id) for run_id in run_ids]
    return [run.completed_at for run in runs if run and run.completed_at]
