"""The thin project that tests of the local stack share: to start one takes seconds."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from cascade_flow.local import LocalStack, Project, down, running, up
from infra.thin import thin_project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    made = thin_project(tmp_path_factory.mktemp("project"), port=_free_port())
    try:
        yield made
    finally:
        list(down(made))


@pytest.fixture
def stack(project: Project) -> LocalStack:
    list(up(project))
    return running(project)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
