"""The contract suite writes down what it sees of the contract on each server, and judges that last."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.witness import Witness
from testbed.sharing import is_grouped

HERE = Path(__file__).parent
LAST = HERE / "test_completeness.py"
WHOLE = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def witness() -> Iterator[Witness]:
    """What the suite has seen of the contract."""
    seen = Witness()
    with pytest.MonkeyPatch.context() as patch:
        seen.watch(patch)
        yield seen


@pytest.fixture(autouse=True)
def _witnessed(witness: Witness, request: pytest.FixtureRequest) -> Iterator[None]:
    witness.server = request.getfixturevalue("server").name if "server" in request.fixturenames else ""
    yield
    witness.server = ""


@pytest.fixture
def whole_suite(pytestconfig: pytest.Config) -> None:
    """Skips a test that judges the suite where only a part of it runs."""
    if not pytestconfig.stash[WHOLE]:
        pytest.skip("only a part of the contract suite runs")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path == LAST)
    names = {path.name for path in HERE.glob("test_*.py")}
    here = {item.path.name for item in items if item.path.parent == HERE}
    picked = config.getoption("keyword") or any("::" in argument for argument in config.args)
    config.stash[WHOLE] = here == names and not picked and (not hasattr(config, "workerinput") or is_grouped(config))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [each for outcome in ("passed", "failed") for each in terminalreporter.getreports(outcome)]
    for told in sorted(dict(each.user_properties)["contract"] for each in reports if _tells(each)):
        terminalreporter.write_line(told)


def _tells(report: pytest.TestReport) -> bool:
    return "contract" in dict(getattr(report, "user_properties", []))
