"""What an attempt used is measured from its own start."""

import subprocess
import sys

from cascade_flow.worker.resources import Meter

MB = 1024 * 1024


def test_the_peak_is_that_of_the_attempt_and_not_of_the_process() -> None:
    meter = Meter()
    big = bytearray(b"x" * (100 * MB))
    high = meter.usage().peak_memory_bytes
    del big
    later = Meter().usage().peak_memory_bytes
    assert high > 100 * MB
    if sys.platform == "linux":
        assert later < high - 50 * MB


def test_child_processes_count() -> None:
    meter = Meter()
    subprocess.run([sys.executable, "-c", "sum(range(10**6))"], check=True)
    assert meter.usage().cpu_time_total_us > 5_000


def test_a_snapshot_is_of_this_moment() -> None:
    snapshot = Meter().snapshot()
    assert snapshot.memory_bytes > MB
    assert snapshot.cpu_time_us is not None
    assert snapshot.cpu_time_us >= 0
