"""Reports of random histories, asked for again and again: what is kept of runs that have ended never makes other
numbers than their events do, whatever happens to these runs afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from cascade_flow import RetryTier, RunNotCancellableError, RunNotRetryableError, StepError, StepRetrying, clock
from cascade_flow.dynamodb.schema import create_table
from reported import check_reports
from simulation import BEGIN_US, Script, TickingClock, World, step
from testbed.servers import MemoryServer, fresh_table

RUNS = ("one", "two", "three")
TWICE = [RetryTier(max_attempts=2, delay_ms=1_000, jitter=0)]
EXHAUSTED: Script = {"b": ["fail"]}
SCRIPTS: tuple[Script, ...] = ({}, {"b": ["fail", "ok"]}, EXHAUSTED, {"b": ["fatal"]}, {"a": ["skip"]})
HOUR_US = 3_600_000_000


@dataclass
class Past:
    """Runs, some of which have ended, and the reports on them."""

    world: World
    runs: list[str] = field(default_factory=list)

    def act(self, what: str, run_id: str, script: Script) -> None:
        """Let a run begin, or let something happen to one that has."""
        self.world.script = script
        if run_id not in self.runs:
            self.runs.append(run_id)
            self.world.submit(run_id=run_id, timeout=24 * HOUR_US)
        else:
            with suppress(RunNotRetryableError, RunNotCancellableError):
                self._acts[what](run_id)

    @property
    def _acts(self) -> dict[str, Callable[[str], Any]]:
        backend = self.world.backend
        return {
            END: self.world.settle,
            AGAIN: backend.retry_run,
            CANCELLED: backend.cancel_run,
            TOLD: self._tell,
            REST: lambda _: self.world.clock.pause_us(HOUR_US),
        }

    def _tell(self, run_id: str) -> None:
        at: dict[str, Any] = {"workflow_slug": "flow", "run_id": run_id, "step_id": "b", "attempt_number": 1}
        first = self.world.observer.load_events("flow", run_id)[0]
        told = StepRetrying(timestamp_us=first.timestamp_us, **at, next_attempt=2, error=StepError(message="no"))
        self.world.backend.append_event("flow", run_id, told)

    def check(self) -> None:
        histories = [self.world.observer.load_events("flow", run_id) for run_id in self.runs]
        check_reports(self.world.backend, histories, start_us=BEGIN_US, end_us=clock.now_us())


END, AGAIN, CANCELLED, TOLD, REST = "goes on to its end", "is tried again", "is cancelled", "is told more of", "rests"
DEEDS = st.lists(
    st.tuples(st.sampled_from([END, AGAIN, CANCELLED, TOLD, REST]), st.sampled_from(RUNS), st.sampled_from(SCRIPTS)),
    min_size=3,
    max_size=10,
)


@pytest.fixture(scope="module")
def server() -> MemoryServer:
    return MemoryServer()


@settings(max_examples=10)
@given(DEEDS)
@example([(END, "one", EXHAUSTED), (END, "one", EXHAUSTED), (AGAIN, "one", {}), (END, "one", {})])
@example([(END, "one", {}), (END, "one", {}), (TOLD, "one", {})])
def test_reports_are_right_after_whatever_happens(server: MemoryServer, deeds: list[tuple[str, str, Script]]) -> None:
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        past = Past(World(store, clock=time))
        past.world.register([step("a"), step("b", "a", retry=TWICE)])
        for deed in deeds:
            past.act(*deed)
            past.check()
