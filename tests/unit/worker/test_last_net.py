"""Whatever of ours fails around an attempt: one StepFailed says what happened, and the log has the traceback."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from cascade_flow.engine.commands import Fail
from cascade_flow.errors import StaleAttemptError, ThrottledError
from cascade_flow.worker import loop
from cascade_flow.worker.loop import Worker

HELD = SimpleNamespace(
    running=True,
    facts=SimpleNamespace(run_id="r", workflow_slug="f"),
    branch=SimpleNamespace(step="a", attempt=1),
)
SHIFT = loop._Shift(lambda: 60_000, 60_000, 5_000)


class Broken(Exception):
    pass


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the worker reports, whose parts then fail one by one."""
    reports: list[Any] = []

    class FakeLease:
        def __init__(self, *_: object) -> None:
            self.held = HELD

        def report(self, command: object) -> None:
            reports.append(command)

    monkeypatch.setattr(loop, "Lease", FakeLease)
    monkeypatch.setattr(Worker, "_step", lambda *_: object())
    monkeypatch.setattr(Worker, "_run", lambda *_: "command")
    return reports


def attempt() -> object:
    worker = Worker.__new__(Worker)
    vars(worker).update(_runtime=None, _steps=None)
    return worker._attempt(cast(Any, HELD), SHIFT)


def fail_with(error: Exception) -> Any:
    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("part", ["_step", "_run", "_report"])
def test_a_part_that_fails_is_one_failure_with_its_cause(
    part: str, told: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Worker, part, fail_with(Broken("out of paper")))
    attempt()
    (command,) = told
    assert isinstance(command, Fail)
    assert (command.error.name, command.reason, command.retryable) == ("Broken", "execution-error", False)
    assert "out of paper" in command.error.message
    assert "Traceback" in caplog.text


def test_what_nobody_has_decided_is_left_to_the_queue(told: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "_run", fail_with(ThrottledError()))
    with pytest.raises(ThrottledError):
        attempt()
    assert told == []


def test_a_lost_attempt_is_not_reported(told: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "_report", fail_with(StaleAttemptError()))
    assert attempt() is None
    assert told == []
