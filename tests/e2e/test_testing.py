"""A user's tests of workflows on a deployed stack: the same file that passes in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.stack import PARAMETERS, Stack

TESTS = """
import pytest

from cascade_flow import InputInvalidError
from trials.graphs import Start, diamond
from trials.mishaps import doomed, flaky


def test_outputs(engine):
    result = engine.run(diamond, Start(number=5), expect="completed", tags=["tested"])
    assert result.output == {"top": 5, "bottom": [6, 7]}
    assert result.steps["sides/left"].output == 6


def test_attempts(engine):
    attempts = engine.run(flaky).steps["unreliable"].attempts
    assert [attempt.status for attempt in attempts] == ["failed", "failed", "completed"]
    assert attempts[0].error.message == "attempt 1 was in vain"


def test_failure(engine):
    result = engine.run(doomed)
    assert (result.status, result.error.message) == ("failed", "the well is dry")
    with pytest.raises(AssertionError, match='raise ValueError."the well is dry"'):
        result.output
    assert result.steps["drink"].status == "pending"


def test_input(engine):
    with pytest.raises(InputInvalidError, match="number"):
        engine.run(diamond, {"number": "five"})


def test_cancelling(engine):
    assert engine.cancel(engine.submit(flaky, delay="1h")).status == "cancelled"


def test_fakes(engine):
    assert engine.run(diamond, {"number": 5}, fake={"top": 1}).output["bottom"] == [2, 3]


def test_deaths(engine):
    engine.kill("top").run(diamond, {"number": 5}, expect="completed")
"""


@pytest.mark.parametrize(("options", "passed", "skipped"), [((), 7, 0), (("--cascade-local",), 5, 2)], ids=str)
def test_the_same_tests_in_a_process_and_on_the_stack(
    stack: Stack, options: tuple[str, ...], passed: int, skipped: int
) -> None:
    root = stack.project.root
    (root / "test_flows.py").write_text(TESTS, encoding="utf-8")
    ran = _pytest(root, *options)
    counts = {kind: int(number) for number, kind in re.findall(r"(\d+) (passed|skipped|failed|error)", ran)}
    assert counts == {"passed": passed, **({"skipped": skipped} if skipped else {})}, ran
    assert ("fake= is for runs in the test's own process" in ran) == bool(skipped)


def _pytest(root: Path, *options: str) -> str:
    how = ["-rs", "-o", f"pythonpath={PARAMETERS['WorkflowsDir']}", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *how, *options, "test_flows.py"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False).stdout
