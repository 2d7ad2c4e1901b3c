"""A bucket that is out for a while: what should lie in it is neither lost nor named before it is there."""

import pytest

from faults.breaking import run_with
from shapes import IN_BUCKET
from testbed.faults import Kind, at, nowhere, only
from testbed.servers import Server

OF_BUCKETS = {"PutObject", "GetObject"}


def test_large_payloads_lie_in_the_bucket(server: Server) -> None:
    asked = [passed.operation for passed in run_with(server, IN_BUCKET, nowhere).log]
    assert asked.count("PutObject") == 4, "the input, two outputs, and the run's"
    assert asked.count("GetObject") >= 4, "the input for each step"


@pytest.mark.parametrize("kind", [Kind.THROTTLE, Kind.ERROR_500, Kind.DROP_BEFORE, Kind.DROP_AFTER])
def test_a_run_outlives_a_bucket_that_is_out(server: Server, kind: Kind) -> None:
    clean = run_with(server, IN_BUCKET, nowhere)
    for begin in [passed.number for passed in clean.log if passed.operation in OF_BUCKETS][1:]:
        out = only(OF_BUCKETS, at(dict.fromkeys(range(begin, begin + 30), kind)))
        course = run_with(server, IN_BUCKET, out)
        assert len(course.happened) >= 5, "nobody has given up"
