"""`up` and `down`: the order in which a local stack is made and ended. One of them at a time in one project."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cascade_flow.errors import BackendUnavailableError, ConfigurationError
from cascade_flow.local import emulator, state
from cascade_flow.local.project import Project
from cascade_flow.local.state import LocalStack


def up(project: Project) -> Iterator[str]:
    """Bring the local stack to what the project's files say; `running` then answers with it.

    Yields a line for each thing it sets out to do, and nothing where all is as it should be.
    Raises ConfigurationError for what the user can mend, BackendUnavailableError where the emulator doesn't come up.
    """
    from cascade_flow.local import deployment  # noqa: PLC0415  (a second of boto3 that `running` does without)

    project.require_workflows()
    with _alone(project.home):
        if not emulator.is_installed(project.home):
            yield "Installing the emulator (once)"
            emulator.install(project.home)
        stack = state.read(project.home)
        if stack is None or not emulator.answers(project.home, stack):
            yield f"Starting the emulator on port {project.port}"
            stack = _start(project, stack)
        elif stack.port != project.port:
            raise ConfigurationError(f"The stack already runs on port {stack.port}. End it first: cascade down")
        wanted = deployment.fingerprint(project)
        if stack.fingerprint != wanted:
            yield f"Deploying {project.template.name} with the workflows of {project.workflows_package!r}"
            outputs = deployment.deploy(project, stack)
            state.write(project.home, stack.deployed(wanted, outputs))


def down(project: Project) -> Iterator[str]:
    """End the local stack, its data too. Yields a line where there was something to end; no process is left."""
    with _alone(project.home):
        stack = state.read(project.home)
        if stack is not None:
            yield "Stopping the emulator and what runs in it"
            emulator.stop(project.home, stack)
        state.forget(project.home)
        shutil.rmtree(project.home / "tmp", ignore_errors=True)


def running(project: Project) -> LocalStack:
    """The deployed stack. BackendUnavailableError, saying what to do, where there is none or it has died."""
    stack = state.read(project.home)
    if stack is None or not stack.outputs:
        raise BackendUnavailableError("Nothing runs here yet. Start it: cascade up")
    if not emulator.answers(project.home, stack):
        raise BackendUnavailableError(
            f"The emulator has died, and its data with it; {emulator.log_path(project.home)} may say why. "
            "Start it again: cascade up"
        )
    return stack


def worker_pids(project: Project) -> list[int]:
    """The processes that run steps, busy or idle: what a test or a demonstration of a crash may kill."""
    stack = running(project)
    return emulator.processes(project.home, stack, function=stack.outputs["WorkerFunctionName"])


def _start(project: Project, before: LocalStack | None) -> LocalStack:
    if before is not None:
        emulator.stop(project.home, before)
    state.forget(project.home)
    stack = emulator.start(
        project.home,
        port=project.port,
        stack_name=project.stack_name,
        reaper=f"{project.stack_name}-reaper",
        sweep_ms=project.sweep_ms,
    )
    state.write(project.home, stack)
    emulator.wait_until_ready(project.home, stack)
    return stack


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError("Another cascade up or down is at work here. Wait until it has ended.") from error
        yield
