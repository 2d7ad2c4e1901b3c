"""What a function needs for its work, made when it is first asked for and kept for the invocations that follow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from cascade_flow import clock
from cascade_flow.api.telemetry import Telemetry
from cascade_flow.errors import ConfigurationError
from cascade_flow.operations.runtime import Runtime
from cascade_flow.settings import Settings, open_runtime, trace_daemon

if TYPE_CHECKING:
    from cascade_flow.backend import Backend
    from cascade_flow.operations.analytics import Analytics
    from cascade_flow.operations.details import Details
    from cascade_flow.operations.lanes import Lanes

_PATIENCE_US = 20_000_000
"""API Gateway waits for 30 s."""
_LANES = 8
"""Requests of one invocation that wait for the table at once."""
_runtime: Runtime | None = None


@cache
def settings() -> Settings:
    """What the environment says. Raises ConfigurationError."""
    return Settings.read()


@cache
def telemetry() -> Telemetry:
    """Who listens to what this process commits. Raises ConfigurationError."""
    return Telemetry.of(metrics=settings().metrics, daemon=trace_daemon() if settings().tracing == "Active" else None)


@contextmanager
def measured() -> Iterator[None]:
    """Write what was measured in the block, however it ends: what was committed meanwhile stays committed."""
    try:
        yield
    finally:
        if telemetry.cache_info().currsize:  # else nothing was, and why not has been told
            telemetry().write()


def runtime() -> Runtime:
    """What the use cases work with, as the environment describes it. Raises ConfigurationError."""
    global _runtime
    _runtime = _runtime or open_runtime(settings(), observer=telemetry())
    return _runtime


def backend() -> Backend:
    """The backend that the environment describes. Raises ConfigurationError."""
    from cascade_flow.backend import Backend  # noqa: PLC0415  (whoever needs the runtime only imports half as much)

    return Backend(runtime())


def details() -> Details:
    """The details of what is in the table."""
    from cascade_flow.operations.details import Details  # noqa: PLC0415

    return Details(runtime())


def analytics() -> Analytics:
    """The reports about what is in the table, as far as they can be made in time."""
    from cascade_flow.operations.analytics import Analytics  # noqa: PLC0415

    return Analytics(runtime(), until_us=patience_us())


@cache
def lanes() -> Lanes:
    """Where what one request asks for many times is done, some at once."""
    from cascade_flow.operations.lanes import Threads  # noqa: PLC0415  (for what does many things; an import of 10 ms)

    return Threads(_LANES)


def patience_us() -> int:
    """Until when a request may go on with work that can be ended at any place."""
    return clock.now_us() + _PATIENCE_US


def workflows_package() -> str:
    """The package that declares the workflows. Raises ConfigurationError where none is named."""
    package = settings().workflows
    if package is None:
        raise ConfigurationError("CASCADE_WORKFLOWS is missing: set it to the package that declares your workflows")
    return package


@contextmanager
def use(other: Runtime) -> Iterator[None]:
    """Let this runtime stand in for the environment's, until the block ends."""
    global _runtime
    before, _runtime = _runtime, other
    try:
        yield
    finally:
        _runtime = before
