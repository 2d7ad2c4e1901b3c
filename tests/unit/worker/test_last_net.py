"""Whatever of ours fails around a step, the run tells it: each part of running and reporting is broken in turn."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from cascade_flow import DynamoDBBackend, Retry, RunSubmission, Skip, StepContext, Workflow, clock
from cascade_flow.authoring import Step
from cascade_flow.errors import BackendUnavailableError, PayloadLostError, StaleAttemptError
from cascade_flow.model.events import StepFailed, StepSkipped
from cascade_flow.operations import steps as steps_module
from cascade_flow.operations.payloads import Payloads
from cascade_flow.operations.steps import Steps
from cascade_flow.worker import loop, means, runner, verdicts
from cascade_flow.worker.capture import Capture
from cascade_flow.worker.heartbeat import Heartbeat
from cascade_flow.worker.interrupt import Interrupt
from cascade_flow.worker.lease import Lease
from cascade_flow.worker.loop import Worker
from cascade_flow.worker.resources import Meter
from checker import check_run
from simulated_queue import Mailbox
from simulation import TIMING, TickingClock
from testbed.servers import Store

LONGEST_MS = 900_000
TABLE_GOES_ON_MS = 2_600
"""For so long the table itself asks again, which is in nobody's patience."""


class Fault(Exception):
    """Something of ours that nobody foresaw."""


class World:
    """One run of one workflow, and the worker that carries it on."""

    def __init__(self, store: Store, flow: Workflow) -> None:
        self.mailbox = Mailbox(store)
        self.backend = DynamoDBBackend(store.table, client=store.client, queue=self.mailbox, timing=TIMING)
        self.backend.register_workflow(flow.registration())
        self.worker = Worker(self.backend.runtime, {flow.slug: flow}, worker_id="worker")
        self.run_id = self.backend.submit_run(RunSubmission(workflow_slug=flow.slug)).run_id

    def work(self) -> None:
        while self.mailbox.wakes:
            self.worker.work(self.mailbox.wakes.pop(0), remaining_ms=lambda: LONGEST_MS)

    def cause(self) -> tuple[str | None, str]:
        [told] = self.told(StepFailed)
        return told.error.name, told.error.message

    def told(self, kind: type) -> list[Any]:
        return [event for event in check_run(self.backend, self.run_id).events if isinstance(event, kind)]


@pytest.fixture
def world(dynamodb: Store, time: TickingClock) -> Callable[[Workflow], World]:
    return lambda flow: World(dynamodb, flow)


def flow_of(function: Callable[..., Any], **options: Any) -> Workflow:
    flow = Workflow("flow")
    flow.step(id="work", retry=Retry(max_attempts=1), **options)(function)
    return flow


def well() -> int:
    print("half way")
    return 42


def after_work(work: int) -> int:
    return work


def failing() -> int:
    raise ValueError("their own")


def once(fault: BaseException, real: Callable[..., Any]) -> Callable[..., Any]:
    """Fails the first time that it is called."""
    faults = [fault]

    def part(*args: Any, **options: Any) -> Any:
        if faults:
            raise faults.pop()
        return real(*args, **options)

    return part


RUNNING = [
    (Worker, "_step", well),
    (Steps, "inputs", well),
    (means, "Meter", well),
    (means, "Capture", well),
    (means, "Interrupt", well),
    (Heartbeat, "__init__", well),
    (Heartbeat, "__enter__", well),
    (loop, "AttemptContext", well),
    (Interrupt, "run", well),
    (Capture, "__enter__", well),
    (Capture, "_hand_on", well),
    (Meter, "usage", well),
    (runner, "step_error", failing),
    (Step, "retryable", failing),
    (loop, "_tell_errors", well),
]
BESIDE_THEIR_CODE = [(runner, "bind"), (Step, "dump_output")]
"""Validators and serializers of theirs run in these: who fails in them is the step."""

REPORTING = [
    (loop, "command_of", well),
    (verdicts, "Complete", well),
    (verdicts, "Fail", failing),
    (Worker, "_report", well),
    (Lease, "report", failing),
    (Payloads, "put_output", well),
    (steps_module, "decide", well),
    (Steps, "_ready", failing),
    (Steps, "_write", well),
]


