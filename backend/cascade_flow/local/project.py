"""A team's project: where its files are, and what the stack's template gets for each of its environments.

What is written in `cascade.toml` is read when it is first asked for. Nothing here starts, builds or sends anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_flow.errors import ConfigurationError
from cascade_flow.local import template
from cascade_flow.local.sources import Sources, shipped

if TYPE_CHECKING:
    from cascade_flow.local.config import Config, Environment

CONFIG = "cascade.toml"
DEFAULT_PORT = 4566
PLAIN: Mapping[str, str] = {"RequireTls": "false"}
"""What the template gets on any emulator, unless `cascade.toml` says otherwise: they speak plain HTTP."""
ON_THIS_MACHINE: Mapping[str, str] = {
    **PLAIN,
    "WorkerTimeout": "60",
    "LeaseMs": "6000",
    "HeartbeatMs": "2000",
    "GraceMs": "5000",
}
"""What the template gets here unless `cascade.toml` says otherwise: who watches notices a crash in seconds."""


@dataclass(frozen=True)
class Project:
    """A folder with a `cascade.toml`, and one of its environments: that on this machine unless another is named.

    `port` is where the local stack is to answer; None is where it does, or did last, or else the default.
    `overrides` are parameters of the template; they win over those of `cascade.toml`.
    The reaper is called every `sweep_ms`, where AWS calls it each minute. `home` holds all that the local stack leaves
    behind; deleting it forgets the stack.
    """

    root: Path
    port: int | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    sweep_ms: int = 2_000
    home_name: str = ".cascade"
    env: str = "local"

    @property
    def home(self) -> Path:
        return self.root / self.home_name

    def make_home(self) -> Path:
        """The folder `home`, made where it is missing; git leaves it alone."""
        if not self.home.is_dir():
            self.home.mkdir(parents=True)
            (self.home / ".gitignore").write_text("*\n", encoding="utf-8")
        return self.home

    @cached_property
    def config(self) -> Config:
        """What the project says of itself. ConfigurationError where that makes no sense."""
        from cascade_flow.local import config  # noqa: PLC0415  (pydantic: who only asks a running stack needs none)

        return config.read(self.root)

    @cached_property
    def environment(self) -> Environment:
        """ConfigurationError where `cascade.toml` has no such environment, unless it is the one on this machine."""
        from cascade_flow.local.config import Environment  # noqa: PLC0415  (as above)

        if self.env not in self.config.env and not self.is_local:
            there = ", ".join(sorted(self.config.env)) or "none"
            raise ConfigurationError(
                f"{CONFIG} has no environment {self.env!r} (there is: {there}). Add it: [env.{self.env}]"
            )
        return self.config.env.get(self.env, Environment())

    @property
    def is_local(self) -> bool:
        return self.env == "local"

    @cached_property
    def sources(self) -> Sources:
        """The template and what it names, but for the workflows."""
        own = self.config.sources
        return shipped() if own is None else Sources((self.root / own).resolve())

    @property
    def template(self) -> Path:
        return self.sources.template

    @cached_property
    def parameters(self) -> dict[str, str]:
        """What the template is given. ConfigurationError where `cascade.toml` names a parameter that it hasn't."""
        here = ON_THIS_MACHINE if self.is_local else PLAIN if self.environment.platform == "host" else {}
        of_ours = {"WorkflowsPackage": self.config.package, "WorkflowsDir": self.config.folder}
        return {**of_ours, **here, **self._own_parameters(), **self.overrides}

    @property
    def stack_name(self) -> str:
        """On this machine the project's own, else that of the environment, which has one of its own."""
        return self.config.stack if self.is_local else self.environment.stack or f"{self.config.stack}-{self.env}"

    @property
    def workflows_package(self) -> str:
        return self.parameters["WorkflowsPackage"]

    @property
    def workflows_dir(self) -> Path:
        """The folder that holds the package, absolute."""
        return (self.root / self.parameters["WorkflowsDir"]).resolve()

    @property
    def requirements(self) -> Path | None:
        """The file that names the packages which the workflows need. None where it is missing, or names none."""
        written = self.workflows_dir / "requirements.txt"
        lines = written.read_text(encoding="utf-8").splitlines() if written.is_file() else []
        return written if any(line.split("#")[0].strip() for line in lines) else None

    @property
    def deployed(self) -> list[Path]:
        """What of the folder is deployed: the package, and what `include` names. ConfigurationError where one lacks."""
        first = self.workflows_package.split(".")[0]
        module = self.workflows_dir / f"{first}.py"
        package = module if module.is_file() else self.workflows_dir / first
        included = [self.workflows_dir / name for name in self.config.include]
        for path, written in [(package, "package"), *((path, "include") for path in included)]:
            if not path.exists():
                raise ConfigurationError(
                    f"There is no {path.name!r} in {self.workflows_dir}. Say where your workflows are: "
                    f"`package`, `folder` and `include` in {CONFIG} (it is `{written}` that names this)."
                )
        return [package, *included]

    def require_workflows(self) -> None:
        """ConfigurationError where the package isn't in its folder."""
        assert self.deployed

    def _own_parameters(self) -> dict[str, str]:
        known = template.parameters(self.template)
        for name in self.environment.parameters:
            if name not in known:
                from cascade_flow.local import config  # noqa: PLC0415  (as above)

                raise config.unknown_parameter(self.root, self.env, name, known)
        return dict(self.environment.parameters)


def find_root(start: Path) -> Path:
    """The nearest folder with a `cascade.toml`, from `start` upwards. ConfigurationError where there is none."""
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / CONFIG).is_file():
            return folder
    raise ConfigurationError(
        f"There is no {CONFIG} in {start.resolve()} or above it, so this is no project of cascade-flow. "
        "Make one: cascade init NAME; or take up a package that is here: cascade init --here"
    )
