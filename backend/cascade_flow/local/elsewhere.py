"""A stack in AWS, and the way there: what a project says of it in `cascade.toml`, by its environment or its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cascade_flow.errors import ConfigurationError
from cascade_flow.local.project import CONFIG, Project, find_root


@dataclass(frozen=True)
class Elsewhere:
    """A stack by its name; `region` and `profile` are the caller's own where none is named."""

    stack: str
    region: str | None = None
    profile: str | None = None


def meant(start: Path, *, env: str | None, stack: str | None, region: str | None) -> Elsewhere:
    """The stack of an environment, or that of a name; what is named wins over what the project says.

    Raises ConfigurationError where there is no such environment.
    """
    found = _known(start, stack) if env is None and stack is not None else _declared(start, env or "")
    return Elsewhere(stack or found.stack, region or found.region, found.profile)


def _declared(start: Path, env: str) -> Elsewhere:
    project = Project(find_root(start), env=env)
    if project.is_local:
        raise ConfigurationError(f"the environment {env!r} is the stack on this machine: leave --env out")
    return _of(project)


def _known(start: Path, stack: str) -> Elsewhere:
    """What the project that `start` lies in says of a stack, if it is one of its own."""
    folder = next((each for each in (start, *start.parents) if (each / CONFIG).is_file()), None)
    names = Project(folder).config.env.keys() - {"local"} if folder else ()
    own = [project for env in sorted(names) if (project := Project(folder or start, env=env)).stack_name == stack]
    return _of(own[0]) if own else Elsewhere(stack)


def _of(project: Project) -> Elsewhere:
    return Elsewhere(project.stack_name, project.environment.region, project.environment.profile)