@pytest.mark.parametrize(
    ("owner", "part", "step"), RUNNING + REPORTING, ids=lambda each: getattr(each, "__name__", each)
)
def test_a_part_that_fails_is_told_once_as_the_steps_failure(
    world: Callable[[Workflow], World],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: Any,
    part: str,
    step: Callable[..., Any],
) -> None:
    at = world(flow_of(step))
    monkeypatch.setattr(owner, part, once(Fault(f"{part} broke"), getattr(owner, part)))
    at.work()
    assert at.cause() == ("Fault", f"{part} broke")
    assert at.backend.get_run(at.run_id).status == "failed"
    [record] = [record for record in caplog.records if record.name == loop.__name__ and record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], Fault)
    assert record.__dict__.items() >= {"run_id": at.run_id, "step": "work", "attempt": 1}.items()
    assert at.told(StepFailed)[0].duration_us > 0


@pytest.mark.parametrize(("owner", "part"), BESIDE_THEIR_CODE)
def test_what_runs_their_code_fails_as_their_code_does(
    world: Callable[[Workflow], World], monkeypatch: pytest.MonkeyPatch, owner: Any, part: str
) -> None:
    at = world(flow_of(well))
    monkeypatch.setattr(owner, part, once(Fault("broke"), getattr(owner, part)))
    at.work()
    assert at.cause() == ("Fault", "broke")


