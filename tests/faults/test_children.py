"""Runs with children: each request of theirs and their parent's, broken in every way that happens (protocol.md §14)."""

import pytest

from faults.breaking import run_with
from faults.test_single_faults import survived
from shapes import CHILDREN, Shape
from testbed.faults import nowhere
from testbed.servers import Server


@pytest.mark.parametrize("shape", CHILDREN, ids=str)
def test_a_family_waits_for_nothing_but_what_its_script_calls_for(server: Server, shape: Shape) -> None:
    run_with(server, shape, nowhere).must_be_in_time()


@pytest.mark.parametrize("shape", CHILDREN, ids=str)
def test_any_single_fault_is_survived(server: Server, shape: Shape) -> None:
    survived(server, shape, every=1)
