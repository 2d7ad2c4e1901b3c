"""How much agreed with the peer: what the tests of this folder count, told at the end of the session.

A pytest plugin (tests/conftest.py loads it): counts travel with the reports of their tests, so that they add up over
several processes too. `TALLY` is where a test counts what it has held against the peer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import pytest

TALLY: Counter[str] = Counter()
_PROPERTY = "peer"
_TOLD: Mapping[str, str] = {
    "histories": "histories agreed: {histories:,}",
    "events": "events agreed: {events:,} ({accepted:,} accepted, {refused:,} refused)",
    "sequences": "operation sequences agreed: {sequences:,} ({operations:,} operations, {answers:,} answers)",
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Let the report of the test that is called tell what it counted."""
    TALLY.clear()
    try:
        yield
    finally:
        if TALLY:
            item.user_properties.append((_PROPERTY, dict(TALLY)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what was counted by the tests that passed."""
    counts: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        for name, counted in getattr(report, "user_properties", []):
            counts.update(counted if name == _PROPERTY else {})
    told = [words.format_map(counts) for name, words in _TOLD.items() if counts[name]]
    if told:
        terminalreporter.write_line(f"with the peer: {'; '.join(told)}")
