"""What an attempt used is measured from its own start."""

import mmap
import os
import resource
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from cascade_flow.worker import resources
from cascade_flow.worker.resources import Meter, Spent

MB = 1024 * 1024
USES = {
    resource.RUSAGE_SELF: SimpleNamespace(ru_utime=1.5, ru_stime=0.25, ru_nvcsw=10, ru_nivcsw=100, ru_maxrss=700),
    resource.RUSAGE_CHILDREN: SimpleNamespace(ru_utime=0.5, ru_stime=0.125, ru_nvcsw=1, ru_nivcsw=2, ru_maxrss=9_000),
}
PROC = ("_STATUS", "_CLEAR", "_STATM")


class Refusing:
    """A file of the system that is not there, or not ours."""

    def __init__(self, error: OSError) -> None:
        self.error = error

    def read_text(self) -> NoReturn:
        raise self.error

    def write_text(self, _: str) -> NoReturn:
        raise self.error


@pytest.fixture
def uses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system says that was used until now."""
    monkeypatch.setattr(resource, "getrusage", USES.__getitem__)


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


@pytest.mark.usefixtures("uses")
def test_what_is_spent_is_that_of_the_process_and_its_children_each_by_its_kind() -> None:
    assert resources._spent() == Spent(user_us=2_000_000, system_us=375_000, voluntary=11, involuntary=102)


def test_a_snapshot_has_the_memory_in_use_and_all_processor_time_of_the_attempt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spent = iter([Spent(1, 10, 100, 1_000), Spent(3, 16, 108, 1_010)])
    monkeypatch.setattr(resources, "_spent", lambda: next(spent))
    (tmp_path / "statm").write_text("9000 25 3 1 0 7 0\n")
    monkeypatch.setattr(resources, "_STATM", tmp_path / "statm")
    snapshot = Meter().snapshot()
    assert (snapshot.memory_bytes, snapshot.cpu_time_us) == (25 * os.sysconf("SC_PAGE_SIZE"), 8)


@pytest.mark.usefixtures("uses")
@pytest.mark.parametrize(("told", "peak_kb"), [("VmHWM:\t  500 kB\n", 500), ("", 700)])
def test_the_peak_is_the_high_water_mark_or_where_none_is_told_the_processs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str, peak_kb: int
) -> None:
    (tmp_path / "status").write_text(f"Name:\tpython\nVmPeak:\t  900 kB\nVmRSS:\t  100 kB\n{told}")
    monkeypatch.setattr(resources, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(resources, "_MAXRSS_UNIT", 1024)
    assert Meter().usage().peak_memory_bytes == peak_kb * 1024


@pytest.mark.usefixtures("uses")
@pytest.mark.parametrize("error", [FileNotFoundError(), PermissionError(), OSError("a system of its own")], ids=repr)
def test_where_the_system_tells_less_its_peak_stands_for_the_attempts(
    monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    for name in PROC:
        monkeypatch.setattr(resources, name, Refusing(error))
    monkeypatch.setattr(resources, "_MAXRSS_UNIT", 1024)
    meter = Meter()
    assert meter.usage().peak_memory_bytes == meter.snapshot().memory_bytes == 700 * 1024


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_a_peak_is_counted_in_the_systems_own_unit(monkeypatch: pytest.MonkeyPatch, platform: str, unit: int) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert runpy.run_path(resources.__file__)["_MAXRSS_UNIT"] == unit
