"""Every request of every shape, broken in every way that happens, one at a time: the run reaches its end, in time."""

import pytest

from faults.breaking import Course, run_with
from shapes import MANY_ROOTS, POISON, SHAPES, WIDE, Shape
from tally import TALLY
from testbed.faults import Kind, at, cases, nowhere
from testbed.requests import SINGLE_WRITES, TRANSACTIONS
from testbed.servers import Server

RUN = "run"
TRACES = (Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.DROP_AFTER, Kind.CONFLICT)


def telling(clean: Course) -> list[tuple[int, Kind]]:
    """The faults that can leave a trace: deaths, lost answers and conflicts of writes, and a death before each read.

    The rest only makes botocore send a request again; every ninth of those must do, and the long test takes all.
    """
    writes = {passed.number for passed in clean.log if passed.operation in SINGLE_WRITES | TRANSACTIONS}
    found = cases(clean.log)
    deep = [(n, kind) for n, kind in found if kind is Kind.CRASH_BEFORE or (n in writes and kind in TRACES)]
    return deep + [case for case in found if case not in deep][::9]


@pytest.mark.parametrize("shape", [*SHAPES, POISON], ids=str)
def test_any_single_fault_is_survived(server: Server, shape: Shape) -> None:
    clean = run_with(server, shape, nowhere)
    for number, kind in telling(clean):
        run_with(server, shape, at({number: kind})).must_be_in_time(clean)
        TALLY["single faults"] += 1


@pytest.mark.slow
@pytest.mark.parametrize("shape", [*SHAPES, POISON], ids=str)
def test_every_single_fault_is_survived(server: Server, shape: Shape) -> None:
    clean = run_with(server, shape, nowhere)
    for number, kind in cases(clean.log):
        run_with(server, shape, at({number: kind})).must_be_in_time(clean)
        TALLY["single faults"] += 1


@pytest.mark.parametrize("shape", [WIDE, MANY_ROOTS], ids=str)
def test_death_in_a_wide_run_is_survived(server: Server, shape: Shape) -> None:
    clean = run_with(server, shape, nowhere)
    for number, kind in cases(clean.log, TRACES)[::11]:
        run_with(server, shape, at({number: kind})).must_be_in_time(clean)
        TALLY["single faults"] += 1
