"""Checkpoints: run once, replayed after a retry, in the same order and nesting; failures recorded; losses obeyed."""

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from cascade_flow.authoring import Later, Skip, StepContext
from cascade_flow.clock import SteppingClock, use
from cascade_flow.errors import DefinitionError, InputInvalidError, StaleAttemptError, ThrottledError
from cascade_flow.model.events import CheckpointRef
from cascade_flow.model.states import Checkpoint
from cascade_flow.worker.interrupt import Cause, Interrupt, Interrupted
from unit.worker.shelf import Counted, Shelf, attempt, away


class Page(BaseModel):
    number: int


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_what_is_stored_is_not_run_again(shelf: Shelf) -> None:
    work = Counted()
    assert attempt(shelf).checkpoint("fetch", work, label="the pages") == 1
    assert attempt(shelf, 2).checkpoint("fetch", work) == 1
    assert work.calls == 1
    assert shelf.checkpoints == [
        Checkpoint(name="fetch", sequence_number=0, attempt_number=1, data="1", label="the pages")
    ]


def test_the_store_is_asked_once_and_not_in_the_first_attempt(shelf: Shelf) -> None:
    for number, asked in ((1, 0), (2, 1)):
        ctx = attempt(shelf, number)
        ctx.checkpoint("a", lambda: 1)
        ctx.checkpoint("b", lambda: 1)
        assert shelf.asked == asked


def test_the_store_is_asked_once_also_where_it_has_nothing(shelf: Shelf) -> None:
    ctx = attempt(shelf, 2)
    ctx.checkpoint("a", lambda: 1)
    ctx.checkpoint("b", lambda: 1)
    assert shelf.asked == 1


def test_a_name_used_again_is_told_apart_by_the_order_of_calls(shelf: Shelf) -> None:
    def pages(ctx: StepContext, work: Callable[[], int]) -> list[int]:
        return [ctx.checkpoint("page", work) for _ in range(3)]

    work = Counted()
    assert pages(attempt(shelf), work) == pages(attempt(shelf, 2), work) == [1, 2, 3]
    assert shelf.places() == [("page", 0), ("page", 1), ("page", 2)]


def test_a_retry_goes_on_where_the_failure_was(shelf: Shelf) -> None:
    def step(ctx: StepContext, third: Callable[[], int]) -> int:
        return sum(ctx.checkpoint(name, work) for name, work in (("a", first), ("b", second), ("c", third)))

    def fail() -> int:
        raise OSError("away")

    first, second = Counted(), Counted()
    with pytest.raises(OSError, match="away"):
        step(attempt(shelf), fail)
    ((name, number, error),) = shelf.failures
    assert (name, number, error.message, error.name) == ("c", 0, "away", "OSError")
    assert step(attempt(shelf, 2), Counted()) == 3
    assert (first.calls, second.calls) == (1, 1)


def test_results_come_in_their_type_the_first_time_as_after_a_retry(shelf: Shelf) -> None:
    def page() -> Page:
        return Page(number=3)

    @dataclass
    class Point:
        x: int

    for number in (1, 2):
        ctx = attempt(shelf, number)
        assert ctx.checkpoint("model", page) == Page(number=3)
        assert isinstance(ctx.checkpoint("tuple", lambda: (1, 2), returns=Any), list)
        assert ctx.checkpoint("typed", lambda: (1, 2), returns=tuple[int, int]) == (1, 2)
        assert ctx.checkpoint("class", lambda: Point(1), returns=Point) == Point(1)
        assert ctx.checkpoint("nothing", lambda: None) is None


def test_nested_checkpoints_name_their_parent(shelf: Shelf) -> None:
    ctx = attempt(shelf)
    ctx.checkpoint("outer", lambda: ctx.checkpoint("middle", lambda: ctx.checkpoint("inner", lambda: 1)))
    parents = {each.name: each.parent_checkpoint for each in shelf.checkpoints}
    assert parents == {
        "inner": CheckpointRef(name="middle", sequence_number=0),
        "middle": CheckpointRef(name="outer", sequence_number=0),
        "outer": None,
    }


