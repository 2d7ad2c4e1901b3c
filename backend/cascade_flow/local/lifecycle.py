"""`up` and `down`: the order in which a local stack is made and ended. One of them at a time in one project."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from cascade_flow.errors import ConfigurationError
from cascade_flow.local import checking, deployment, emulator, state
from cascade_flow.local.presence import check_is_guarded
from cascade_flow.local.project import DEFAULT_PORT, Project
from cascade_flow.local.state import LocalStack


def up(project: Project) -> Generator[str]:
    """Bring the local stack to what the project's files say; `running` then answers with it.

    Yields a line for each thing it sets out to do, and nothing where all is as it should be. Where it is broken off
    (Ctrl-C, or closed before its end) or fails, a stack that was whole goes on, and of any other nothing is left.
    Raises DefinitionError for mistakes in the workflows, before anything is started; ConfigurationError for what else
    the user can mend, BackendUnavailableError where the emulator doesn't come up.
    """
    project.require_workflows()
    with _alone(project.make_home()):
        if not emulator.is_installed(project.home):
            yield "Installing the emulator (once)"
            emulator.install(project.home)
        with _whole_or_nothing(project.home):
            yield from _start(project, state.read(project.home))
            yield from _deploy(project)


def down(project: Project) -> Iterator[str]:
    """End the local stack, its data too. Yields a line where there was something to end; no process is left."""
    with _alone(project.make_home()):
        if state.read(project.home) is not None or emulator.is_left(project.home):
            yield "Stopping the emulator and what runs in it"
        _end(project.home)
        shutil.rmtree(project.home / "tmp", ignore_errors=True)


def _start(project: Project, before: LocalStack | None) -> Iterator[str]:
    """Start the emulator, unless it runs already where it is wanted; workflows with mistakes are refused before."""
    if before is not None and emulator.answers(project.home, before):
        _check_is_wanted(project, before)
        if before.fingerprint != deployment.fingerprint(project):
            checking.require_sound(project)
        return
    checking.require_sound(project)
    port = project.port or (before.port if before else DEFAULT_PORT)
    yield f"Starting the emulator on port {port}"
    _end(project.home)
    stack = emulator.start(
        project.home,
        port=port,
        stack_name=project.stack_name,
        sweep_ms=project.sweep_ms,
    )
    state.write(project.home, stack)
    emulator.wait_until_ready(project.home, stack)


def _check_is_wanted(project: Project, stack: LocalStack) -> None:
    check_is_guarded(stack)
    if project.port not in (None, stack.port):
        raise ConfigurationError(
            f"The stack already runs on port {stack.port}. Leave --port out to use it there. "
            f"To have it on port {project.port}, end it first, its data too: cascade down"
        )


def _deploy(project: Project) -> Iterator[str]:
    """Deploy what has changed. Until that has ended well, nobody takes the stack for up to date."""
    stack, wanted = state.read(project.home), deployment.fingerprint(project)
    if stack is not None and stack.fingerprint != wanted:
        yield f"Deploying {project.template.name} with the workflows of {project.workflows_package!r}"
        state.write(project.home, stack.deploying())
        outputs = deployment.deploy(project, stack)
        state.write(project.home, stack.deployed(wanted, outputs))


@contextmanager
def _whole_or_nothing(home: Path) -> Iterator[None]:
    """End what never was a whole stack where the block doesn't end well; what was one, or is an older one, goes on."""
    try:
        yield
    except BaseException:
        stack = state.read(home)
        if stack is None or (stack.secret_key and not stack.outputs):
            _end(home)
        raise


def _end(home: Path) -> None:
    emulator.stop(home)
    state.forget(home)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError("Another cascade up or down is at work here. Wait until it has ended.") from error
        yield
