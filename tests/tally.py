"""How much was held against something: what tests count, told at the end of the session.

A pytest plugin (tests/conftest.py loads it): counts travel with the reports of their tests, so that they add up over
several processes too. `TALLY` is where a test counts, under one of the names below; `--counts FILE` writes the sums for
programs.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

TALLY: Counter[str] = Counter()
_PROPERTY = "counted"
_TOLD: Mapping[str, Mapping[str, str]] = {
    "with the peer": {
        "histories": "histories agreed: {histories:,}",
        "events": "events agreed: {events:,} ({accepted:,} accepted, {refused:,} refused)",
        "sequences": "operation sequences agreed: {sequences:,} ({operations:,} operations, {answers:,} answers)",
    },
    "faults survived": {
        "single faults": "{single faults:,} single",
        "double faults": "{double faults:,} double",
        "random histories": "{random histories:,} random histories",
    },
}


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
    """Tell what was counted by the tests that passed."""
    counts: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        for name, counted in getattr(report, "user_properties", []):
            counts.update(counted if name == _PROPERTY else {})
    for subject, words in _TOLD.items():
        if told := [text.format_map(counts) for name, text in words.items() if counts[name]]:
            terminalreporter.write_line(f"{subject}: {'; '.join(told)}")
    if path := config.getoption("--counts"):
        path.write_text(json.dumps(counts), encoding="utf-8")
