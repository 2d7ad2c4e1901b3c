"""Which project the local stack is made of: where its files are, and the parameters its template gets.

The parameters come from `samconfig.toml`, the same file that SAM reads. Nothing here starts, builds or sends anything.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cascade_flow.errors import ConfigurationError

TEMPLATE = "template.yaml"
SAMCONFIG = "samconfig.toml"
DEFAULT_PORT = 4566


@dataclass(frozen=True)
class Project:
    """A folder with a template, and how its local stack differs from what `samconfig.toml` says.

    `port` is where it is to answer; None is where it does, or did last, or else the default.
    `overrides` are parameters of the template; they win over those of `samconfig.toml`.
    The reaper is called every `sweep_ms`, where AWS calls it each minute. `home` holds all that the local stack leaves
    behind; deleting it forgets the stack. `section` is that of `samconfig.toml`: another for what AWS is to be given.
    """

    root: Path
    port: int | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    sweep_ms: int = 2_000
    home_name: str = ".cascade"
    section: str = "local"

    @property
    def home(self) -> Path:
        return self.root / self.home_name

    @property
    def template(self) -> Path:
        return self.root / TEMPLATE

    @cached_property
    def parameters(self) -> dict[str, str]:
        """What the template is given. ConfigurationError where `samconfig.toml` can't be read."""
        return {**_pairs(self._configured("parameter_overrides", [])), **self.overrides}

    @property
    def stack_name(self) -> str:
        return str(self._configured("stack_name", "cascade"))

    @property
    def workflows_package(self) -> str:
        return self.parameters.get("WorkflowsPackage", "workflows")

    @property
    def workflows_dir(self) -> Path:
        """The folder that holds the package, absolute."""
        return (self.root / self.parameters.get("WorkflowsDir", "examples")).resolve()

    def require_workflows(self) -> None:
        """ConfigurationError where the package isn't in its folder."""
        first = self.workflows_package.split(".")[0]
        if not (self.workflows_dir / first).is_dir() and not (self.workflows_dir / f"{first}.py").is_file():
            raise ConfigurationError(
                f"There is no package {first!r} in {self.workflows_dir}. Say where your workflows are: "
                f"WorkflowsPackage and WorkflowsDir in {SAMCONFIG}, section {self.section}."
            )

    def _configured(self, name: str, default: object) -> object:
        return _samconfig(self.root, self.section).get(name, default)


def find_root(start: Path) -> Path:
    """The nearest folder with a template, from `start` upwards. ConfigurationError where there is none."""
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / TEMPLATE).is_file():
            return folder
    raise ConfigurationError(f"No {TEMPLATE} in {start.resolve()} or above it. Run this inside a cascade-flow project.")


def _samconfig(root: Path, of: str) -> dict[str, object]:
    path = root / SAMCONFIG
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        section = tomllib.loads(text).get(of, {}).get("global", {}).get("parameters", {})
    except (tomllib.TOMLDecodeError, AttributeError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}. Mend it, or take it from the repository.") from error
    return dict(section)


def _pairs(overrides: object) -> dict[str, str]:
    if not isinstance(overrides, list) or not all(isinstance(each, str) and "=" in each for each in overrides):
        raise ConfigurationError(f'parameter_overrides in {SAMCONFIG} must be a list of "Name=value".')
    return dict(each.split("=", 1) for each in overrides)
