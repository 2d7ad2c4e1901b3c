"""Keeps what the budgets' tests counted, and prints it at the end beside what is allowed."""

from __future__ import annotations

import pytest

from budgets.figures import Figure, table_of

FIGURES = pytest.StashKey[list[Figure]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


@pytest.fixture
def figures(pytestconfig: pytest.Config) -> list[Figure]:
    """Where a test puts what it counted."""
    return pytestconfig.stash[FIGURES]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if counted := config.stash.get(FIGURES, []):
        terminalreporter.write_line("")
        terminalreporter.write_line(table_of(counted))
