"""Two callers who say things of the same run at once, request by request: whatever the order, the run is one that a
caller could have told; and of words that exclude each other one is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from cascade_flow import DynamoDBBackend, clock
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.errors import CascadeFlowError
from contract.called import FLOW, Called
from faults.caller_operations import OLD, failed, held, nothing, scheduled, told
from faults.test_callers import Stage
from simulation import TIMING, TickingClock
from testbed.servers import Server, fresh_table
from testbed.turnstile import History, Turnstile, explore

SEEDS = range(5)
Saying = Callable[[Called], object]


def cancel(run: Called) -> None:
    run.backend.cancel_run(run.run_id)


def reclaim(run: Called) -> None:
    run.backend.reclaim_stale_steps(0, "reaper")


def look(run: Called) -> None:
    run.backend.list_scheduled_steps()


def go_on(run: Called) -> None:
    run.backend.delete_workflow_terminal_events(FLOW, run.run_id)


def forget(run: Called) -> None:
    run.backend.delete_step_events(FLOW, run.run_id, step_ids=["a"])


def copy(run: Called) -> None:
    run.backend.copy_entire_run(FLOW, OLD, run.run_id)


def take(run: Called) -> object:
    return run.claim("a") or _refuse()


def _refuse() -> None:
    raise CascadeFlowError("another has it")


@dataclass(frozen=True)
class Meeting:
    """Two words at once; `wins`: how many may succeed, where they exclude each other."""

    name: str
    before: Saying
    one: Saying
    other: Saying
    wins: tuple[int, ...] = (0, 1, 2)

    def __str__(self) -> str:
        return self.name


MEETINGS = (
    Meeting("two claims", scheduled, take, take, (1,)),
    Meeting("a claim and a skip", scheduled, take, lambda run: run.skip("a"), (1, 2)),
    Meeting("a claim and a cancellation", scheduled, take, cancel),
    Meeting("a completion and a failure", held, lambda run: run.complete("a"), lambda run: run.fail("a"), (1,)),
    Meeting("a completion and a reclaim", held, lambda run: run.complete("a"), reclaim),
    Meeting("a heartbeat and a retry", held, lambda run: run.beat("a"), lambda run: run.retry("a"), (1, 2)),
    Meeting("a completion and the run's end", held, lambda run: run.complete("a"), Called.give_up, (1, 2)),
    Meeting("two ends", held, lambda run: run.finish(), Called.give_up, (1,)),
    Meeting("a schedule and the run's end", held, lambda run: run.schedule("d"), Called.give_up, (1, 2)),
    Meeting("two schedules", held, lambda run: run.schedule("d"), lambda run: run.schedule("d"), (2,)),
    Meeting("two submissions", nothing, lambda run: run.submit(), lambda run: run.submit(), (1,)),
    Meeting("the next attempt and a reader", failed, Called.try_again, look, (2,)),
    Meeting("the end taken back and an end", failed, go_on, lambda run: run.finish()),
    Meeting("the end taken back and the next attempt", failed, go_on, Called.try_again, (2,)),
    Meeting("steps forgotten and told", held, forget, lambda run: run.beat("a")),
    Meeting("two copies", told, copy, copy, (0, 1)),
    Meeting("a copy and a first word", told, copy, lambda run: run.schedule("z"), (1,)),
)


@dataclass
class Known:
    """A run of its own for each seed, and the two who speak."""

    stage: Stage
    meeting: Meeting
    runs: list[Called] = field(default_factory=list)

    def __call__(self, gate: Turnstile, seed: int) -> Mapping[str, Callable[[], object]]:
        run = self.stage.run()
        self.meeting.before(run)
        self.runs.append(run)
        sayings = {"one": self.meeting.one, "other": self.meeting.other}
        return {name: partial(say, self._hand(gate, run)) for name, say in sayings.items()}

    def _hand(self, gate: Turnstile, run: Called) -> Called:
        client = self.stage.store.another_client()
        gate.attach(client)
        return replace(run, backend=DynamoDBBackend(self.stage.store.table, client=client, timing=TIMING))

    def check(self, history: History) -> None:
        """Nobody fails but by a refusal, and what they left is a run like any other."""
        errors = [outcome.raised for outcome in history.outcomes.values() if outcome.raised is not None]
        assert all(isinstance(error, CascadeFlowError) for error in errors), errors
        assert 2 - len(errors) in self.meeting.wins, errors
        self.stage.check(self.runs[-1])
        self.stage.forget(self.runs[-1])


@pytest.fixture
def stage(server: Server) -> Iterator[Stage]:
    with fresh_table(server, create_table) as store, clock.use(TickingClock()):
        yield Stage(store)


@pytest.mark.parametrize("meeting", MEETINGS, ids=str)
def test_two_who_speak_at_once_leave_one_story(stage: Stage, meeting: Meeting) -> None:
    known_run = Known(stage, meeting)
    assert explore(SEEDS, known_run, known_run.check) > 1
