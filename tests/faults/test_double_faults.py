"""Any two faults in one run, at requests that a seed draws: what the first left, nobody but the sweep finds."""

import random
from collections.abc import Iterator

import pytest

from faults.breaking import run_with
from faults.test_single_faults import EVERY as ALL
from shapes import Shape
from tally import TALLY
from testbed.faults import UNWOKEN, Kind, Plan, can_happen, cases, nowhere
from testbed.servers import Server

TRACES = (Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.DROP_AFTER, Kind.CONFLICT, *sorted(UNWOKEN), Kind.DOUBLED)
"""What can leave a trace. All else only makes botocore send a request again."""
EVERY = [shape for shape in ALL if len(shape.steps) > 1]
"""A run of a single event is over before a second fault."""
NEAR = 12
"""How many requests may lie between the two at the most: sweeps included, most runs have some more."""
IN_THE_GATE, IN_ALL = 2_000, 20_000


def both(first: tuple[int, Kind], second: tuple[int, Kind]) -> Plan:
    """The first fault at its request; the second as soon as it can happen, from its request on."""
    left = [second]

    def plan(number: int, operation: str) -> Kind | None:
        if number == first[0]:
            return first[1]
        if left and number >= left[0][0] and can_happen(left[0][1], operation):
            return left.pop()[1]
        return None

    return plan


def pairs(dice: random.Random, singles: list[tuple[int, Kind]]) -> Iterator[Plan]:
    while True:
        number, kind = dice.choice(singles)
        yield both((number, kind), (number + dice.randint(1, NEAR), dice.choice(TRACES)))


def survived(server: Server, shape: Shape, *, seed: str, times: int) -> None:
    """Let so many pairs happen, each in a run of its own; where the run ends before the second, it is no pair."""
    singles = cases(run_with(server, shape, nowhere).log, TRACES)
    drawn = pairs(random.Random(f"{seed} {shape.name}"), singles)
    for _ in range(3 * times):
        if TALLY["double faults"] < times:
            course = run_with(server, shape, next(drawn)).must_be_in_time()
            TALLY["double faults"] += len(course.happened) == 2
    assert TALLY["double faults"] == times, "too few of those that were drawn have happened"


@pytest.mark.parametrize("shape", EVERY, ids=str)
def test_any_two_faults_are_survived(server: Server, shape: Shape) -> None:
    survived(server, shape, seed="gate", times=-(-IN_THE_GATE // len(EVERY)))


@pytest.mark.slow
@pytest.mark.parametrize("shape", EVERY, ids=str)
def test_very_many_pairs_of_faults_are_survived(server: Server, shape: Shape) -> None:
    survived(server, shape, seed="long", times=-(-IN_ALL // len(EVERY)))
