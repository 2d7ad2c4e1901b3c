"""Faults meet the product's own clients too, each with retries of its own: the lean one, and boto3's.

The other suites ask tables behind no wire, since most of a request's time goes into a client.
"""

from __future__ import annotations

import pytest

from cascade_flow.aws.opening import Transport
from faults.breaking import run_with
from faults.test_single_faults import EVERY, planned
from shapes import Shape
from tally import TALLY
from testbed.faults import at, nowhere
from testbed.servers import OverAWire

FIRST_PAUSE_US = 1_000_000
"""For as long a client may wait before it asks for the second time; how long it does is diced."""


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["lean", "boto3"])
@pytest.mark.parametrize("shape", EVERY, ids=str)
def test_any_fault_is_survived_by_either_client(shape: Shape, transport: Transport) -> None:
    server = OverAWire(transport)
    server.start()
    clean = run_with(server, shape, nowhere).must_be_in_time()
    for number, kind in planned(clean, every=5, hidden_every=60):
        run_with(server, shape, at({number: kind})).must_be_in_time(pauses_us=FIRST_PAUSE_US)
        TALLY[f"single faults by {transport}"] += 1