def test_numbers_stay_when_a_parent_is_replayed(shelf: Shelf) -> None:
    def step(ctx: StepContext, work: Callable[[], int]) -> list[int]:
        outer = ctx.checkpoint("outer", lambda: ctx.checkpoint("page", lambda: ctx.checkpoint("page", work)))
        return [outer, ctx.checkpoint("page", work)]

    work = Counted()
    assert step(attempt(shelf), work) == step(attempt(shelf, 2), work) == [1, 2]
    assert work.calls == 2


def test_a_failure_inside_a_parent_is_counted_when_that_is_replayed(shelf: Shelf) -> None:
    def fail() -> int:
        raise OSError("away")

    def step(ctx: StepContext, work: Callable[[], int]) -> list[int]:
        def outer() -> int:
            with suppress(OSError):
                ctx.checkpoint("page", lambda: ctx.checkpoint("page", fail))
            return 0

        return [ctx.checkpoint("outer", outer), ctx.checkpoint("page", work), ctx.checkpoint("page", work)]

    work = Counted()
    assert step(attempt(shelf), work) == step(attempt(shelf, 2), work) == [0, 1, 2]
    assert work.calls == 2
    assert shelf.places() == [("outer", 0), ("page", 2), ("page", 3)]


def test_what_failed_with_its_parent_is_not_counted_again(shelf: Shelf) -> None:
    def fail() -> int:
        raise OSError("away")

    def step(ctx: StepContext, inner: Callable[[], int]) -> list[int]:
        return [ctx.checkpoint("outer", lambda: ctx.checkpoint("page", inner)), ctx.checkpoint("page", work)]

    work = Counted()
    with pytest.raises(OSError, match="away"):
        step(attempt(shelf), fail)
    assert step(attempt(shelf, 2), work) == step(attempt(shelf, 3), work) == [1, 2]
    assert shelf.places() == [("page", 0), ("outer", 0), ("page", 1)]


def test_what_failed_in_an_earlier_attempt_of_a_parent_is_not_counted(shelf: Shelf) -> None:
    def step(ctx: StepContext, work: Callable[[], int], pages: int, broken: bool = False) -> list[int]:
        def outer() -> int:
            for _ in range(pages):
                with suppress(OSError):
                    ctx.checkpoint("page", away)
            return away() if broken else 0

        return [ctx.checkpoint("outer", outer), ctx.checkpoint("page", work)]

    work = Counted()
    with pytest.raises(OSError, match="away"):
        step(attempt(shelf), work, pages=2, broken=True)
    assert step(attempt(shelf, 2), work, pages=1) == step(attempt(shelf, 3), work, pages=1) == [0, 1]
    assert shelf.places() == [("outer", 0), ("page", 1)]


def test_a_failure_inside_what_an_earlier_attempt_of_a_parent_stored_is_counted(shelf: Shelf) -> None:
    def step(ctx: StepContext, work: Callable[[], int], broken: bool = False) -> list[int]:
        def chapter() -> int:
            with suppress(OSError):
                ctx.checkpoint("page", away)
            return 0

        def outer() -> int:
            ctx.checkpoint("chapter", chapter)
            return away() if broken else 0

        return [ctx.checkpoint("outer", outer), ctx.checkpoint("page", work)]

    work = Counted()
    with pytest.raises(OSError, match="away"):
        step(attempt(shelf), work, broken=True)
    assert step(attempt(shelf, 2), work) == step(attempt(shelf, 3), work) == [0, 1]
    assert shelf.places() == [("chapter", 0), ("outer", 0), ("page", 1)]


def test_a_circle_of_parents_is_no_reason_to_hang(shelf: Shelf) -> None:
    places = [CheckpointRef(name=name, sequence_number=0) for name in ("a", "b")]
    for place, parent in zip(places, reversed(places), strict=True):
        stored = Checkpoint(name=place.name, sequence_number=0, attempt_number=1, data="7", parent_checkpoint=parent)
        shelf.save(stored)
    assert attempt(shelf, 2).checkpoint("a", Counted()) == 7


def test_what_was_stored_inside_a_parent_that_failed_is_kept(shelf: Shelf) -> None:
    work = Counted()

    def step(ctx: StepContext, broken: bool) -> int:
        def outer() -> int:
            number = ctx.checkpoint("inner", work)
            if broken:
                raise OSError("away")
            return number

        return ctx.checkpoint("outer", outer)

    with pytest.raises(OSError, match="away"):
        step(attempt(shelf), broken=True)
    assert step(attempt(shelf, 2), broken=False) == 1
    assert work.calls == 1


