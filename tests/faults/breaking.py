"""One run in a world of its own while requests break, up to its end and the check of all promises."""

from __future__ import annotations

from dataclasses import dataclass

from cascade_flow import ConflictError, StepReclaimed, clock
from cascade_flow.dynamodb.schema import create_table
from checker import check_run
from shapes import Shape
from simulation import TIMING, TickingClock, World
from testbed.faults import CRASHES, UNWOKEN, Faults, Passed, Plan, faults
from testbed.memory_bucket import BucketClient
from testbed.servers import Server, fresh_table

RUN = "run"
SWEEP_US = 5_000_000
"""How often the sweep comes."""
BUSY_US = 1_000_000
"""More than all that is done in a run takes by the clock, conflicts included: what takes time here is waiting."""


@dataclass(frozen=True)
class Course:
    """What came of a run: how its requests were broken, how long it took, how often a worker was lost."""

    injected: Faults
    took_us: int
    reclaims: int

    @property
    def log(self) -> list[Passed]:
        return self.injected.log

    @property
    def happened(self) -> list[Passed]:
        return self.injected.happened

    def must_be_in_time(self, undisturbed: Course) -> None:
        """Assert the bound of liveness: with one death, a lease and the wait for a sweep more than without; nothing
        more where nobody died. A worker that the script loses may wait for its sweep longer than it did. Who was not
        woken waits until the sweep wakes again.
        """
        died = any(passed.kind in CRASHES for passed in self.injected.happened)
        unwoken = sum(passed.kind in UNWOKEN for passed in self.injected.happened)
        late_us = (TIMING.lease_us + SWEEP_US) * died + (TIMING.grace_us + SWEEP_US) * unwoken
        late_us += undisturbed.reclaims * SWEEP_US + BUSY_US
        assert self.took_us <= undisturbed.took_us + late_us, self.injected.happened


def run_with(server: Server, shape: Shape, plan: Plan) -> Course:
    """Submit until a submission is answered, then let processes die and others come in their place, to the end."""
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        bucket = BucketClient() if shape.in_bucket else None
        world = World(store, shape.script, clock=time, sweep_every_us=SWEEP_US, bucket=bucket)
        world.register(shape.steps)
        with faults(plan, *world.clients) as injected:
            world.reborn = injected.restart
            submit(world, shape, injected)
            world.settle(RUN)
        checked = check_run(world.observer, RUN)
        assert checked.status == shape.status, injected.happened
    run = checked.story.run
    return Course(injected, int(run.completed_at_us or 0) - run.created_us, checked.count(StepReclaimed))


def submit(world: World, shape: Shape, injected: Faults) -> None:
    """A client that tries again until it knows that the run is there; who is alive is never told that it isn't his."""
    for _ in range(3):
        error = world.outlive(lambda: world.submit(run_id=RUN, **{"input": {"order": 7}, **shape.submission}))
        if error is None:
            return
        died = any(passed.kind in CRASHES for passed in injected.happened)
        assert died, f"nobody has died, and the submission failed: {error}"
        if isinstance(error, ConflictError):
            assert world.observer.get_run(RUN) is not None
            return
    raise AssertionError("a client could not submit a run, three times")
