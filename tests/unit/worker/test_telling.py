"""What a held attempt tells of its checkpoints is all that there is to tell, and of itself while it is held."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from cascade_flow import clock
from cascade_flow.engine.commands import Fail, KeepCheckpoint
from cascade_flow.engine.state import Branch, Facts, Run
from cascade_flow.model.parts import CheckpointRef, StepError
from cascade_flow.model.states import Checkpoint
from cascade_flow.operations.patience import Patience
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.records import replace
from cascade_flow.worker.lease import Lease
from cascade_flow.worker.log_buffer import LogLine
from cascade_flow.worker.telling import Telling

OUTER = CheckpointRef(name="outer", sequence_number=1)
ERROR = StepError(name="ValueError", message="no")
START_US = 1_700_000_000_000_000


class Told(Telling):
    def __init__(self) -> None:
        super().__init__()
        self.commands: list[Any] = []

    def report(self, command: Any) -> None:
        self.commands.append(command)


def test_a_checkpoint_is_told_whole() -> None:
    told = Told()
    told.save(
        Checkpoint(name="inner", sequence_number=2, attempt_number=3, data="[1]", label="half", parent_checkpoint=OUTER)
    )
    told.failed(CheckpointRef(name="inner", sequence_number=2), OUTER, ERROR)
    assert told.commands == [
        KeepCheckpoint("inner", 2, "[1]", label="half", parent=OUTER),
        KeepCheckpoint("inner", 2, error=ERROR, parent=OUTER),
    ]


class Beaten:
    """Counts heartbeats, and answers each with what is held then."""

    def __init__(self) -> None:
        self.beats = 0

    def heartbeat(self, held: HeldAttempt, *, snapshot: object) -> HeldAttempt:
        self.beats += 1
        return held


@pytest.fixture
def lease() -> Lease:
    branch = Branch("a", "running", "a", attempt=1)
    held: Any = HeldAttempt(cast(Facts, None), cast(Run, None), branch)
    return Lease(cast(Runtime, None), cast(Steps, Beaten()), held, Patience(0))


def beats_of(lease: Lease) -> int:
    lease.beat()
    return cast(Any, lease._steps).beats


@pytest.mark.parametrize("now", [{"attempt": 2}, {"step": "b"}, {"status": "ended"}, {"halt": "stop"}])
def test_it_beats_for_no_attempt_but_its_own(lease: Lease, now: dict[str, Any]) -> None:
    assert beats_of(lease) == 1
    lease.held = replace(lease.held, branch=replace(lease.held.branch, **now))
    assert beats_of(lease) == 1


def test_a_forked_child_neither_beats_nor_logs(lease: Lease) -> None:
    lease._process = 0
    lease.log([LogLine("stdout", "a child's", 7)])
    assert (beats_of(lease), lease.held.told_us) == (0, 0)


@pytest.mark.parametrize(("passed_us", "duration_us"), [(2_000_000, 2_000_000), (-1, 0)])
def test_code_that_ends_its_process_is_told_as_a_crash_with_its_time_and_chance(
    lease: Lease, monkeypatch: pytest.MonkeyPatch, passed_us: int, duration_us: int
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(lease, "report", told.append)
    monkeypatch.setattr(lease, "_runtime", SimpleNamespace(chance=lambda: 0.25))
    monkeypatch.setattr(HeldAttempt, "started_us", START_US)
    with clock.use(clock.SteppingClock(START_US + passed_us)):
        lease.exited("os._exit(3)")
    error = StepError(name="WorkerExit", message="os._exit(3)")
    assert told == [Fail(error, "worker-crash", duration_us, chance=0.25)]
