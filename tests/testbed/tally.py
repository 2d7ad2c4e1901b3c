"""How much was tried: what tests and their stages count, told at the end of the session.

A pytest plugin: counts travel with the reports of their tests, so that they add up over several processes too. `TALLY`
is where something is counted; `--counts FILE` writes the sums for programs.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

TALLY: Counter[str] = Counter()
FAULTS = {1: "single faults", 2: "double faults"}
MANY_FAULTS = "histories with more faults"
HISTORIES = "random histories"

_PROPERTY = "counted"


def count_faults(happened: int) -> None:
    """One run was broken this often."""
    if happened:
        TALLY[FAULTS.get(happened, MANY_FAULTS)] += 1


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
