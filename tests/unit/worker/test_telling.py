"""What a held attempt tells of its checkpoints is all that there is to tell, and of itself while it is held."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cascade_flow import clock
from cascade_flow.engine.commands import Fail, KeepCheckpoint
from cascade_flow.engine.state import Branch, Facts, Run
from cascade_flow.errors import BackendUnavailableError, DefinitionError
from cascade_flow.model.parts import CheckpointRef, StepError
from cascade_flow.model.states import Checkpoint
from cascade_flow.operations import checkpoints
from cascade_flow.operations.logs import Logs
from cascade_flow.operations.patience import Patience
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.records import replace
from cascade_flow.worker.lease import Lease
from cascade_flow.worker.log_buffer import LogLine
from cascade_flow.worker.telling import Telling
from simulation import TickingClock

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
    """Counts heartbeats, and answers each with what is held then; notes what is reported."""

    def __init__(self) -> None:
        self.beats = 0
        self.told: list[Any] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def heartbeat(self, held: HeldAttempt, *, snapshot: object) -> HeldAttempt:
        self.beats += 1
        self.meanwhile()
        return held

    def put_aside(self, held: HeldAttempt, command: Any) -> Mapping[str, str]:
        return {"aside": command.name}

    def report(self, held: HeldAttempt, *told: Any) -> HeldAttempt:
        self.told.append(told)
        self.meanwhile()
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


KEPT = KeepCheckpoint("a", 0, "1")


@pytest.mark.parametrize("first", [Lease.beat, lambda lease: lease.report(KEPT)], ids=["beat", "report"])
def test_what_is_logged_while_the_fence_is_used_is_known_afterwards(
    lease: Lease, monkeypatch: pytest.MonkeyPatch, first: Callable[[Lease], object]
) -> None:
    """Whoever writes leaves the fence to the next: what another has changed meanwhile would be gone."""
    logged = threading.Event()

    def log() -> None:
        lease.log([LogLine("stdout", "first", 6), LogLine("stdout", "last", 7)])
        logged.set()

    def meanwhile() -> None:
        thread.start()
        logged.wait(0.05)

    monkeypatch.setattr(Logs, "store", lambda *_: None)
    monkeypatch.setattr(lease._steps, "meanwhile", meanwhile)
    thread = threading.Thread(target=log)
    first(lease)
    thread.join()
    assert lease.held.told_us == 7


def test_what_was_put_aside_is_reported_with_its_references(lease: Lease) -> None:
    lease.report(KEPT)
    assert cast(Any, lease._steps).told == [(KEPT, {"aside": "a"})]


def test_a_forked_child_reports_nothing(lease: Lease) -> None:
    lease._process = 0
    with pytest.raises(DefinitionError, match="step 'a': a forked child"):
        lease.report(KEPT)
    assert cast(Any, lease._steps).told == []


def test_lines_are_stored_with_their_attempt_streams_and_times(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = list[Any]()
    monkeypatch.setattr(Logs, "store", lambda _, *told: stored.append(told))
    lease.held = replace(lease.held, branch=replace(lease.held.branch, attempt=3))
    lease.log([LogLine("stdout", "a", 6), LogLine("stderr", "b", 7)])
    assert stored == [(lease.held.run, "a", 3, [(6, "stdout", "a"), (7, "stderr", "b")])]


def test_what_earlier_attempts_stored_is_asked_for_again_while_there_is_time(
    lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recorded(*_: Any) -> Iterator[str]:
        if answers.pop():
            raise BackendUnavailableError("away")
        yield "a checkpoint"

    answers = [False, True]
    monkeypatch.setattr(checkpoints, "recorded", recorded)
    with clock.use(TickingClock()):
        lease.patience = Patience.of_ms(60_000)
        assert list(lease.recorded()) == ["a checkpoint"]


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
