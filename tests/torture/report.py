"""What chaos came to, for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from torture.verdict import Violation


@dataclass(frozen=True)
class Slowest:
    """The run that took longest, by the engine's own times; and where it stood still for longest."""

    run_id: str
    shape: str
    seconds: float
    pause_seconds: float
    before: str

    def __str__(self) -> str:
        stood = f"stood still for {self.pause_seconds:.1f} s before {self.before}"
        return f"{self.seconds:.1f} s, {self.shape} {self.run_id}, which {stood}"


@dataclass(frozen=True)
class Report:
    """All of it; `violations` are what failed."""

    seed: int
    minutes: float
    runs: Mapping[str, Mapping[str, int]]
    events: int
    attempts: int
    injected: Mapping[str, int]
    network: Mapping[str, int]
    slowest: Slowest | None
    remarks: Sequence[str]
    violations: Sequence[Violation] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        total = sum(map(Counter, self.runs.values()), Counter[str]())
        lines = [f"chaos of {self.minutes:g} minutes, seed {self.seed}", "", "runs"]
        lines += [f"  {shape:<10} {_counts(ends)}" for shape, ends in sorted(self.runs.items())]
        lines += [f"  {'in all':<10} {_counts(total)}; {self.attempts:,} attempts ran, {self.events:,} events"]
        lines += ["injected", *_table(self.injected), "network", *_table(self.network)]
        if self.slowest:
            lines += [f"slowest run: {self.slowest}"]
        lines += [f"remark: {remark}" for remark in self.remarks]
        lines += [f"violations: {len(self.violations)}", *(f"  {v.run_id or '-'}: {v.what}" for v in self.violations)]
        return "\n".join(lines)


def _counts(ends: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {end}" for end, count in sorted(ends.items()))


def _table(counts: Mapping[str, int]) -> list[str]:
    return [f"  {name:<36} {count:>8,}" for name, count in sorted(counts.items())]


def written(sections: Mapping[str, Any]) -> str:
    return json.dumps(sections, indent=2)
