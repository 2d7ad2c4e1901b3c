"""Where the stack's own files are: template, functions, the framework's layer.

An installed cascade-flow has them in its package, put there from this repository's top level when it was built; a
checkout has them where they are written. A project may have its own: `sources` in its `cascade.toml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cascade_flow.errors import ConfigurationError

TEMPLATE = "template.yaml"
FRAMEWORK = "layers/framework"
"""Where the template says that the framework's layer lies."""
_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Sources:
    """A folder with a template and all that it names, but for the workflows."""

    folder: Path

    @property
    def template(self) -> Path:
        return self.folder / TEMPLATE

    @property
    def framework(self) -> Path:
        """The layer's folder: its lock, and the program that makes it."""
        return self.folder / FRAMEWORK

    @property
    def functions(self) -> Path:
        return self.folder / "functions"

    @property
    def package(self) -> Path:
        """cascade_flow, as it goes into the layer: beside the lock where it lies there, else as it is installed."""
        beside = self.framework / _PACKAGE.name
        return beside if beside.is_dir() else _PACKAGE

    @property
    def layer(self) -> list[Path]:
        """All that the framework's layer is made of."""
        return [self.framework] if self.package.is_relative_to(self.framework) else [self.framework, self.package]

    @property
    def parts(self) -> list[Path]:
        """All that is deployed of them."""
        return [self.template, self.functions, *self.layer]


def shipped() -> Sources:
    """Those that came with this cascade-flow. ConfigurationError where its installation is broken."""
    for folder in (_PACKAGE / "stack", _PACKAGE.parents[1]):
        if (folder / TEMPLATE).is_file():
            return Sources(folder)
    raise ConfigurationError("This installation of cascade-flow lacks its template. Install it again.")
