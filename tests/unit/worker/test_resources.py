"""What an attempt used is measured from its own start."""

import mmap
import subprocess
import sys

import pytest

from cascade_flow.worker import resources
from cascade_flow.worker.resources import Meter, Spent

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


def test_what_the_process_had_used_before_is_not_the_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = iter([Spent(1, 10, 100, 1_000), Spent(3, 16, 108, 1_010)])
    monkeypatch.setattr(resources, "_spent", lambda: next(spent))
    used = Meter().usage()
    assert (used.cpu_time_user_us, used.cpu_time_system_us, used.cpu_time_total_us) == (2, 6, 8)
    assert (used.voluntary_context_switches, used.involuntary_context_switches) == (8, 10)


def test_a_snapshot_is_of_this_moment() -> None:
    snapshot = Meter().snapshot()
    assert snapshot.memory_bytes > MB
    assert snapshot.cpu_time_us is not None
    assert snapshot.cpu_time_us >= 0


def test_memory_that_was_only_asked_for_is_not_in_use() -> None:
    before = Meter().snapshot().memory_bytes
    with mmap.mmap(-1, 400 * MB):
        assert Meter().snapshot().memory_bytes < before + 200 * MB
