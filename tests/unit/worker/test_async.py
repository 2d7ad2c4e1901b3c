"""An `async def` step: a loop of its own, cancelled where others are interrupted, and closed as by `asyncio.run`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from cascade_flow import Later, Skip, StepContext, Workflow
from cascade_flow.authoring import StepInputs
from cascade_flow.worker import interrupt as module
from cascade_flow.worker.capture import Capture
from cascade_flow.worker.interrupt import Cause, Interrupt
from cascade_flow.worker.log_buffer import LogLine
from cascade_flow.worker.runner import Completed, Failed, Lost, Outcome, Postponed, Skipped, run_attempt

SOON_MS = 30
FOREVER_S = 600


@pytest.fixture(autouse=True)
def quick_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_MS", 200)


def run_here(function: Callable[..., Any], **options: Any) -> Outcome:
    flow = Workflow("f")
    flow.step(function)
    given = StepInputs(input_json=None, outputs={}, context=StepContext())
    settings: dict[str, Any] = {"timeout_ms": None, "interrupt": Interrupt(), **options}
    return run_attempt(flow.definition().steps[function.__name__], given, **settings)


def run_elsewhere(function: Callable[..., Any], **options: Any) -> Outcome:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run_here, function, **options).result()


@pytest.fixture(params=[run_here, run_elsewhere], ids=["main thread", "another"])
def run(request: pytest.FixtureRequest) -> Callable[..., Outcome]:
    runner: Callable[..., Outcome] = request.param
    return runner


Run = Callable[..., Outcome]


def test_what_it_returns_is_the_steps_output(run: Run) -> None:
    async def work() -> list[int]:
        return list(await asyncio.gather(*(asyncio.sleep(0, number) for number in range(3))))

    outcome = run(work)
    assert isinstance(outcome, Completed)
    assert outcome.output == "[0,1,2]"


@pytest.mark.parametrize(
    ("raised", "kind"), [(ValueError("no"), Failed), (Skip("why"), Skipped), (Later(5), Postponed)], ids=str
)
def test_what_it_raises_counts_as_ever(run: Run, raised: Exception, kind: type) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise raised

    outcome = run(work)
    assert isinstance(outcome, kind)
    if isinstance(outcome, Failed):
        assert outcome.error.message == "no"
        assert "in work" in (outcome.error.stack or "")
        assert "asyncio" not in (outcome.error.stack or "")


@asynccontextmanager
async def noting(done: list[str]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await asyncio.sleep(0)
        done.append("left")


def test_a_timeout_cancels_it_and_lets_it_clean_up(run: Run) -> None:
    done: list[str] = []

    async def work() -> None:
        async with noting(done):
            try:
                await asyncio.sleep(FOREVER_S)
            finally:
                done.append("finally")

    outcome = run(work, timeout_ms=SOON_MS)
    assert isinstance(outcome, Failed)
    assert (outcome.failure_reason, outcome.error.name, done) == ("timeout", "TimeoutError", ["finally", "left"])
    assert "in work" in (outcome.error.stack or ""), "it says where it stood"


def test_a_lost_lease_cancels_it(run: Run) -> None:
    done, interrupt, begun = list[str](), Interrupt(), threading.Event()

    async def work() -> None:
        async with noting(done):
            begun.set()
            await asyncio.sleep(FOREVER_S)

    def lose() -> None:
        begun.wait()
        interrupt.fire(Cause.LOST)

    loser = threading.Thread(target=lose)
    loser.start()
    assert isinstance(run(work, interrupt=interrupt), Lost)
    loser.join()
    assert done == ["left"]


def test_what_swallows_the_cancellation_is_stopped_all_the_same(run: Run) -> None:
    async def work() -> None:
        while True:
            try:
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                continue

    outcome = run(work, timeout_ms=SOON_MS)
    assert isinstance(outcome, Failed)
    assert outcome.failure_reason == "timeout"


def test_what_returns_after_its_cancellation_has_taken_too_long(run: Run) -> None:
    async def work() -> int:
        try:
            await asyncio.sleep(FOREVER_S)
        except asyncio.CancelledError:
            return 1
        return 2

    outcome = run(work, timeout_ms=SOON_MS)
    assert isinstance(outcome, Failed)
    assert outcome.failure_reason == "timeout"


def test_what_blocks_the_loop_is_interrupted_as_any_other_code(run: Run) -> None:
    async def work() -> None:
        while True:
            time.sleep(0.001)

    outcome = run(work, timeout_ms=SOON_MS)
    assert isinstance(outcome, Failed)
    assert outcome.failure_reason == "timeout"


def test_who_cancels_itself_has_failed(run: Run) -> None:
    async def work() -> None:
        raise asyncio.CancelledError("enough")

    outcome = run(work)
    assert isinstance(outcome, Failed)
    assert (outcome.error.name, outcome.failure_reason) == ("CancelledError", "execution-error")


def test_what_it_leaves_behind_is_cancelled_and_shut_down(run: Run) -> None:
    """Tasks that nobody awaits, and generators that nobody has read to their end."""
    done: list[str] = []

    async def beside() -> None:
        async with noting(done):
            await asyncio.sleep(FOREVER_S)

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            done.append("generator")

    kept: list[Any] = []

    async def work() -> int:
        kept.extend([asyncio.create_task(beside()), numbers()])
        await asyncio.sleep(0)
        return await anext(kept[1])

    outcome = run(work)
    assert isinstance(outcome, Completed)
    assert done == ["left", "generator"]


def test_it_sees_the_context_of_its_worker_and_writes_its_own_log(run: Run) -> None:
    lines: list[LogLine] = []
    known = ContextVar[str]("known")

    async def talk(word: str) -> None:
        await asyncio.sleep(0)
        print(word, known.get())

    async def work(ctx: StepContext) -> None:
        known.set("here")
        one = asyncio.create_task(talk("one"))
        await asyncio.gather(one, talk("two"))
        ctx.log.info("three")
        await asyncio.to_thread(print, "four")

    outcome = run(work, capture=Capture(lines.extend, streams_only=True))
    assert isinstance(outcome, Completed), outcome
    assert [line.message for line in lines][:2] == ["one here", "two here"]
    assert {line.message.rpartition(" ")[2] for line in lines[2:]} >= {"four"}


def test_checkpoints_of_async_functions_are_awaited() -> None:
    keys = set[str]()

    async def work(ctx: StepContext) -> list[int]:
        async def part(number: int) -> int:
            await asyncio.sleep(0)
            keys.add(ctx.idempotency_key)
            return number

        async def first() -> int:
            return await part(1)

        async def second() -> int:
            return await part(2)

        parts = [ctx.checkpoint("first", first), ctx.checkpoint("second", second)]
        return [*await asyncio.gather(*parts), ctx.checkpoint("sync", lambda: 3)]

    outcome = run_here(work)
    assert isinstance(outcome, Completed)
    assert outcome.output == "[1,2,3]"
    assert len(keys) == 2, "each knows which it is"


def test_who_has_no_async_step_pays_nothing_for_it() -> None:
    code = (
        "import sys; from cascade_flow.worker.loop import Worker; from cascade_flow import Workflow\n"
        "assert 'cascade_flow.worker.coroutines' not in sys.modules\n"
        "assert 'asyncio' not in sys.modules, 'asyncio is imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_loop_leaves_behind_is_in_nobody_elses_log(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """A task that was never waited for is found by the collector of garbage, whenever that comes."""
    loops: list[asyncio.AbstractEventLoop] = []

    async def work() -> None:
        loops.append(asyncio.get_running_loop())
        loops[0].call_exception_handler({"message": "of its own"})

    assert isinstance(run(work), Completed)
    loops[0].call_exception_handler({"message": "Task was destroyed but it is pending!"})
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == ["of its own"]


def test_who_asks_a_loop_that_is_closed_already_has_nothing_to_say() -> None:
    interrupt, asking = Interrupt(), list[Callable[[], None]]()

    async def work() -> None:
        assert interrupt._ask is not None
        asking.append(interrupt._ask)

    assert isinstance(run_here(work, interrupt=interrupt), Completed)
    asking[0]()
