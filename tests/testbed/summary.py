"""pytest's part of the tally: counts travel with the reports of their tests, so they add up over processes too.

`--counts FILE` writes the sums for programs.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.tally import FAULTS, HISTORIES, MANY_FAULTS, TALLY

_PROPERTY = "counted"


def counted(terminalreporter: pytest.TerminalReporter) -> Counter[str]:
    """What was counted by the tests that passed."""
    counts: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        for name, found in getattr(report, "user_properties", []):
            counts.update(found if name == _PROPERTY else {})
    return counts


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--counts", type=Path, metavar="FILE", help="write what was counted as JSON")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Let the report of the test that is called tell what it counted."""
    TALLY.clear()
    try:
        yield
    finally:
        if TALLY:
            item.user_properties.append((_PROPERTY, dict(TALLY)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = counted(terminalreporter)
    told = [f"{counts[name]:,} {name}" for name in (*FAULTS.values(), MANY_FAULTS, HISTORIES) if counts[name]]
    if told:
        terminalreporter.write_line(f"simulated: {', '.join(told)}")
    if path := config.getoption("--counts"):
        path.write_text(json.dumps(counts), encoding="utf-8")
