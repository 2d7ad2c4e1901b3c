"""What an attempt uses of the machine: memory, processor time, context switches; its child processes' time included.

The numbers are the process's: of two attempts in one process each is told what both used meanwhile.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from cascade_flow.model.events import ResourceSnapshot, ResourceUsage
from cascade_flow.records import dataclass

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_STATM = Path("/proc/self/statm")

_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Spent:
    """What the process has used since it began."""

    user_us: int
    system_us: int
    voluntary: int
    involuntary: int


class Meter:
    """Measures from the moment that it is made. Making another forgets the first one's peak of memory."""

    def __init__(self) -> None:
        _forget_peak()
        self._before = _spent()

    def usage(self) -> ResourceUsage:
        """All that was used until now."""
        spent = _spent()
        user_us = spent.user_us - self._before.user_us
        system_us = spent.system_us - self._before.system_us
        return ResourceUsage(
            peak_memory_bytes=_peak_bytes(),
            cpu_time_user_us=user_us,
            cpu_time_system_us=system_us,
            cpu_time_total_us=user_us + system_us,
            voluntary_context_switches=spent.voluntary - self._before.voluntary,
            involuntary_context_switches=spent.involuntary - self._before.involuntary,
        )

    def snapshot(self) -> ResourceSnapshot:
        """What is used at this moment; the processor time is that of the attempt so far."""
        used = self.usage()
        return ResourceSnapshot(memory_bytes=_current_bytes(), cpu_time_us=used.cpu_time_total_us)


def _spent() -> Spent:
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Spent(
        user_us=round(sum(use.ru_utime for use in uses) * 1_000_000),
        system_us=round(sum(use.ru_stime for use in uses) * 1_000_000),
        voluntary=sum(use.ru_nvcsw for use in uses),
        involuntary=sum(use.ru_nivcsw for use in uses),
    )


def _forget_peak() -> None:
    """Linux forgets its high-water mark on request; elsewhere the peak is that of the whole process."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def _peak_bytes() -> int:
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT


def _current_bytes() -> int:
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return _peak_bytes()
