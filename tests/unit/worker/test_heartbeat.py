"""A heartbeat beats until its end; it learns of a loss, tells it on, and outlives a database that is away."""

import threading

from cascade_flow.clock import SteppingClock, now_us, use
from cascade_flow.errors import BackendUnavailableError, StaleAttemptError
from cascade_flow.model.events import ResourceSnapshot
from cascade_flow.worker.capture import Capture
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
        beating._thread.join(PATIENCE_S)
        assert not beating._thread.is_alive()
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


def test_the_last_error_is_the_one_that_is_kept() -> None:
    first, last = BackendUnavailableError("first"), BackendUnavailableError("last")
    beating = heartbeat(Engine(first, last))
    for _ in range(2):
        beating.beat()
    assert beating.error is last


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


def test_however_often_it_fails_it_beats_again_at_one_pace() -> None:
    """A database that is away is no reason for more and more requests to it."""
    engine = Engine(*[BackendUnavailableError("away")] * 3, None)
    beating = heartbeat(engine, every_ms=400)
    beating._ended = waits = Waits(4)
    with beating:
        engine.wait_for_beats(4)
    assert waits.noted_s == [0.4, 0.1, 0.1, 0.1, 0.4]


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


def test_who_has_no_time_does_not_beat() -> None:
    engine = Engine()
    beating = heartbeat(engine, stop_after_ms=0)
    beating._ended = Waits(3)
    with beating:
        pass
    assert engine.snapshots == []


def test_who_is_told_of_a_loss_finds_it_lost() -> None:
    lost: list[bool] = []
    engine = Engine(StaleAttemptError())
    beating = Heartbeat(
        engine.beat, every_ms=60_000, snapshot=Meter().snapshot, on_lost=lambda: lost.append(beating.lost)
    )
    beating.beat()
    assert lost == [True]


def test_a_pace_that_is_very_fast_leaves_a_pause_after_an_error() -> None:
    engine = Engine(BackendUnavailableError("away"))
    beating = heartbeat(engine, every_ms=2)
    beating._ended = waits = Waits(1)
    with beating:
        engine.wait_for_beats(1)
    assert waits.noted_s == [0.002, 0.001]


def test_a_beat_that_hangs_keeps_no_process_from_ending() -> None:
    assert heartbeat(Engine())._thread.daemon


def test_beats_take_turns() -> None:
    """Each needs the fence as the last one left it."""
    at_once, most = 0, 0
    both = threading.Event()

    def beat(_: ResourceSnapshot) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        both.wait(0.05)
        at_once -= 1

    beating = Heartbeat(beat, every_ms=60_000, snapshot=Meter().snapshot, on_lost=threading.Event().set)
    threads = [threading.Thread(target=beating.beat) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_after_the_block_no_beat_is_under_way() -> None:
    begun, nothing = threading.Event(), threading.Event()

    def beat(_: ResourceSnapshot) -> None:
        begun.set()
        beating._ended.wait(PATIENCE_S)
        nothing.wait(0.05)

    beating = Heartbeat(beat, every_ms=1, snapshot=Meter().snapshot, on_lost=threading.Event().set)
    with beating:
        assert begun.wait(PATIENCE_S)
    assert not beating._thread.is_alive()


def test_what_is_said_while_it_beats_is_no_line_of_the_step() -> None:
    told: list[str] = []
    engine = Engine()

    def beat(snapshot: ResourceSnapshot) -> None:
        print("ours")
        engine.beat(snapshot)

    beating = Heartbeat(beat, every_ms=1, snapshot=Meter().snapshot, on_lost=threading.Event().set)
    with Capture(lambda lines: told.extend(line.message for line in lines), echo=False):
        with beating:
            engine.wait_for_beats(1)
        print("theirs")
    assert told == ["theirs"]
