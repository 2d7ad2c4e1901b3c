"""How much agreed with the peer, in words: a pytest plugin (tests/conftest.py loads it) that tells it at the end."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from testbed.summary import counted

_TOLD: Mapping[str, str] = {
    "histories": "histories agreed: {histories:,}",
    "events": "events agreed: {events:,} ({accepted:,} accepted, {refused:,} refused)",
    "sequences": "operation sequences agreed: {sequences:,} ({operations:,} operations, {answers:,} answers)",
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what was counted by the tests that passed."""
    counts = counted(terminalreporter)
    told = [words.format_map(counts) for name, words in _TOLD.items() if counts[name]]
    if told:
        terminalreporter.write_line(f"with the peer: {'; '.join(told)}")
