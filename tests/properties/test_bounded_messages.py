"""No run goes round for ever: the engine's own bounds limit what its workers send, whoever stops a chain of messages.

Lambda ends a chain in which a function's message calls it again after some 16 hops, unless it is told not to. It is
told not to (`RecursiveLoop: Allow`), so it is the attempts of each step that end a loop; and where it ends one all the
same, the sweep begins the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given, settings, strategies as st

from cascade_flow import RetryTier, StepDefinition, clock
from cascade_flow.dynamodb import schema
from cascade_flow.engine.state import ENDED
from cascade_flow.model.events import StepScheduled
from cascade_flow.wake import Wake
from checker import Checked, check_run
from shapes import chain
from simulated_queue import Mailbox
from simulation import World, step
from testbed.faults import Crash
from testbed.servers import MemoryServer, fresh_table

HOPS = 16
SWEEP_US = 60_000_000
ATTEMPTS = 3
ACTS = st.lists(st.sampled_from(["ok", "fail", "fatal", "skip", "die"]), min_size=1, max_size=3)


class Chains(Mailbox):
    """Knows of each message how many hops lie behind it, and loses those that lie beyond so many."""

    def __init__(self, longest: int | None) -> None:
        super().__init__()
        self.by_workers = self.by_others = self.lost = 0
        self._longest = longest
        self._hops: list[int] = []
        self._behind = 0

    def next(self) -> Wake:
        """The first message, which a worker takes: what is sent until `rest` is its answer."""
        self._behind = self._hops.pop(0)
        return self.wakes.pop(0)

    def rest(self) -> None:
        self._behind = 0

    def _arrive(self, body: str, delay_s: int) -> None:
        self.by_workers += self._behind > 0
        self.by_others += self._behind == 0
        if self._longest is not None and self._behind > self._longest:
            self.lost += 1
            return
        super()._arrive(body, delay_s)
        self._hops.append(self._behind + 1)


class Course:
    """A run from its submission to its end, by messages and by sweeps where there are none."""

    def __init__(
        self, steps: Sequence[StepDefinition], script: Mapping[str, Sequence[str]], longest: int | None
    ) -> None:
        self.sweeps = 0
        server = MemoryServer()
        with fresh_table(server, schema.create_table) as store:
            self.chains = Chains(longest)
            self.world = World(store, script=script, chained=False, mailbox=self.chains)
            with clock.use(self.world.clock):
                self.world.register(steps)
                self.run_id = self.world.submit()
                self._carry()
                self.checked: Checked = check_run(self.world.observer, self.run_id)

    @property
    def scheduled(self) -> int:
        return sum(isinstance(event, StepScheduled) for event in self.checked.events)

    def _carry(self) -> None:
        while self.world.observer.runtime.run(self.run_id).status not in ENDED:
            if self.chains.wakes:
                self._deliver(self.chains.next())
            else:
                self._sweep()

    def _deliver(self, wake: Wake) -> None:
        self.world.clock.pause_us(max(0, wake.available_at_us - clock.now_us()))
        try:
            self.world.deliver(replace(wake, available_at_us=0))
        except Crash:
            return
        finally:
            self.chains.rest()

    def _sweep(self) -> None:
        self.world.clock.pause_us(SWEEP_US)
        self.world.sweep()
        self.sweeps += 1
        assert self.sweeps < 1_000, "nothing happens any more"


@st.composite
def graphs(draw: st.DrawFn) -> list[StepDefinition]:
    """Up to six steps, each with up to three tries, which wait for any of those before."""
    names = [f"s{n}" for n in range(draw(st.integers(1, 6)))]
    retry = [RetryTier(max_attempts=ATTEMPTS, delay_ms=1_000)]
    return [
        step(name, *sorted(draw(st.sets(st.sampled_from(names[:n]), max_size=3))) if n else (), retry=retry)
        for n, name in enumerate(names)
    ]


@settings(max_examples=60, deadline=None)
@given(steps=graphs(), acts=st.lists(ACTS, min_size=6, max_size=6), longest=st.sampled_from([None, HOPS, 1, 0]))
def test_what_workers_send_is_bounded_by_the_attempts(
    steps: list[StepDefinition], acts: list[list[str]], longest: int | None
) -> None:
    course = Course(steps, dict(zip((each.id for each in steps), acts, strict=False)), longest)
    assert course.scheduled <= len(steps) * ATTEMPTS, "attempts are what bounds a run"
    assert course.chains.by_workers <= course.scheduled + len(steps), "one for each attempt, and one for each join"
    assert course.chains.by_others <= 2 * (course.scheduled + len(steps)), "the start's, and the sweeps'"
    assert course.sweeps <= 3 * (course.scheduled + 1), "a lost message costs a grace, a death a lease"


@pytest.mark.parametrize("act", ["fail", "die"])
def test_a_step_that_never_succeeds_ends_its_run(act: str) -> None:
    steps = [step("s0", retry=[RetryTier(max_attempts=40, delay_ms=1)])]
    course = Course(steps, {"s0": [act]}, HOPS)
    assert course.checked.status == "failed"
    assert course.scheduled <= 40
    assert course.chains.by_workers <= 40
    if act == "fail":
        assert course.chains.lost == ceil(40 / (HOPS + 1)) - 1


def test_a_chain_beyond_the_hops_goes_on_with_a_sweep_for_each_message_that_was_lost() -> None:
    course = Course(chain(60), {}, HOPS)
    assert course.checked.status == "completed"
    assert course.chains.lost == 60 // (HOPS + 1)
    assert course.sweeps <= 2 * course.chains.lost
    free = Course(chain(60), {}, None)
    assert (free.chains.lost, free.sweeps, free.chains.by_workers) == (0, 0, 59)
