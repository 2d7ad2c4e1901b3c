"""Every way in which user code can end has an outcome; the error that is stored shows their code and not ours."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, cast

import pytest

from cascade_flow.authoring import Retry, Skip, Step, StepContext, StepInputs, Workflow
from cascade_flow.clock import SteppingClock, use
from cascade_flow.fingerprints import compute_error_fingerprints
from cascade_flow.worker.capture import Capture
from cascade_flow.worker.interrupt import Cause, Interrupt
from cascade_flow.worker.log_buffer import LogLine
from cascade_flow.worker.runner import Completed, Failed, Lost, Outcome, Skipped, run_attempt
from cascade_flow.worker.tracebacks import LONGEST_MESSAGE, LONGEST_STACK, MOST_FRAMES, step_error

LONG_MS = 600_000


def step_of(function: Callable[..., Any], **options: Any) -> Step:
    flow = Workflow("f")
    cast(Any, flow).step(**options)(function)
    return flow.definition().steps[function.__name__]


def run(
    function: Callable[..., Any],
    *,
    input: str | None = None,
    attempt: int = 1,
    timeout_ms: int = LONG_MS,
    capture: Capture | None = None,
    **options: Any,
) -> Outcome:
    given = StepInputs(input_json=input, outputs={}, context=StepContext(attempt=attempt))
    step = step_of(function, **options)
    return run_attempt(step, given, timeout_ms=timeout_ms, interrupt=Interrupt(), capture=capture)


def failed(function: Callable[..., Any], **options: Any) -> Failed:
    outcome = run(function, **options)
    assert isinstance(outcome, Failed)
    return outcome


def test_a_step_that_returns_is_completed_with_its_output_as_json() -> None:
    def double(input: list[int]) -> list[int]:
        return [2 * number for number in input]

    outcome = run(double, input="[1, 2]")
    assert isinstance(outcome, Completed)
    assert outcome.output == "[2,4]"
    assert outcome.duration_us >= 0
    assert outcome.resource_usage is not None
    assert outcome.resource_usage.peak_memory_bytes > 0


def test_a_step_that_raises_fails_with_name_message_and_its_own_frames_only() -> None:
    def inner() -> None:
        raise ValueError("no such order")

    def outer() -> None:
        inner()

    outcome = failed(outer)
    assert (outcome.error.name, outcome.error.message) == ("ValueError", "no such order")
    assert (outcome.failure_reason, outcome.retryable) == ("execution-error", True)
    frames = [line.split(" in ")[1] for line in (outcome.error.stack or "").splitlines() if " in " in line]
    assert frames == ["outer", "inner"]
    assert "cascade_flow" not in (outcome.error.stack or "")
    assert (outcome.error.stack or "").startswith("Traceback (most recent call last):")
    assert (outcome.error.stack or "").endswith("ValueError: no such order")


def test_an_error_keeps_its_causes_and_notes() -> None:
    def work() -> None:
        try:
            dict[str, int]()["x"]
        except KeyError as error:
            wrapped = RuntimeError("broken")
            wrapped.add_note("while reading x")
            raise wrapped from error

    error = failed(work).error
    assert error.message == "broken\nwhile reading x"
    assert "KeyError: 'x'" in (error.stack or "")


class Hostile(Exception):
    def __str__(self) -> str:
        raise RuntimeError("even this")


@pytest.mark.parametrize(
    ("error", "name", "message"),
    [
        (SystemExit(3), "SystemExit", "3"),
        (KeyboardInterrupt(), "KeyboardInterrupt", "KeyboardInterrupt"),
        (Hostile(), "Hostile", "<exception str() failed>"),
        (ValueError("a: b"), "ValueError", "a: b"),
        (OSError(2, "gone", "f"), "OSError", "[Errno 2] gone: 'f'"),
        (ExceptionGroup("two", [ValueError("1")]), "ExceptionGroup", "two (1 sub-exception)"),
        (BaseException("bare"), "BaseException", "bare"),
    ],
)
def test_whatever_is_raised_is_told(error: BaseException, name: str, message: str) -> None:
    def work() -> None:
        raise error

    outcome = failed(work)
    if name == "OSError":
        name = "FileNotFoundError"
    assert (outcome.error.name, outcome.error.message) == (name, message)


def test_sys_exit_does_not_end_the_worker() -> None:
    def work() -> None:
        sys.exit("enough")

    assert failed(work).error.message == "enough"


def test_endless_recursion_fails_in_bounded_size() -> None:
    def dig(input: int) -> int:
        return dig(input + 1) + 1

    error = failed(dig, input="0").error
    assert error.name == "RecursionError"
    assert len(error.stack or "") <= LONGEST_STACK + 100


def test_of_a_deep_stack_the_innermost_frames_are_told() -> None:
    def even(input: int) -> int:
        return odd(input - 1) if input else 1 // input

    def odd(input: int) -> int:
        return even(input - 1)

    stack = failed(even, input="100").error.stack or ""
    assert stack.count("  File ") == MOST_FRAMES
    assert "1 // input" in stack


def test_of_a_huge_stack_the_end_is_told() -> None:
    def work() -> None:
        raise ValueError("x" * LONGEST_STACK + " at last")

    assert (failed(work).error.stack or "").endswith("x at last")


def test_a_huge_message_is_cut() -> None:
    def work() -> None:
        raise ValueError("x" * 100_000)

    error = failed(work).error
    assert error.message.endswith("… (100000 characters)")
    assert len(error.message) < LONGEST_MESSAGE + 100
    assert len(error.stack or "") < LONGEST_STACK + 100


def test_a_result_that_can_not_be_stored_fails_without_retries() -> None:
    def give() -> Any:
        return object()

    outcome = failed(give)
    assert "what step 'give' returned can't be stored as JSON" in outcome.error.message
    assert (outcome.error.name, outcome.retryable) == ("DefinitionError", False)


def test_an_input_that_does_not_fit_fails_without_retries() -> None:
    def take(input: int) -> None: ...

    outcome = failed(take, input='"x"')
    assert (outcome.error.name, outcome.retryable) == ("InputInvalidError", False)
    assert "step 'take': the run's input does not fit int" in outcome.error.message


def test_the_policy_of_the_attempt_says_whether_to_retry() -> None:
    def work() -> None:
        raise ValueError

    tiers = [Retry(max_attempts=2), Retry(max_attempts=2, give_up_on=ValueError)]
    assert [failed(work, retry=tiers, attempt=n).retryable for n in (1, 2, 3, 4)] == [True, True, False, False]


class Awaitable(list[int]):
    """Could be awaited, and need not be."""

    def __await__(self) -> Any:
        pytest.fail("it was awaited")


def test_what_a_step_returns_is_awaited_where_its_function_is_async_alone() -> None:
    def give() -> Any:
        return Awaitable([1])

    outcome = run(give)
    assert isinstance(outcome, Completed)
    assert outcome.output == "[1]"


def test_a_skip_has_its_reason_and_metadata() -> None:
    def work() -> None:
        raise Skip("nothing new", {"seen": {1, 2}})

    outcome = run(work)
    assert isinstance(outcome, Skipped)
    assert (outcome.reason, outcome.metadata) == ("nothing new", {"seen": [1, 2]})

    def plain() -> None:
        raise Skip

    outcome = run(plain)
    assert isinstance(outcome, Skipped)
    assert (outcome.reason, outcome.metadata) == ("skipped", None)


def test_a_reason_is_cut_as_a_message_is() -> None:
    def work() -> None:
        raise Skip("x" * (LONGEST_MESSAGE + 1))

    outcome = run(work)
    assert isinstance(outcome, Skipped)
    assert outcome.reason == "x" * LONGEST_MESSAGE


def test_a_clock_that_is_put_back_makes_no_negative_duration() -> None:
    with use(SteppingClock(2)):

        def work() -> None:
            clocks.enter_context(use(SteppingClock(1)))

        with ExitStack() as clocks:
            assert run(work).duration_us == 0


def spin() -> None:
    while True:
        pass


def test_a_step_that_takes_too_long_fails_where_it_was() -> None:
    outcome = failed(spin, timeout_ms=30, timeout=0.03)
    assert (outcome.failure_reason, outcome.error.name, outcome.retryable) == ("timeout", "TimeoutError", True)
    assert "step 'spin' took longer than its timeout of 0.03 s" in outcome.error.message
    assert "in spin" in (outcome.error.stack or "")
    assert "interrupt.py" not in (outcome.error.stack or "")
    assert outcome.duration_us >= 30_000


def test_a_step_that_is_stopped_for_its_workers_sake_is_told_so() -> None:
    for options in ({}, {"timeout": 60}):
        outcome = failed(spin, timeout_ms=30, **options)
        assert outcome.failure_reason == "timeout"
        assert "step 'spin' was stopped because its worker's time was over" in outcome.error.message


def test_a_policy_may_give_up_after_a_timeout() -> None:
    assert not failed(spin, timeout_ms=30, retry=Retry(give_up_on=TimeoutError)).retryable


def test_the_timeout_holds_outside_of_the_main_thread_too() -> None:
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(failed, spin, timeout_ms=30).result()
    assert outcome.failure_reason == "timeout"
    assert [line.split(" in ")[1] for line in (outcome.error.stack or "").splitlines() if " in " in line] == ["spin"]


def test_timeouts_of_one_step_are_one_kind_of_error() -> None:
    first, second = failed(spin, timeout_ms=30), failed(spin, timeout_ms=30)
    kinds = [compute_error_fingerprints(each.error) for each in (first, second)]
    assert kinds[0].name_hash == kinds[1].name_hash
    assert kinds[0].message_hash == kinds[1].message_hash
    assert kinds[0].stack_normalized_hash == kinds[1].stack_normalized_hash


def test_a_lost_attempt_has_nothing_to_report() -> None:
    interrupt = Interrupt()

    def work() -> None:
        threading.Thread(target=interrupt.fire, args=(Cause.LOST,)).start()
        spin()

    given = StepInputs(input_json=None, outputs={}, context=StepContext())
    assert isinstance(run_attempt(step_of(work), given, timeout_ms=LONG_MS, interrupt=interrupt), Lost)


def test_what_the_step_writes_goes_to_the_capture() -> None:
    lines: list[LogLine] = []

    def work() -> None:
        print("hello")

    run(work, capture=Capture(lines.extend, echo=False))
    assert [line.message for line in lines] == ["hello"]


def test_processor_time_of_the_attempt_is_measured() -> None:
    def work() -> int:
        begun = os.times().user
        while os.times().user - begun < 0.05:
            pass
        return 1

    outcome = run(work)
    assert outcome.resource_usage is not None
    usage = outcome.resource_usage
    assert usage.cpu_time_user_us >= 40_000
    assert usage.cpu_time_total_us == usage.cpu_time_user_us + usage.cpu_time_system_us


def test_an_error_that_was_never_raised_has_no_frames() -> None:
    error = step_error(ValueError("x"))
    assert (error.message, error.stack) == ("x", "ValueError: x")


def test_a_result_that_would_not_arrive_as_it_is_fails_at_once_and_names_the_field() -> None:
    def give() -> dict[str, Any]:
        return {"rates": [1.5, float("nan")]}

    outcome = failed(give, retry=Retry(max_attempts=5))
    assert not outcome.retryable
    assert outcome.error.name == "DefinitionError"
    assert outcome.error.message == (
        "what step 'give' returned would not arrive as it is: rates.1: float \"NaN\" would arrive as NoneType null: "
        "JSON has no such number: annotate it as float, which knows how to store it"
    )


def test_an_error_that_can_not_be_formatted_is_told_as_far_as_it_can_be() -> None:
    def work() -> None:
        raise SyntaxError("odd", ("file", 1, 1, 42, 1, 1))  # type: ignore[arg-type]

    error = failed(work).error
    assert error.name == "SyntaxError"
    assert "odd" in error.message
    assert "in work" in (error.stack or "")