def test_what_is_gone_for_good_is_not_tried_again(
    world: Callable[[Workflow], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = Workflow("flow")
    flow.step(id="work", retry=Retry(max_attempts=5))(well)
    at = world(flow)
    monkeypatch.setattr(Steps, "inputs", once(PayloadLostError("gone"), Steps.inputs))
    at.work()
    assert at.cause() == ("PayloadLostError", "gone")
    assert at.backend.get_run(at.run_id).status == "failed"


@pytest.mark.parametrize("timeout", [None, 2.0])
@pytest.mark.parametrize("part", ["inputs", "report"])
def test_a_backend_that_is_away_says_nothing_of_the_step(
    world: Callable[[Workflow], World], monkeypatch: pytest.MonkeyPatch, part: str, timeout: float | None
) -> None:
    """It is tried while there is time to report, which is more than the step's own."""

    def away(*_: Any) -> None:
        raise BackendUnavailableError

    at = world(flow_of(failing, timeout=timeout))
    began_us = clock.now_us()
    monkeypatch.setattr(Steps, part, away)
    with pytest.raises(BackendUnavailableError):
        at.work()
    assert at.told(StepFailed) == []
    assert 0.9 * LONGEST_MS < (clock.now_us() - began_us) / 1_000 < LONGEST_MS - TABLE_GOES_ON_MS


@pytest.mark.parametrize(
    ("error", "told", "traced"),
    [
        (None, [], False),
        (StaleAttemptError("another has it"), [], False),
        (BackendUnavailableError("away"), ["while the step ran: away"], False),
        (Fault("broke"), ["while the step ran: broke"], True),
    ],
)
def test_what_went_wrong_beside_a_step_is_told_with_its_place_unless_it_is_lost(
    caplog: pytest.LogCaptureFixture, error: Exception | None, told: list[str], traced: bool
) -> None:
    held: Any = SimpleNamespace(facts=SimpleNamespace(run_id="r"), branch=SimpleNamespace(step="work", attempt=2))
    loop._tell_errors(held, error)
    assert [record.getMessage() for record in caplog.records] == told
    for record in caplog.records:
        assert (bool(record.exc_info), record.levelno) == (traced, logging.WARNING)
        assert record.__dict__.items() >= {"run_id": "r", "step": "work", "attempt": 2}.items()


def test_a_heartbeat_that_does_not_end_takes_nothing_back(
    world: Callable[[Workflow], World], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    at = world(flow_of(well))
    monkeypatch.setattr(Heartbeat, "__exit__", once(Fault("broke"), Heartbeat.__exit__))
    at.work()
    assert at.told(StepFailed) == []
    assert at.backend.get_run(at.run_id).status == "completed"
    assert [record.levelno for record in caplog.records if record.name == loop.__name__] == [logging.ERROR]


def test_a_heartbeat_that_does_not_end_leaves_the_next_step_alone(
    world: Callable[[Workflow], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = flow_of(well)
    flow.step(retry=Retry(max_attempts=1))(after_work)
    at = world(flow)
    monkeypatch.setattr(Heartbeat, "__exit__", once(Fault("broke"), Heartbeat.__exit__))
    at.work()
    assert at.told(StepFailed) == []
    assert at.backend.get_run(at.run_id).status == "completed"


def test_a_failure_after_the_commit_takes_nothing_back(
    world: Callable[[Workflow], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = world(flow_of(lambda: 42))
    monkeypatch.setattr(Steps, "_after", once(Fault(), Steps._after))
    at.work()
    assert at.told(StepFailed) == []
    assert at.backend.get_run(at.run_id).status == "completed"


class Nameless(Skip):
    def __init__(self) -> None:
        """Leaves out what the base class would set."""


class Mute:
    def __str__(self) -> str:
        raise Fault

    __repr__ = __str__


@pytest.mark.parametrize(
    ("skip", "reason", "metadata"),
    [
        (Skip(ValueError("no order")), "no order", None),  # type: ignore[arg-type]
        (Skip(ValueError()), "ValueError", None),  # type: ignore[arg-type]
        (Skip(ValueError("\n")), "ValueError", None),  # type: ignore[arg-type]
        (Skip(None), "skipped", None),  # type: ignore[arg-type]
        (Skip(""), "skipped", None),
        (Skip({"why": "ä"}), '{"why": "ä"}', None),  # type: ignore[arg-type]
        (Skip(0), "0", None),  # type: ignore[arg-type]
        (Skip(SystemExit("enough")), "enough", None),  # type: ignore[arg-type]
        (Skip("x", {}), "x", {}),
        (Skip(Mute()), "[Mute]", None),  # type: ignore[arg-type]
        (Skip("half \ud800"), "half \ufffd", None),
        (Nameless(), "skipped", None),
        (Skip("x", {"by": Mute()}), "x", {"by": "[Mute]"}),
        (Skip("x", [1]), "x", {"metadata": [1]}),  # type: ignore[arg-type]
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_skip_is_a_skip_whatever_it_is_given(
    world: Callable[[Workflow], World], skip: Skip, reason: str, metadata: object
) -> None:
    def work() -> None:
        raise skip

    at = world(flow_of(work))
    at.work()
    [told] = at.told(StepSkipped)
    assert (told.reason, told.metadata) == (reason, metadata)


def test_metadata_too_large_to_be_stored_is_left_out_of_the_skip(world: Callable[[Workflow], World]) -> None:
    def work() -> None:
        raise Skip("enough", {"numbers": [hash(str(number)) for number in range(60_000)]})

    at = world(flow_of(work))
    at.work()
    [told] = at.told(StepSkipped)
    assert told.reason == "enough"
    assert list(told.metadata) == ["left out"]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise Fault

    __repr__ = __str__


class Strange(Exception):
    @property
    def __notes__(self) -> None:
        raise SystemExit


def circular() -> BaseException:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    return first


def noted() -> BaseException:
    error = ValueError("noted")
    error.__notes__ = 5  # type: ignore[assignment]
    return error


@pytest.mark.parametrize(
    ("error", "name", "message"),
    [
        (SyntaxError("bad", ("f.py", 1, 2, 5)), "SyntaxError", '["bad",["f.py",1,2,5]]'),  # type: ignore[arg-type]
        (Unspeakable("x"), "Unspeakable", "<exception str() failed>"),
        (Strange("x"), "Strange", '["x"]'),
        (circular(), "ValueError", "first"),
        (noted(), "ValueError", "noted"),
        (ValueError("half \ud800"), "ValueError", "half \ufffd"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_an_error_that_can_not_be_formatted_is_told_as_far_as_it_can(
    world: Callable[[Workflow], World], error: BaseException, name: str, message: str
) -> None:
    def work() -> None:
        raise error

    at = world(flow_of(work))
    at.work()
    told_name, told_message = at.cause()
    assert (told_name, told_message.startswith(message)) == (name, True)
    [told] = at.told(StepFailed)
    assert "unit/worker/test_last_net.py" in told.error.stack


def test_a_heartbeat_outlives_whatever_fails_in_it(
    world: Callable[[Workflow], World], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def work(ctx: StepContext) -> None:
        ctx.heartbeat()
        ctx.heartbeat()

    at = world(flow_of(work))
    beats: list[object] = []
    monkeypatch.setattr(Meter, "snapshot", once(OSError("no file left to open"), Meter.snapshot))
    monkeypatch.setattr(Lease, "beat", lambda _lease, snapshot: beats.append(snapshot))
    at.work()
    assert len(beats) == 1
    assert at.told(StepFailed) == []
