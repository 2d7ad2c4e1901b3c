"""What runs here: the deployed stack and its processes. Nothing here starts or changes anything, or imports boto3."""

from __future__ import annotations

from cascade_flow.errors import BackendUnavailableError, ConfigurationError
from cascade_flow.local import emulator, state
from cascade_flow.local.project import Project
from cascade_flow.local.state import LocalStack


def running(project: Project) -> LocalStack:
    """The deployed stack. BackendUnavailableError, saying what to do, where there is none or it has died."""
    stack = state.read(project.home)
    if stack is None:
        raise BackendUnavailableError("Nothing runs here yet. Start it: cascade up")
    if not emulator.answers(project.home, stack):
        raise BackendUnavailableError(
            f"The emulator has died, and its data with it; {emulator.log_path(project.home)} may say why. "
            "Start it again: cascade up"
        )
    check_is_guarded(stack)
    if not stack.outputs:
        raise BackendUnavailableError(
            "An emulator runs here, but nothing is deployed to it yet: cascade up is still at work, or was killed. "
            "Wait, or go on: cascade up; or end it: cascade down"
        )
    return stack


def worker_pids(project: Project) -> list[int]:
    """The processes that run steps, busy or idle: what a test or a demonstration of a crash may kill."""
    stack = running(project)
    return emulator.processes(project.home, stack, function=stack.outputs["WorkerFunctionName"])


def check_is_guarded(stack: LocalStack) -> None:
    """Raises ConfigurationError for a stack that was started before each one had a secret of its own."""
    if not stack.secret_key:
        raise ConfigurationError(
            "The stack that runs here was started by an older version, which lets every program and web page on this "
            "machine use it. End it, its data too, and start it anew: cascade down, then cascade up"
        )
