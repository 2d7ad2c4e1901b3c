"""The suite itself: on every server each operation was called, and each documented error was met.

It runs last, and only where the whole suite does.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cascade_flow import errors
from contract.witness import COMMON, DOCUMENTED, OPERATIONS, Witness, errors_in
from testbed.servers import MemoryServer, Server

pytestmark = pytest.mark.servers("all")

AT_THE_DOOR = frozenset({"InvalidIdError", "EventInvalidError"})


def test_the_documented_errors_are_errors_of_ours() -> None:
    named = COMMON | {error for _, error in DOCUMENTED}
    assert {name for name in named if not hasattr(errors, name)} == set()


def test_a_sentence_of_errors_is_read() -> None:
    told = "Does it.\n\n        Raises AError, BError (where A, or B, is not), CError.\n\n        And more."
    assert errors_in(told) == {"AError", "BError", "CError"}
    assert errors_in("Does it.") == frozenset()


@pytest.mark.usefixtures("whole_suite")
def test_every_operation_is_called(
    server: Server, witness: Witness, record_property: Callable[[str, object], None]
) -> None:
    record_property("contract", witness.told(server.name))
    assert set(OPERATIONS) - witness.operations(server.name) == set()


@pytest.mark.usefixtures("whole_suite")
def test_every_documented_error_is_raised(server: Server, witness: Witness) -> None:
    """What is refused at the door asks no server: all of that is met on one, where every argument is tried."""
    missing = DOCUMENTED - witness.errors(server.name)
    door = frozenset() if isinstance(server, MemoryServer) else AT_THE_DOOR
    assert {pair for pair in missing if pair[1] not in door} == set()


@pytest.mark.usefixtures("whole_suite")
def test_no_other_error_is_raised(server: Server, witness: Witness) -> None:
    """A call that lacks an argument is Python's to refuse."""
    others = {*COMMON, "TypeError (not ours)"}
    assert {pair for pair in witness.errors(server.name) - DOCUMENTED if pair[1] not in others} == set()
