"""A heartbeat: this worker, this attempt, no halt but one that lets it finish (protocol.md §4)."""

from functools import partial

from cascade_flow import RetryTier, StaleAttemptError, clock
from cascade_flow.model.events import ResourceSnapshot
from cascade_flow.operations.steps import HeldAttempt, Steps
from clauses.stage import FATAL, RUN, begun, branch_of, claimed, counting, ended, going_on, reported, silent
from shapes import chain
from simulation import TIMING, World, step


def beats(world: World, held: HeldAttempt) -> bool:
    """Whether a heartbeat of who once held this is taken."""
    before = branch_of(world, held.branch.name)
    try:
        Steps(world.backend.runtime).heartbeat(held)
    except StaleAttemptError:
        assert branch_of(world, held.branch.name) == before
        return False
    return True


def test_a_heartbeat_prolongs_the_lease(world: World) -> None:
    begun(world, step("a"))
    held = claimed(world, "a")
    for _ in range(3):
        world.clock.pause_us(TIMING.lease_us * 9 // 10)
        assert beats(world, held)
    world.sweep()
    reported(world, held)
    ended(world)


def test_who_has_beaten_reports_at_the_first_try(world: World) -> None:
    begun(world, *chain(2))
    held = Steps(world.backend.runtime).heartbeat(claimed(world, "s0"))
    late, sizes = counting(world)
    reported(world, held, going_on(), by=late)
    assert sizes == [0]


def test_a_heartbeat_tells_what_was_measured_for_it_alone(world: World) -> None:
    begun(world, step("a"))
    held = claimed(world, "a").branch
    beat = partial(world.backend.runtime.ledger.beat, RUN, lease_us=clock.now_us() + TIMING.lease_us)
    once = beat(held, now_us=clock.now_us(), snapshot=ResourceSnapshot(memory_bytes=1))
    assert once.snapshot is not None
    assert beat(once, now_us=clock.now_us(), snapshot=None).snapshot is None


def test_an_attempt_that_is_over_has_no_heartbeat(world: World) -> None:
    begun(world, step("a"), step("b"))
    held = claimed(world, "a")
    reported(world, held, FATAL)
    assert not beats(world, held)


def test_an_earlier_attempt_of_the_same_worker_has_no_heartbeat(world: World) -> None:
    begun(world, step("a"))
    first = claimed(world, "a")
    silent(world)
    world.sweep()
    claimed(world, "a", 2)
    assert not beats(world, first)


def test_an_earlier_step_of_the_same_worker_has_no_heartbeat(world: World) -> None:
    begun(world, *chain(2))
    first = claimed(world, "s0")
    reported(world, first, going_on())
    assert branch_of(world, "s0").worker == "worker-1"
    assert not beats(world, first)


def test_what_is_stopped_has_no_heartbeat(world: World) -> None:
    begun(world, step("a"))
    held = claimed(world, "a")
    world.backend.cancel_run(RUN)
    assert not beats(world, held)


def test_what_may_finish_keeps_its_lease(world: World) -> None:
    begun(world, step("x"), step("a", retry=[RetryTier(max_attempts=1)]))
    held = claimed(world, "a")
    reported(world, claimed(world, "x"), FATAL)
    assert branch_of(world, "a").halt == "park"
    world.clock.pause_us(TIMING.lease_us * 9 // 10)
    assert beats(world, held)
    assert int(branch_of(world, "a").lease_us or 0) > clock.now_us() + TIMING.lease_us * 9 // 10
