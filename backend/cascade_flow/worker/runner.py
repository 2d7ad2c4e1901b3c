"""Runs user code once and says how that ended; whatever the code does, there is an outcome.

Reading the arguments and writing the output belong to it, since validators and serializers are user code too. Nothing
is reported here, and no policy decided but which errors it covers: that is the loop's and the engine's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import CoroutineType
from typing import Any

from cascade_flow.authoring import Later, Skip, Step, StepInputs, bind
from cascade_flow.clock import now_us
from cascade_flow.errors import DefinitionError, InputInvalidError
from cascade_flow.model.events import ResourceUsage, StepError
from cascade_flow.model.parts import StepFailureReason
from cascade_flow.records import dataclass, replace
from cascade_flow.serialization import safe_serialize
from cascade_flow.worker.forks import children_end_here
from cascade_flow.worker.interrupt import Cause, Interrupt, Interrupted
from cascade_flow.worker.resources import Meter
from cascade_flow.worker.tracebacks import LONGEST_MESSAGE, step_error


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What every outcome tells: how long the attempt took, and what it used."""

    duration_us: int = 0
    resource_usage: ResourceUsage | None = None


@dataclass(frozen=True, kw_only=True)
class Completed(Measured):
    """The step returned; `output` is JSON text."""

    output: str


@dataclass(frozen=True, kw_only=True)
class Failed(Measured):
    """The step raised, took too long, or gave something that can't be stored.

    `retryable` tells whether the step's policy goes on after this error, not whether attempts are left.
    """

    error: StepError
    failure_reason: StepFailureReason
    retryable: bool


@dataclass(frozen=True, kw_only=True)
class Skipped(Measured):
    """The step said that it need not be done."""

    reason: str
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Postponed(Measured):
    """The step said that it isn't ready, and when it is to come again, if it said that too."""

    reason: str
    at_us: int | None = None
    delay_ms: int | None = None


@dataclass(frozen=True, kw_only=True)
class Lost(Measured):
    """The attempt was stopped because another worker has it: there is nothing to report."""


Outcome = Completed | Failed | Skipped | Postponed | Lost
Work = Callable[[Step, StepInputs, Interrupt], Outcome]


def run_attempt(
    step: Step,
    given: StepInputs,
    *,
    timeout_ms: int | None,
    interrupt: Interrupt,
    capture: AbstractContextManager[object] | None = None,
    meter: Meter | None = None,
    work: Work | None = None,
) -> Outcome:
    """Run the step's function on what it is given, under its timeout, and say how that ended.

    `interrupt.fire` stops it from any thread. `capture` is entered around it. `work` says what is done, where that
    isn't one call. Raises nothing that user code raises.
    """
    meter, work = meter or Meter(), work or _outcome
    started_us = now_us()
    with capture or nullcontext():
        try:
            outcome = interrupt.run(lambda: work(step, given, interrupt), timeout_ms=timeout_ms)
        except Interrupted as interrupted:
            outcome = _stopped(step, given, interrupted, cause=interrupt.cause, timeout_ms=timeout_ms)
    return replace(outcome, duration_us=max(0, now_us() - started_us), resource_usage=meter.usage())


def _outcome(step: Step, given: StepInputs, interrupt: Interrupt) -> Outcome:
    return outcome_of(step, given, partial(text_of, step, given, interrupt))


def outcome_of(step: Step, given: StepInputs, give: Callable[[], str]) -> Outcome:
    """How it ends to let user code give JSON text. Raises nothing but Interrupted."""
    try:
        with children_end_here():
            return Completed(output=give())
    except Interrupted:
        raise
    except Skip as skip:
        return Skipped(reason=_reason(skip), metadata=_metadata(skip))
    except Later as later:
        return _postponed(step, given, later)
    except BaseException as error:  # noqa: BLE001  user code may raise anything, sys.exit included
        return _failed(step, given, error)


def text_of(step: Step, given: StepInputs, interrupt: Interrupt) -> str:
    """What the step's function gives, as JSON text. Raises whatever user code raises."""
    arguments = bind(step, input_json=given.input_json, outputs=given.outputs, context=given.context, index=given.index)
    return step.dump_output(_awaited(step.function(**arguments), interrupt))


def _awaited(result: Any, interrupt: Interrupt) -> Any:
    """What a step has returned; where its function is async, what comes of that."""
    if not isinstance(result, CoroutineType):
        return result
    from cascade_flow.worker.coroutines import run_coroutine  # noqa: PLC0415  (most steps are not async)

    return run_coroutine(result, interrupt)


def _postponed(step: Step, given: StepInputs, later: Later) -> Outcome:
    if later.at_us is None and later.delay_ms is None and step.declared.poll is None:
        cure = "say when, as in Later(timedelta(minutes=5)), or declare the step with poll=Poll(every=...)"
        return _failed(step, given, DefinitionError(f"step {step.id!r} raised Later without a time: {cure}"))
    return Postponed(reason=_reason(later), at_us=later.at_us, delay_ms=later.delay_ms)


def _failed(step: Step, given: StepInputs, error: BaseException) -> Failed:
    # What doesn't fit its type today doesn't fit it in a second either.
    hopeless = isinstance(error, InputInvalidError | DefinitionError)
    return Failed(
        error=step_error(error),
        failure_reason="execution-error",
        retryable=not hopeless and step.retryable(error, attempt_number=given.tried or given.context.attempt),
    )


def _stopped(
    step: Step, given: StepInputs, interrupted: Interrupted, *, cause: Cause | None, timeout_ms: int | None
) -> Outcome:
    if cause is Cause.LOST:
        return Lost()
    error = TimeoutError(_overtime(step, timeout_ms)).with_traceback(interrupted.__traceback__)
    return replace(_failed(step, given, error), failure_reason="timeout")


def _overtime(step: Step, timeout_ms: int | None) -> str:
    own_ms = step.declared.timeout_ms
    if own_ms is not None and own_ms == timeout_ms:
        return f"step {step.id!r} took longer than its timeout of {own_ms / 1000:g} s: raise timeout=, or do less in it"
    return f"step {step.id!r} was stopped because its worker's time was over: split it, or give its worker more time"


def _reason(skip: Skip | Later) -> str:
    """The reason as text, whatever was given for one: an error, None, or nothing at all by a subclass."""
    given = getattr(skip, "reason", None)
    if isinstance(given, BaseException):
        told = step_error(given)
        text = told.message or told.name or ""
    else:
        text = "" if given is None else _text(given)
    return text[:LONGEST_MESSAGE] or _NO_REASON[isinstance(skip, Later)]


_NO_REASON = {False: "skipped", True: "not ready"}


def _text(value: object) -> str:
    readable = json.loads(safe_serialize(value))
    return readable if isinstance(readable, str) else json.dumps(readable, ensure_ascii=False)


def _metadata(skip: Skip) -> dict[str, Any] | None:
    given = getattr(skip, "metadata", None)
    if given is None:
        return None
    metadata = json.loads(safe_serialize(given))
    return metadata if isinstance(metadata, dict) else {"metadata": metadata}
