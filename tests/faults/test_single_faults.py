"""Every request of every shape, broken in every way that happens, one at a time: the run still reaches its end."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from checker import check_run
from shapes import MANY_ROOTS, POISON, SHAPES, WIDE, Shape
from simulation import World
from testbed.faults import CRASHES, Faults, Kind, at, cases
from testbed.servers import Store

from cascade_flow import clock
from cascade_flow.errors import ConflictError


NUMBERS = count()


@contextmanager
def begin(store: Store, shape: Shape) -> Iterator[World]:
    """A world in whose time the block happens."""
    world = World(store, shape.script)
    with clock.use(world.clock):
        world.register(shape.steps)
        yield world


def run_with(world: World, shape: Shape, faults: Faults) -> str:
    """Submit until a submission is answered, then let processes die and others come in their place."""
    faults.attach(world.store.client)
    world.reborn = faults.restart
    run_id = f"run-{next(NUMBERS)}"
    for _ in range(3):
        error = world.outlive(lambda: world.submit(**shape.submission, run_id=run_id, input={"order": 7}))
        if error is None or isinstance(error, ConflictError):
            break
    world.settle(run_id)
    faults.detach()
    return run_id


@pytest.mark.parametrize("shape", [*SHAPES, POISON], ids=str)
def test_any_single_fault_is_survived(dynamodb: Store, shape: Shape) -> None:
    with begin(dynamodb, shape) as world:
        clean = Faults()
        check_end(world, run_with(world, shape, clean), shape)
        for number, kind in cases(clean.log):
            world.mailbox.wakes.clear()
            faults = Faults(at({number: kind}))
            run_id = run_with(world, shape, faults)
            check_end(world, run_id, shape, f"{kind} at {number}")


@pytest.mark.parametrize("shape", [WIDE, MANY_ROOTS], ids=str)
def test_death_at_any_request_of_a_wide_run_is_survived(dynamodb: Store, shape: Shape) -> None:
    with begin(dynamodb, shape) as world:
        clean = Faults()
        check_end(world, run_with(world, shape, clean), shape)
        for number, kind in cases(clean.log, [*CRASHES, Kind.DROP_AFTER])[::7]:
            world.mailbox.wakes.clear()
            run_id = run_with(world, shape, Faults(at({number: kind})))
            check_end(world, run_id, shape, f"{kind} at {number}")


def check_end(world: World, run_id: str, shape: Shape, case: str = "clean") -> None:
    checked = check_run(world.observer, run_id)
    assert checked.status == shape.status, case
