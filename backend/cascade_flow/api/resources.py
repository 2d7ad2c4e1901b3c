"""What a function needs for its work, made when it is first asked for and kept for the invocations that follow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from cascade_flow.api.telemetry import Telemetry
from cascade_flow.backend import DynamoDBBackend
from cascade_flow.errors import ConfigurationError
from cascade_flow.operations.details import Details
from cascade_flow.settings import Settings, open_backend, trace_daemon

_backend: DynamoDBBackend | None = None


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


def backend() -> DynamoDBBackend:
    """The backend that the environment describes. Raises ConfigurationError."""
    global _backend
    _backend = _backend or open_backend(settings(), observer=telemetry())
    return _backend


def details() -> Details:
    """The details of what is in the backend's table."""
    return Details(backend().runtime)


def workflows_package() -> str:
    """The package that declares the workflows. Raises ConfigurationError where none is named."""
    package = settings().workflows
    if package is None:
        raise ConfigurationError("CASCADE_WORKFLOWS is missing: set it to the package that declares your workflows")
    return package


@contextmanager
def use(backend: DynamoDBBackend) -> Iterator[None]:
    """Let this backend stand in for the environment's, until the block ends."""
    global _backend
    before, _backend = _backend, backend
    try:
        yield
    finally:
        _backend = before
