"""Records of `logging` on their way to an attempt's log: each arrives there once, and is shown once by the process.

While an attempt is captured the root logger has one handler, ours, which passes each record on to the handlers that
were there before; those write to the process's own streams. What handlers of user code write to the streams is captured
there. `ctx.log` is of a family of its own, that nothing else configures, disables or removes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from cascade_flow.authoring.context import STEP_LOGGER
from cascade_flow.worker.streams import Stream


class Record(Protocol):
    """Takes a formatted record; `echo` tells that nobody else shows it."""

    def __call__(self, text: str, *, echo: bool) -> None: ...


class _Layout(logging.Formatter):
    """The step's own logger needs no name in front of its messages."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        name = "" if record.name.startswith(STEP_LOGGER) else f" {record.name}:"
        return f"{record.levelname}{name} {record.message}"


class _Handler(logging.Handler):
    """The one way in; `displaced` are the handlers that the root logger had."""

    def __init__(self) -> None:
        super().__init__()
        self.displaced: list[logging.Handler] = []
        self.take: Record | None = None
        self.aside: Callable[[], AbstractContextManager[None]] = nullcontext
        self.setFormatter(_Layout())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self.take and (record.name.startswith(STEP_LOGGER) or not _writes_to_the_streams()):
                self.take(self.format(record), echo=not self.displaced)
        except Exception:  # noqa: BLE001  as every handler: a record that can't be formatted fails nobody
            self.handleError(record)
        self._pass_on(record)

    def _pass_on(self, record: logging.LogRecord) -> None:
        with self.aside():
            for handler in self.displaced:
                if record.levelno >= handler.level:
                    handler.handle(record)


_handler = _Handler()


def show_records(take: Record, aside: Callable[[], AbstractContextManager[None]]) -> Callable[[], None]:
    """Let `take` have each record, until the answer is called; inside of `aside` the displaced handlers get it.

    The root logger's handlers are put back by others.
    """
    root = logging.getLogger()
    _handler.displaced, _handler.take, _handler.aside = list(root.handlers), take, aside
    root.handlers[:] = [_handler]

    def stop() -> None:
        _handler.displaced, _handler.take = [], None

    return stop


def step_logger(name: str) -> logging.Logger:
    """A logger from INFO on, which no other code has a hand in."""
    root = logging.RootLogger(logging.INFO)
    root.addHandler(_handler)
    return logging.Manager(root).getLogger(f"{STEP_LOGGER}.{name}")


def _writes_to_the_streams() -> bool:
    """Whether a handler of user code's own shows all records already, where they are captured."""
    handlers = logging.getLogger().handlers
    return any(isinstance(getattr(handler, "stream", None), Stream) for handler in handlers)
