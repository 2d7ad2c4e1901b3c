"""All that was counted, what of it is above its budget, and the whole as JSON. Nothing is counted or printed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from budgets.figures import Figure
from budgets.growth import Trend
from budgets.operations import Case


@dataclass(frozen=True)
class Report:
    """The promises of design.md, the operations of the contract at their moments, and what grows or does not."""

    promises: Sequence[Figure]
    operations: Sequence[tuple[Case, Figure]]
    trends: Sequence[Trend]

    @property
    def exceeded(self) -> list[str]:
        """What is above its budget, with both numbers."""
        figures = [*self.promises, *(figure for _, figure in self.operations)]
        above = [f"{figure.budget.what}: {limit}" for figure in figures for limit in figure.exceeded]
        return above + [f"{trend.what} grows by {trend.growth:.0%}" for trend in self.trends if trend.is_exceeded]

    def as_json(self) -> dict[str, Any]:
        """The same for programs: what was spent beside what is allowed (null is no limit)."""
        return {
            "promises": [{"what": figure.budget.what, **_numbers(figure)} for figure in self.promises],
            "operations": [
                {"operation": case.operation, "driver": case.driver or None, "at": case.at, **_numbers(figure)}
                for case, figure in self.operations
            ],
            "growth": [
                {
                    "what": trend.what,
                    "is_promised": trend.is_promised,
                    "growth": trend.growth,
                    "spent_by_stored_runs": {stored: asdict(spent) for stored, spent in trend.spent.items()},
                }
                for trend in self.trends
            ],
        }


def _numbers(figure: Figure) -> dict[str, Any]:
    limits = {name: limit for name, limit in asdict(figure.budget).items() if name != "what"}
    return {"spent": asdict(figure.spent), "budget": limits}