@pytest.mark.parametrize("said", [Skip("nothing to do"), Later(5, "not ready")], ids=["skip", "later"])
def test_a_skip_is_no_failure_nor_is_who_is_not_ready(shelf: Shelf, said: Exception) -> None:
    def say() -> None:
        raise said

    with pytest.raises(type(said)):
        attempt(shelf).checkpoint("a", say)
    assert shelf.failures == []


def test_what_can_not_be_stored_or_read_back_is_explained(shelf: Shelf) -> None:
    with pytest.raises(DefinitionError, match="what checkpoint 'a' returned can't be stored as JSON"):
        attempt(shelf).checkpoint("a", object)
    with pytest.raises(DefinitionError, match="a checkpoint needs a name"):
        attempt(shelf).checkpoint("", lambda: 1)
    attempt(shelf).checkpoint("b", lambda: "text")
    with pytest.raises(
        InputInvalidError, match=r"stored in attempt 1 does not fit int: .* give the checkpoint another"
    ):
        attempt(shelf, 2).checkpoint("b", lambda: 1, returns=int)


def test_a_failure_that_can_not_be_recorded_is_still_the_steps_own(shelf: Shelf) -> None:
    shelf.refusal = ThrottledError()

    def fail() -> None:
        raise OSError("mine")

    with pytest.raises(OSError, match="mine") as caught:
        attempt(shelf).checkpoint("a", fail)
    assert "could not be recorded" in caught.value.__notes__[0]


def test_an_error_of_the_store_is_the_steps_error(shelf: Shelf) -> None:
    shelf.refusal = ThrottledError()
    with pytest.raises(ThrottledError) as refused:
        attempt(shelf).checkpoint("a", lambda: 1)
    assert not hasattr(refused.value, "__notes__"), "it was to be told as the checkpoint's failure"


def test_a_stale_attempt_stops_whatever_its_code_does_with_errors(shelf: Shelf) -> None:
    interrupt = Interrupt()
    shelf.refusal = StaleAttemptError()

    def careless() -> None:
        try:
            attempt(shelf, interrupt=interrupt).checkpoint("a", lambda: 1)
        except Exception:  # noqa: BLE001
            pytest.fail("the step went on")

    with pytest.raises(Interrupted):
        careless()
    assert interrupt.cause is Cause.LOST


def test_a_heartbeat_stops_an_attempt_that_is_lost(shelf: Shelf) -> None:
    interrupt = Interrupt()
    ctx = attempt(shelf, interrupt=interrupt)
    ctx.heartbeat()
    interrupt.fire(Cause.LOST)
    with pytest.raises(Interrupted):
        ctx.heartbeat()


def test_a_heartbeat_that_learns_of_the_loss_stops_at_once(shelf: Shelf) -> None:
    interrupt = Interrupt()
    ctx = attempt(shelf, interrupt=interrupt)
    ctx._beat = lambda: interrupt.fire(Cause.LOST)
    with pytest.raises(Interrupted):
        ctx.heartbeat()


@pytest.mark.parametrize(("numbers", "next_number"), [((1, 0), 2), ((0, 0), 1)], ids=["by threads", "said again"])
def test_what_is_passed_over_is_counted_in_whatever_order_and_however_often_it_was_stored(
    shelf: Shelf, numbers: tuple[int, ...], next_number: int
) -> None:
    outer = CheckpointRef(name="outer", sequence_number=0)
    for number in numbers:
        part = {"name": "part", "sequence_number": number, "attempt_number": 1, "data": "1"}
        shelf.save(Checkpoint(**part, parent_checkpoint=outer))
    shelf.save(Checkpoint(name="outer", sequence_number=0, attempt_number=1, data="1"))
    ctx = attempt(shelf, 2)
    assert ctx.checkpoint("outer", away) == 1
    ctx.checkpoint("part", lambda: 1)
    assert shelf.places()[-1] == ("part", next_number)


def test_what_is_awaited_is_stored_with_its_label(shelf: Shelf) -> None:
    async def fetch() -> int:
        return 1

    async def step() -> Any:
        told: Any = attempt(shelf).checkpoint("fetch", fetch, label="the pages")
        return await told

    assert asyncio.run(step()) == 1
    assert shelf.checkpoints[0].label == "the pages"


