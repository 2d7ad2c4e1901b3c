"""The parts together, as the loop uses them: a lost attempt is stopped by its heartbeat, in the middle of its code."""

import threading

from cascade_flow.authoring import StepContext, StepInputs, Workflow
from cascade_flow.errors import StaleAttemptError
from cascade_flow.model.events import ResourceSnapshot
from cascade_flow.model.states import Checkpoint
from cascade_flow.operations.checkpoints import CheckpointNumber
from cascade_flow.worker.capture import Capture
from cascade_flow.worker.context import AttemptContext
from cascade_flow.worker.heartbeat import Heartbeat
from cascade_flow.worker.interrupt import Cause, Interrupt
from cascade_flow.worker.log_buffer import LogLine
from cascade_flow.worker.resources import Meter
from cascade_flow.worker.runner import Completed, Lost, Outcome, run_attempt

flow = Workflow("flow")
reached = threading.Event()


@flow.step
def work(input: bool, ctx: StepContext) -> int:
    ctx.log.info("attempt %d", ctx.attempt)
    print(ctx.checkpoint("half", lambda: 21))
    reached.set()
    while input:
        pass
    ctx.heartbeat()
    return 42


class Shelf:
    def recorded(self) -> list[CheckpointNumber]:
        return []

    def save(self, checkpoint: Checkpoint) -> None: ...

    def failed(self, place: object, parent: object, error: object) -> None: ...


def carry_out(*, endless: bool) -> tuple[Outcome, Heartbeat, list[str]]:
    reached.clear()
    lines: list[LogLine] = []
    interrupt, meter = Interrupt(), Meter()

    def beat(_: ResourceSnapshot) -> None:
        if endless and reached.is_set():
            raise StaleAttemptError

    heartbeat = Heartbeat(
        beat, every_ms=5, snapshot=meter.snapshot, on_lost=lambda: interrupt.fire(Cause.LOST), stop_after_ms=60_000
    )
    context = AttemptContext(
        run_id="r",
        workflow_slug="flow",
        step_id="work",
        attempt=1,
        interrupt=interrupt,
        beat=heartbeat.beat,
        store=Shelf(),
    )
    given = StepInputs(input_json="true" if endless else "false", outputs={}, context=context)
    step = flow.definition().steps["work"]
    with heartbeat:
        outcome = run_attempt(
            step,
            given,
            timeout_ms=60_000,
            interrupt=interrupt,
            capture=Capture(lines.extend, echo=False),
            meter=meter,
        )
    return outcome, heartbeat, [line.message for line in lines]


def test_an_attempt_runs_to_its_end() -> None:
    outcome, heartbeat, messages = carry_out(endless=False)
    assert isinstance(outcome, Completed)
    assert outcome.output == "42"
    assert not heartbeat.lost
    assert messages == ["INFO attempt 1", "21"]


def test_an_attempt_that_is_given_away_is_stopped_in_the_middle() -> None:
    outcome, heartbeat, messages = carry_out(endless=True)
    assert isinstance(outcome, Lost)
    assert heartbeat.lost
    assert messages == ["INFO attempt 1", "21"]
