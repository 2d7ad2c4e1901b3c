"""Steps that are skipped or fail before anybody works on them: whoever dies or meets whom, the run reaches its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import pytest

from cascade_flow import StaleAttemptError, StepError, clock
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.errors import CascadeFlowError
from checker import check_run
from shapes import chain, diamond
from simulation import TickingClock, World
from testbed.faults import Crash, Faults, Kind, Plan, at, cases, faults, nowhere
from testbed.servers import Server, fresh_table
from testbed.turnstile import History, Turnstile, explore

RUN = "run"
Say = Callable[[World], None]


def skip(world: World, step_id: str = "a") -> None:
    told = {"skip_type": "primary", "reason": "no need", "duration_us": 0}
    world.backend.save_step_skipped("flow", RUN, step_id, attempt_number=1, **told)


def fail(world: World, step_id: str = "a") -> None:
    told = {"duration_us": 0, "terminal": True, "failure_reason": "step-removed"}
    world.backend.save_step_failed("flow", RUN, step_id, StepError(message="gone"), attempt_number=1, **told)


ENDS = {skip: "completed", fail: "failed"}


def said(server: Server, say: Say, plan: Plan) -> Faults:
    """A run of which something is said before it begins, until that is answered; then it goes its way to the end."""
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        world = World(store, clock=time)
        world.register(diamond())
        world.submit(run_id=RUN)
        with faults(plan, store.client) as injected:
            world.reborn = injected.restart
            if (error := world.outlive(lambda: say(world))) is not None:
                assert isinstance(error, Crash)
                again = world.outlive(lambda: say(world))
                assert again is None or (isinstance(again, StaleAttemptError) and again.facts["stored"]), again
        world.settle(RUN)
        checked = world.check(RUN)
        assert checked.status == ENDS[say], injected.happened
        [first, second] = [event.type for event in checked.events if getattr(event, "step_id", "") == "a"]
        assert (first, second) in (("StepScheduled", "StepSkipped"), ("StepScheduled", "StepFailed"))
        return injected


@pytest.mark.parametrize("say", ENDS, ids=["skip", "failure"])
def test_what_is_said_without_work_survives_any_fault(server: Server, say: Say) -> None:
    clean = said(server, say, nowhere)
    for number, kind in cases(clean.log, [Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.DROP_AFTER, Kind.CONFLICT]):
        said(server, say, at({number: kind}))


@dataclass
class Meeting:
    """A claim of the step, what is said of it without work, and a sweep: request by request."""

    server: Server
    say: Say

    def __call__(self, gate: Turnstile, seed: int) -> Mapping[str, Callable[[], object]]:
        self._table = fresh_table(self.server, create_table)
        store = self._table.__enter__()
        self._clock = clock.use(TickingClock())
        self.world = World(store, clock=self._clock.__enter__())
        self.world.register(chain(3))
        self.world.submit(run_id=RUN)
        wakes = self.world.mailbox.wakes
        worker, speaker, sweeper = (World(store, clock=self.world.clock, mailbox=self.world.mailbox) for _ in range(3))
        gate.attach(store.client)
        return {
            "worker": partial(worker.deliver, wakes[0]),
            "speaker": partial(self.say, speaker, "s0"),
            "sweeper": sweeper.sweep,
        }

    def check(self, history: History) -> None:
        errors = [outcome.raised for outcome in history.outcomes.values() if outcome.raised is not None]
        assert all(isinstance(error, CascadeFlowError) for error in errors), errors
        self.world.settle(RUN)
        assert check_run(self.world.observer, RUN).status in ("completed", ENDS[self.say])
        self._clock.__exit__(None, None, None)
        self._table.__exit__(None, None, None)


@pytest.mark.parametrize("say", ENDS, ids=["skip", "failure"])
def test_what_is_said_without_work_meets_a_claim(server: Server, say: Say) -> None:
    meeting = Meeting(server, say)
    assert explore(range(8), meeting, meeting.check) > 1