def test_what_is_awaited_is_not_run_again(shelf: Shelf) -> None:
    calls = Counted()

    async def fetch() -> int:
        return calls()

    async def step(number: int) -> Any:
        told: Any = attempt(shelf, number).checkpoint("fetch", fetch)
        return await told

    assert [asyncio.run(step(number)) for number in (1, 2)] == [1, 1]
    assert (calls.calls, shelf.places()) == (1, [("fetch", 0)])


def test_what_is_awaited_in_another_names_its_parent(shelf: Shelf) -> None:
    ctx: Any = attempt(shelf)

    async def inner() -> int:
        return 1

    async def outer() -> int:
        return int(await ctx.checkpoint("inner", inner))

    assert asyncio.run(ctx.checkpoint("outer", outer)) == 1
    assert [each.parent_checkpoint for each in shelf.checkpoints] == [
        CheckpointRef(name="outer", sequence_number=0),
        None,
    ]


def test_what_remains_is_told_in_milliseconds(shelf: Shelf) -> None:
    assert attempt(shelf).remaining_ms is None
    with use(SteppingClock(1_000_000)) as clock:
        ctx = attempt(shelf, deadline_us=3_500_999)
        assert ctx.remaining_ms == 2_500
        clock.advance(9_000_000)
        assert ctx.remaining_ms == 0


@pytest.mark.parametrize("kind", [lambda: object, lambda: given_later], ids=["called", "awaited"])
def test_a_result_that_can_not_be_stored_is_a_failure_of_its_checkpoint(shelf: Shelf, kind: Any) -> None:
    with pytest.raises(DefinitionError), closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(attempt(shelf).checkpoint("a", kind()))
    [(name, number, error)] = shelf.failures
    assert (name, number, error.name) == ("a", 0, "DefinitionError")


async def given_later() -> Any:
    return object()


def test_what_is_awaited_and_fails_is_recorded_with_its_parent_and_what_it_holds_too(shelf: Shelf) -> None:
    ctx: Any = attempt(shelf)

    async def failing() -> int:
        ctx.checkpoint("inner", lambda: 1)
        return away()

    async def outer() -> int:
        return int(await ctx.checkpoint("page", failing))

    with pytest.raises(OSError, match="away"):
        asyncio.run(ctx.checkpoint("outer", outer))
    assert [(name, number) for name, number, _ in shelf.failures] == [("page", 0), ("outer", 0)]
    assert shelf.parents == [CheckpointRef(name="outer", sequence_number=0), None]
    [inner] = shelf.checkpoints
    assert inner.parent_checkpoint == CheckpointRef(name="page", sequence_number=0)


def test_what_comes_after_a_failed_checkpoint_is_no_part_of_it(shelf: Shelf) -> None:
    ctx = attempt(shelf)
    with suppress(OSError):
        ctx.checkpoint("broken", away)
    ctx.checkpoint("after", lambda: 1)
    assert [each.parent_checkpoint for each in shelf.checkpoints] == [None]


def test_a_checkpoint_says_which_attempt_has_stored_it(shelf: Shelf) -> None:
    attempt(shelf, 3).checkpoint("a", lambda: 1)
    assert shelf.checkpoints[0].attempt_number == 3


def test_what_is_stopped_in_a_checkpoint_is_no_failure_of_it(shelf: Shelf) -> None:
    def stopped() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        attempt(shelf).checkpoint("a", stopped)
    assert shelf.failures == []


def test_what_is_stored_and_does_not_fit_says_where(shelf: Shelf) -> None:
    attempt(shelf).checkpoint("page", lambda: {"number": "seven"})
    with pytest.raises(InputInvalidError) as caught:
        attempt(shelf, 2).checkpoint("page", lambda: Page(number=7), returns=Page)
    assert [issue.path for issue in caught.value.issues] == ["number"]
    assert isinstance(caught.value.__cause__, InputInvalidError)


def test_in_a_unit_test_a_context_needs_no_worker() -> None:
    ctx = StepContext()
    ctx.heartbeat()
    ctx.log.info("hello")
    assert ctx.checkpoint("a", lambda: {"x": (1, 2)})["x"] != (1, 2)
    assert (ctx.remaining_ms, ctx.attempt) == (None, 1)
