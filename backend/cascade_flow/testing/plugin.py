"""The pytest plugin: the fixture `engine`, and where its runs go.

It is loaded in every test run of whoever has the package, and so imports only pytest until a test asks for an engine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cascade_flow.testing.engine import Engine
    from cascade_flow.testing.places import Place


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cascade", "tests of cascade-flow's workflows")
    group.addoption("--cascade-stack", metavar="NAME", help="run them on this stack in AWS, not in this process")
    group.addoption("--cascade-region", metavar="REGION", help="the stack's AWS region, if not yours")
    group.addoption("--cascade-local", action="store_true", help="run them on the stack of `cascade up`")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--cascade-stack") and config.getoption("--cascade-local"):
        raise pytest.UsageError("--cascade-stack and --cascade-local both say where tests run: give one of them")


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """A run's status that is not the expected one says why."""
    known = sys.modules.get("cascade_flow.testing.results")
    if known is None or not isinstance(left, known.Status):
        return None
    return [f"{left!r} {op} {right!r}", *left.told_to_pytest().splitlines()]


@pytest.fixture
def engine(cascade_engine: Engine) -> Engine:
    """Runs workflows: `engine.run(workflow, input, fake={...})`. The same as `cascade_engine`."""
    return cascade_engine


@pytest.fixture
def cascade_engine(pytestconfig: pytest.Config) -> Iterator[Engine]:
    """A fresh engine of cascade-flow, under a name that no other fixture has."""
    from cascade_flow.testing.engine import Engine  # noqa: PLC0415  (only who uses it pays for it)

    with Engine(_place(pytestconfig)) as opened:
        yield opened


def _place(config: pytest.Config) -> Place:
    stack = config.getoption("--cascade-stack")
    if stack or config.getoption("--cascade-local"):
        from cascade_flow.testing.on_a_stack import opened  # noqa: PLC0415  (as above)

        return opened(stack, region=config.getoption("--cascade-region"), refuse=pytest.skip)
    from cascade_flow.testing.in_process import InProcess  # noqa: PLC0415  (as above)

    return InProcess(passing=(pytest.exit.Exception,))
