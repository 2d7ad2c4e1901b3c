"""What functions write into their log: lines of JSON, of which CloudWatch makes metrics."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any


def lines(text: str) -> Iterator[dict[str, Any]]:
    """The lines that are objects of JSON."""
    for line in text.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


class Emitted:
    """The metrics in a log, as CloudWatch reads them."""

    def __init__(self, text: str) -> None:
        self.lines = [line for line in lines(text) if "_aws" in line]
        self.values: dict[tuple[str, tuple[tuple[str, str], ...]], list[float]] = defaultdict(list)
        self.units: dict[str, str] = {}
        for line in self.lines:
            self._read(line)

    def _read(self, line: dict[str, Any]) -> None:
        [directive] = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "cascade-flow"
        for metric in directive["Metrics"]:
            self.units[metric["Name"]] = metric["Unit"]
            assert 1 <= len(line[metric["Name"]]) <= 100
            for names in directive["Dimensions"]:
                at = tuple(sorted((name, line[name]) for name in names))
                self.values[metric["Name"], at] += line[metric["Name"]]

    def of(self, name: str, **dimensions: str) -> list[float]:
        """The values of a metric; of the service, where no other dimension is named."""
        at = tuple(sorted({"service": "cascade-flow", **dimensions}.items()))
        return self.values.get((name, at), [])
