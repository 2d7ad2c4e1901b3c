"""Percentiles by the wire contract's own rule: the value at ⌊share · n⌋ of the sorted ones, nothing in between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cascade_flow.model.reports import Percentiles

_NONE = Percentiles(count=0, min=0, max=0, average=0, median=0, p95=0, p99=0)


def calculate_percentiles(values: Iterable[int]) -> Percentiles:
    """How these values are distributed; all zeros where there are none."""
    ordered = sorted(values)
    if not ordered:
        return _NONE
    return Percentiles(
        count=len(ordered),
        min=ordered[0],
        max=ordered[-1],
        average=sum(ordered) / len(ordered),
        median=ordered[len(ordered) // 2],
        p95=_at(ordered, 0.95),
        p99=_at(ordered, 0.99),
    )


def percentage(part: int, whole: int) -> float:
    """From 0 to 100; 0 of nothing."""
    return part / whole * 100 if whole else 0


def _at(ordered: Sequence[int], share: float) -> int:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
