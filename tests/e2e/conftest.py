"""The one stack of the session, and a place for a test and its steps to meet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.stack import Stack, deployed, free_port
from e2e.workflows.trials.meeting import Meeting


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with deployed(tmp_path_factory.mktemp("stack"), free_port()) as deployed_stack:
        yield deployed_stack


@pytest.fixture
def meeting(tmp_path: Path) -> Meeting:
    return Meeting(folder=tmp_path)
