"""Runs with children: every request of theirs and of their parent's, broken in every way that happens (protocol.md §14)."""

import pytest

from faults.breaking import run_with
from shapes import CHILDREN, Shape
from testbed.faults import nowhere
from testbed.servers import Server


@pytest.mark.parametrize("shape", CHILDREN, ids=str)
def test_whole(server: Server, shape: Shape) -> None:
    course = run_with(server, shape, nowhere)
    print(shape.name, course.took_us, course.attempts, course.looks, len(course.log))
