"""The slow suites in processes of their own, and what they counted."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cascade_flow.clock import now_us
from infra.written import ROOT

SUITES = ("histories", "faults", "races", "properties", "peer", "infra", "e2e")


@dataclass(frozen=True)
class Simulated:
    """What came of the slow suites."""

    suites: list[str]
    counts: Mapping[str, int]
    seconds: int
    exit_status: int

    @property
    def failed(self) -> bool:
        return self.exit_status != 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        told = ", ".join(f"{count:,} {name}" for name, count in sorted(self.counts.items()))
        how = f"failed, with pytest's status {self.exit_status}" if self.failed else "passed"
        return f"the slow suites ({', '.join(self.suites)}) {how} in {self.seconds} s: {told or 'nothing was counted'}"


def long_forms(processes: int) -> Simulated:
    """Run all that is marked `slow` there. What pytest says goes to the terminal as ever."""
    suites = [name for name in SUITES if (ROOT / "tests" / name).is_dir()]
    begun_us = now_us()
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts.json"
        command = [sys.executable, "-m", "pytest", "-m", "slow", "--quiet", f"--numprocesses={processes}"]
        command += [f"--counts={counts}", *(f"tests/{name}" for name in suites)]
        ended = subprocess.run(command, cwd=ROOT, check=False)
        found = json.loads(counts.read_text(encoding="utf-8")) if counts.exists() else {}
    return Simulated(suites, found, (now_us() - begun_us) // 1_000_000, ended.returncode)
