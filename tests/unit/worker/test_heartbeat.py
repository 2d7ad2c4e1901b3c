"""A heartbeat beats until its end; it learns of a loss, tells it on, and outlives a database that is away."""

import threading

from cascade_flow.clock import SteppingClock, now_us, use
from cascade_flow.errors import BackendUnavailableError, StaleAttemptError
from cascade_flow.model.events import ResourceSnapshot
from cascade_flow.worker.heartbeat import Heartbeat
from cascade_flow.worker.resources import Meter

PATIENCE_S = 10


class Engine:
    """What is beaten on: it raises what it is told to, beat by beat, and counts."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.snapshots: list[ResourceSnapshot] = []
        self.enough = threading.Semaphore(0)

    def beat(self, snapshot: ResourceSnapshot) -> None:
        self.snapshots.append(snapshot)
        answer = self.answers.pop(0) if self.answers else None
        self.enough.release()
        if answer:
            raise answer

    def wait_for_beats(self, count: int) -> None:
        for _ in range(count):
            assert self.enough.acquire(timeout=PATIENCE_S)


def heartbeat(
    engine: Engine, *, on_lost: threading.Event | None = None, every_ms: int = 2, **options: int
) -> Heartbeat:
    lost = on_lost or threading.Event()
    return Heartbeat(engine.beat, every_ms=every_ms, snapshot=Meter().snapshot, on_lost=lost.set, **options)


def test_it_beats_until_the_block_ends() -> None:
    engine = Engine()
    with heartbeat(engine) as beating:
        engine.wait_for_beats(3)
    beats = len(engine.snapshots)
    assert beats >= 3
    assert (beating.lost, beating.error) == (False, None)
    assert all(snapshot.memory_bytes > 0 for snapshot in engine.snapshots)
    assert not engine.enough.acquire(timeout=0.02) or len(engine.snapshots) == beats


def test_a_block_shorter_than_the_interval_never_beats() -> None:
    engine = Engine()
    with heartbeat(engine, every_ms=60_000):
        pass
    assert engine.snapshots == []


def test_a_loss_is_told_at_once_and_ends_it() -> None:
    engine, told = Engine(None, StaleAttemptError()), threading.Event()
    with heartbeat(engine, on_lost=told) as beating:
        assert told.wait(PATIENCE_S)
    assert beating.lost
    assert isinstance(beating.error, StaleAttemptError)
    assert len(engine.snapshots) == 2


def test_other_errors_are_kept_and_tried_again() -> None:
    engine = Engine(BackendUnavailableError(), BackendUnavailableError())
    with heartbeat(engine, every_ms=40) as beating:
        engine.wait_for_beats(1)
        engine.wait_for_beats(2)
    assert not beating.lost
    assert beating.error is None

    engine = Engine(*[BackendUnavailableError()] * 1_000)
    with heartbeat(engine) as beating:
        engine.wait_for_beats(2)
    assert isinstance(beating.error, BackendUnavailableError)


def test_it_stops_by_itself_when_the_attempts_time_is_over() -> None:
    engine = Engine()
    with use(SteppingClock(now_us())) as clock, heartbeat(engine, stop_after_ms=1_000) as beating:
        engine.wait_for_beats(2)
        clock.advance(1_000_000)
        beating._thread.join(PATIENCE_S)
        assert not beating._thread.is_alive()
    assert not beating.lost


def test_it_can_be_asked_to_beat_now() -> None:
    engine = Engine(None, StaleAttemptError())
    told = threading.Event()
    with heartbeat(engine, every_ms=60_000, on_lost=told) as beating:
        beating.beat()
        assert not told.is_set()
        beating.beat()
        assert told.is_set()
        beating.beat()
    assert len(engine.snapshots) == 2


class Waits(threading.Event):
    """Notes for how long it is waited, and lets nobody wait; after so many times it is set."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.noted_s: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.noted_s.append(timeout)
        return len(self.noted_s) > self.times or self.is_set()


def test_after_an_error_it_beats_again_sooner_and_then_at_its_pace() -> None:
    engine = Engine(BackendUnavailableError("away"), None)
    beating = heartbeat(engine, every_ms=400)
    beating._ended = waits = Waits(3)
    with beating:
        engine.wait_for_beats(3)
    assert waits.noted_s == [0.4, 0.1, 0.4, 0.4]


def test_it_stops_when_its_time_is_over_and_no_sooner() -> None:
    engine, time = Engine(), SteppingClock(1_000_000)

    def beat(snapshot: ResourceSnapshot) -> None:
        engine.beat(snapshot)
        time.advance(1_000)

    taking_time = Heartbeat(
        beat,
        every_ms=1,
        snapshot=Meter().snapshot,
        on_lost=threading.Event().set,
        stop_after_ms=10,
    )
    taking_time._ended = Waits(99)
    with use(time), taking_time:
        taking_time._thread.join(PATIENCE_S)
    assert len(engine.snapshots) == 10
