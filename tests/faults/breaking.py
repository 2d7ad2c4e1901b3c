"""One run in a world of its own while requests break, up to its end and the check of all promises."""

from __future__ import annotations

from dataclasses import dataclass

from cascade_flow import ConflictError, clock
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.testing.memory.bucket_client import BucketClient
from faults.bounds import SWEEP_US, Bound
from shapes import CALLED, Shape
from simulation import TickingClock, World
from testbed.faults import CRASHES, Faults, Passed, Plan, faults
from testbed.servers import Server, fresh_table

RUN = "run"


@dataclass(frozen=True)
class Course:
    """What came of a run: how its requests were broken, what it took."""

    shape: Shape
    injected: Faults
    took_us: int
    attempts: int
    looks: int

    @property
    def log(self) -> list[Passed]:
        return self.injected.log

    @property
    def happened(self) -> list[Passed]:
        return self.injected.happened

    def is_as(self, other: Course) -> bool:
        """Whether it took the very same course, but for requests that were sent again."""
        asked = [passed.operation for passed in self.log if not passed.kind]
        same = (self.took_us, self.attempts, self.looks) == (other.took_us, other.attempts, other.looks)
        return same and asked == [passed.operation for passed in other.log]

    def must_be_in_time(self, *, pauses_us: int = 0) -> Course:
        """Assert the bounds of liveness: nothing waits for what isn't there, and nobody looks without a reason; for
        `pauses_us` a client may wait before it asks again.
        """
        bound = Bound.of(self.shape, self.happened)
        took = Bound(self.took_us - pauses_us, self.attempts, self.looks, len(self.log))
        assert all(getattr(took, what) <= most for what, most in vars(bound).items()), (took, bound, self.happened)
        return self


def run_with(server: Server, shape: Shape, plan: Plan) -> Course:
    """Submit until a submission is answered, then let processes die and others come in their place, to the end."""
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        bucket = BucketClient() if shape.in_bucket else None
        world = World(store, shape.script, shape.chained, clock=time, sweep_every_us=SWEEP_US, bucket=bucket)
        world.outside, world.sends_early = shape.outside, shape.sends_early
        world.register(shape.steps)
        if shape.called:
            world.register(shape.called, slug=CALLED)
        with faults(plan, *world.clients) as injected:
            world.reborn = injected.restart
            world.answers_lost = lambda: injected.answers_lost
            submit(world, shape, injected)
            world.settle(RUN)
            world.settle(*undo_of(world, RUN))
        checked = world.check(RUN)
        assert checked.status == shape.status, injected.happened
        undone = [world.check(run_id) for run_id in undo_of(world, RUN)]
        assert all(each.status == "completed" for each in undone), injected.happened
    run, last = checked.story.run, [checked, *undone][-1].story.run
    took_us = int(last.completed_at_us or 0) - run.created_us
    return Course(shape, injected, took_us, len(world.ran), world.swept["looked at"])


def undo_of(world: World, run_id: str) -> list[str]:
    """The run that undoes this one, if there is one."""
    undone_by = world.observer.runtime.run(run_id).undone_by
    return [] if undone_by is None else [undone_by]


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
