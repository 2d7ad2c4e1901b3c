"""What a context does for the items of a batch, for threads, and while its attempt is being stopped."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from cascade_flow.errors import ConfigurationError, StaleAttemptError
from cascade_flow.model.events import CheckpointRef
from cascade_flow.worker.context import AttemptContext
from cascade_flow.worker.interrupt import Cause, Interrupt, Interrupted
from unit.worker.shelf import Counted, Shelf, attempt, away

LONG_MS = 600_000


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def kept(ctx: AttemptContext, items: int, work: Any) -> list[str]:
    """Each item is a part of the work, with a checkpoint in it."""
    return [ctx.keep("item", lambda: str(ctx.checkpoint("page", work))) for _ in range(items)]


def test_a_part_that_is_stored_is_not_done_again(shelf: Shelf) -> None:
    work = Counted()
    assert kept(attempt(shelf), 2, work) == kept(attempt(shelf, 2), 2, work) == ["1", "2"]
    assert work.calls == 2


def test_checkpoints_of_a_part_are_numbered_by_themselves_and_name_it(shelf: Shelf) -> None:
    ctx = attempt(shelf)
    kept(ctx, 2, Counted())
    ctx.checkpoint("page", Counted())
    assert [(each.name, each.sequence_number, each.parent_checkpoint) for each in shelf.checkpoints] == [
        ("0/page", 0, CheckpointRef(name="item", sequence_number=0)),
        ("item", 0, None),
        ("1/page", 0, CheckpointRef(name="item", sequence_number=1)),
        ("item", 1, None),
        ("page", 0, None),
    ]


def test_a_part_that_fails_is_recorded_and_leaves_its_numbers_to_no_other(shelf: Shelf) -> None:
    ctx = attempt(shelf)
    with pytest.raises(OSError, match="away"):
        ctx.keep("item", away)
    assert [(name, number, error.name) for name, number, error in shelf.failures] == [("item", 0, "OSError")]
    ctx.checkpoint("page", Counted())
    assert shelf.places() == [("page", 0)]
    assert ctx.keep("item", lambda: "7") == "7"
    assert shelf.places()[-1] == ("item", 1)


def test_an_address_is_made_for_the_event_that_is_asked_for(shelf: Shelf) -> None:
    ctx = attempt(shelf, address=lambda event: f"https://x/{event}")
    assert ctx.callback_url("paid") == "https://x/paid"


def test_where_no_address_can_be_made_it_is_said_who_can(shelf: Shelf) -> None:
    with pytest.raises(ConfigurationError, match="step 's': a worker on a machine of your own makes no addresses"):
        attempt(shelf).callback_url("paid")


class Meeting(Counter[str]):
    """Whoever reads a number waits a moment for another who reads it."""

    def __init__(self) -> None:
        super().__init__()
        self._met = threading.Barrier(2)

    def __getitem__(self, name: str) -> int:
        number = super().__getitem__(name)
        with suppress(threading.BrokenBarrierError):
            self._met.wait(0.05)
        return number


def test_threads_of_a_step_get_a_number_each(shelf: Shelf) -> None:
    ctx = attempt(shelf)
    ctx._counts = Meeting()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: ctx.checkpoint("page", lambda: 1), range(2)))
    assert sorted(shelf.places()) == [("page", 0), ("page", 1)]


def test_a_logger_is_known_by_its_workflow_and_step(shelf: Shelf) -> None:
    assert attempt(shelf).log.name.endswith(".w.s")


def test_an_attempt_that_is_lost_before_it_knows_what_is_stored_stops(shelf: Shelf) -> None:
    class Lost(Shelf):
        def recorded(self) -> list[Any]:
            raise StaleAttemptError

    interrupt = Interrupt()
    with pytest.raises(Interrupted):
        attempt(Lost(), 2, interrupt=interrupt).checkpoint("a", lambda: 1)
    assert interrupt.cause is Cause.LOST


def test_an_attempt_whose_failure_comes_too_late_stops(shelf: Shelf) -> None:
    interrupt = Interrupt()
    shelf.refusal = StaleAttemptError()
    with pytest.raises(Interrupted):
        attempt(shelf, interrupt=interrupt).checkpoint("a", away)
    assert interrupt.cause is Cause.LOST


def stored(ctx: AttemptContext) -> None:
    ctx.checkpoint("a", lambda: 1)


def failed(ctx: AttemptContext) -> None:
    with suppress(OSError):
        ctx.checkpoint("a", away)


def beat(ctx: AttemptContext) -> None:
    ctx.heartbeat()


def address(ctx: AttemptContext) -> None:
    ctx.callback_url("paid")


@pytest.mark.parametrize(
    ("part", "ask"), [("recorded", stored), ("save", stored), ("failed", failed), ("beat", beat), ("address", address)]
)
def test_what_is_asked_of_the_engine_for_a_step_is_let_finish_when_it_is_stopped(part: str, ask: Any) -> None:
    interrupt, steps, rung = Interrupt(), list[str](), threading.Event()

    def finishing(*_: Any) -> Any:
        interrupt.fire(Cause.LOST)
        rung.wait(0.05)
        steps.append("done")
        return []

    shelf, options = Shelf(), dict[str, Any]()
    if hasattr(shelf, part):
        setattr(shelf, part, finishing)
    else:
        options[part] = finishing
    ctx = attempt(shelf, 2, interrupt=interrupt, **options)

    def work() -> None:
        ask(ctx)
        while True:
            pass

    with pytest.raises(Interrupted):
        interrupt.run(work, timeout_ms=LONG_MS)
    assert steps == ["done"]
