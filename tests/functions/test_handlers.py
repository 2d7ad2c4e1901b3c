"""What the handlers that nobody calls over HTTP make of their invocation: its time, its memory, its messages."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

import events
from cascade_flow import clock
from cascade_flow.api import resources
from cascade_flow.errors import BackendUnavailableError
from cascade_flow.operations.tally import Swept
from cascade_flow.wake import Wake
from cascade_flow.worker.loop import Pace
from events.deployed import app
from events.emitted import lines

START_US = 1_700_000_000_000_000


def wake(run_id: str) -> str:
    return Wake(run_id, "weigh", "weigh", 1).to_message()


@pytest.fixture
def still() -> Iterator[clock.SteppingClock]:
    with clock.use(clock.SteppingClock(START_US)) as time:
        yield time


class Told:
    """What a worker was given to do; it does it in its own way."""

    def __init__(self, act: Callable[[Wake], object] = lambda _: None) -> None:
        self._act = act
        self.left_ms: list[int] = []
        self.runs: list[str] = []

    def work(self, wake: Wake, *, remaining_ms: Callable[[], int]) -> None:
        self.runs.append(wake.run_id)
        self.left_ms.append(remaining_ms())
        self._act(wake)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Callable[[Told], Told]:
    def use(told: Told) -> Told:
        monkeypatch.setattr(app("worker"), "worker", lambda: told)
        return told

    return use


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    app("worker")
    stream = io.StringIO()
    for handler in logging.getLogger("cascade_flow").handlers:
        monkeypatch.setattr(handler, "stream", stream)
    return stream


class TestTheWorker:
    def test_it_is_told_what_is_left_of_the_invocation_as_time_goes_on(
        self, worker: Callable[[Told], Told], still: clock.SteppingClock
    ) -> None:
        told = worker(Told(lambda _: still.advance(1_500_000)))
        app("worker").handler(events.messages([wake("a"), wake("b")]), events.Context(remaining_ms=30_000))
        assert told.left_ms == [30_000, 28_500]

    def test_of_a_batch_only_what_could_not_be_taken_comes_again(self, worker: Callable[[Told], Told]) -> None:
        def act(wake: Wake) -> None:
            if wake.run_id == "away":
                raise BackendUnavailableError

        told = worker(Told(act))
        event = events.messages([wake("a"), wake("away"), "no wake-up", wake("b"), wake("away")])
        answered = app("worker").handler(event, events.Context())
        assert answered == {"batchItemFailures": [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-4"}]}
        assert told.runs == ["a", "away", "b", "away"]
        with pytest.raises(BatchProcessingError):
            app("worker").handler(events.messages([wake("away")] * 2), events.Context())
        with pytest.raises(BackendUnavailableError):
            app("worker").handler(events.messages([wake("away")]), events.Context())

    def test_a_line_names_the_run_of_its_own_message(self, worker: Callable[[Told], Told], logged: io.StringIO) -> None:
        worker(Told(lambda wake: app("worker").log.warning("at work")))
        handler = app("worker").handler
        handler(events.messages([wake("a"), "secret words", wake("b")]), events.Context())
        handler(events.messages(["secret words"]), events.Context())
        told = [
            (line["message"].partition(":")[0], line.get("run_id"), line.get("message_id")) for line in _lines(logged)
        ]
        assert told == [
            ("at work", "a", None),
            ("dropped", None, "m-1"),
            ("at work", "b", None),
            ("dropped", None, "m-0"),
        ]
        assert "secret" not in logged.getvalue()

    def test_it_is_made_as_the_environment_says(
        self, environment: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: dict[str, Any] = {}

        def note(_: object, workflows: Mapping[str, object], **how: Any) -> None:
            made.update(how, workflows=list(workflows))

        environment.setenv("CASCADE_HEARTBEAT_MS", "7000")
        environment.setenv("CASCADE_SAFETY_MS", "1234")
        resources.settings.cache_clear()
        monkeypatch.setattr(app("worker"), "runtime", lambda: None)
        monkeypatch.setattr(app("worker"), "Worker", note)
        app("worker").worker.cache_clear()
        app("worker").worker()
        assert (made["pace"], made["workflows"]) == (Pace(heartbeat_ms=7_000, safety_ms=1_234), ["parcels"])
        assert made["worker_id"].startswith("worker-")

    def test_each_process_is_a_worker_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        first = app("worker")
        monkeypatch.setitem(sys.modules, "function_worker", first)
        assert app.__wrapped__("worker")._MINE != first._MINE


class TestTheReaper:
    @pytest.fixture
    def swept(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """How a sweep was made, and what it was asked for."""
        seen: dict[str, Any] = {}

        class Noting:
            def __init__(self, _: object, **how: Any) -> None:
                seen.update(how)

            def sweep(self, **wish: Any) -> Swept:
                seen.update(wish)
                return Swept({"wake-ups repeated": 2}, [])

        monkeypatch.setattr(app("reaper"), "runtime", lambda: None)
        monkeypatch.setattr(app("reaper"), "Sweep", Noting)
        monkeypatch.setattr(app("reaper")._pulse, "noted", lambda _, sweep: sweep())
        return seen

    @pytest.mark.parametrize(("remaining_ms", "until_us"), [(60_000, START_US + 55_000_000), (4_000, START_US)])
    def test_it_sweeps_until_five_seconds_before_its_end(
        self, swept: dict[str, Any], still: clock.SteppingClock, remaining_ms: int, until_us: int
    ) -> None:
        app("reaper").handler(events.load("scheduler"), events.Context(remaining_ms=remaining_ms))
        assert (swept["until_us"], swept["name"]) == (until_us, "reaper")
        assert "shards" not in swept

    @pytest.mark.parametrize(("ahead_us", "until_us"), [(9_000_000, 9_000_000), (99_000_000, 55_000_000)])
    def test_an_errand_ends_with_whom_it_is_for_or_with_its_own_time(
        self, swept: dict[str, Any], still: clock.SteppingClock, ahead_us: int, until_us: int
    ) -> None:
        app("reaper").handler({"shard": "due#3", "untilUs": START_US + ahead_us}, events.Context())
        assert (swept["until_us"], swept["shards"]) == (START_US + until_us, ["due#3"])

    @pytest.mark.parametrize(("memory_mb", "width"), [(128, 3), (512, 6), (3_840, 32), (10_240, 32)])
    def test_its_lanes_are_as_many_as_its_memory_serves(
        self, swept: dict[str, Any], memory_mb: int, width: int
    ) -> None:
        context = events.Context(memory_limit_in_mb=memory_mb)
        app("reaper").handler(events.load("scheduler"), context)
        lanes = swept["lanes"]
        assert lanes.width == width
        app("reaper").handler(events.load("scheduler"), context)
        assert swept["lanes"] is lanes, "threads are kept"

    def test_it_tells_what_it_did(self, swept: dict[str, Any], logged: io.StringIO) -> None:
        answered = app("reaper").handler(events.load("scheduler"), events.Context())
        [line] = [line for line in _lines(logged) if line["message"] == "swept"]
        assert answered.items() <= line.items()


def _lines(logged: io.StringIO) -> list[dict[str, Any]]:
    return list(lines(logged.getvalue()))
