"""Records on their way to an attempt's log: who takes them, who shows them, and for how long."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cascade_flow.worker.capture import Capture
from cascade_flow.worker.log_buffer import LogLine
from cascade_flow.worker.step_logging import show_records, step_logger

LOG = step_logger("flow.step")


class Shown(logging.Handler):
    """What the root logger had before."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


class Attempt:
    """Takes what is shown, and knows what is shown aside."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bool]] = []
        self.is_aside = False
        self.fault: Exception | None = None

    def take(self, text: str, *, echo: bool) -> None:
        self.taken.append((text, echo))
        if self.fault:
            raise self.fault

    @contextmanager
    def aside(self) -> Iterator[None]:
        self.is_aside = True
        yield
        self.is_aside = False


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    handler = Shown()
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    return handler


@pytest.fixture
def attempt(shown: Shown) -> Iterator[Attempt]:
    taking = Attempt()
    stop = show_records(taking.take, taking.aside)
    yield taking
    stop()


def test_a_record_is_taken_once_and_shown_once_by_those_who_showed_it_before(attempt: Attempt, shown: Shown) -> None:
    LOG.info("of the step")
    logging.getLogger("theirs").warning("of %s", "others")
    assert attempt.taken == [("INFO of the step", False), ("WARNING theirs: of others", False)]
    assert shown.messages == ["of the step", "of others"]


def test_others_show_it_aside_from_what_is_captured(
    attempt: Attempt, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    asides = list[bool]()
    monkeypatch.setattr(shown, "emit", lambda _: asides.append(attempt.is_aside))
    LOG.info("of the step")
    assert asides == [True]


def test_others_show_no_more_than_they_are_set_to(attempt: Attempt, shown: Shown) -> None:
    shown.setLevel(logging.WARNING)
    shown.addFilter(lambda record: "secret" not in record.getMessage())
    for message in ("fine", "secret"):
        LOG.warning(message)
    LOG.info("too fine")
    assert shown.messages == ["fine"]
    assert len(attempt.taken) == 3


def test_nobody_takes_or_shows_a_record_after_the_end(shown: Shown, capsys: pytest.CaptureFixture[str]) -> None:
    taking = Attempt()
    stop = show_records(taking.take, taking.aside)
    stop()
    LOG.info("too late")
    assert (taking.taken, shown.messages, capsys.readouterr().err) == ([], [], "")


def test_who_cannot_take_a_record_keeps_no_other_from_it(
    attempt: Attempt, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = list[Any]()
    monkeypatch.setattr(logging.Handler, "handleError", lambda _, record: faults.append(record.getMessage()))
    attempt.fault = OSError("no space left")
    LOG.info("of the step")
    assert (shown.messages, faults) == (["of the step"], ["of the step"])


def test_what_a_handler_of_the_steps_own_writes_is_taken_once(shown: Shown) -> None:
    lines = list[LogLine]()
    with Capture(lines.extend, echo=False):
        logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
        logging.getLogger("theirs").warning("of others")
        LOG.info("of the step")
    assert [line.message for line in lines] == ["of others", "INFO of the step"]


def test_what_is_finer_than_info_is_no_line_of_a_step(attempt: Attempt) -> None:
    LOG.debug("too fine")
    LOG.info("fine")
    assert [text for text, _ in attempt.taken] == ["INFO fine"]


def test_no_other_code_has_a_hand_in_a_steps_logger(attempt: Attempt) -> None:
    logging.disable(logging.CRITICAL)
    try:
        LOG.info("of the step")
    finally:
        logging.disable(logging.NOTSET)
    assert [text for text, _ in attempt.taken] == ["INFO of the step"]
    assert LOG.name not in logging.root.manager.loggerDict
