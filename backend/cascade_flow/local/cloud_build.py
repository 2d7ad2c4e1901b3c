"""What AWS is given, made without SAM, Docker or Lambda's Python: a zip for each place of code, and the template.

`sam deploy --template` and `aws cloudformation package` take it as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cascade_flow.errors import ConfigurationError
from cascade_flow.local import artifacts, layer_checks, template
from cascade_flow.local.artifacts import Artifact
from cascade_flow.local.project import Project
from cascade_flow.local.sources import FRAMEWORK, TEMPLATE


@dataclass(frozen=True)
class Made:
    """A zip, and what of the template's it stands for."""

    place: str
    artifact: Artifact

    @property
    def size(self) -> int:
        """In bytes, as it is sent."""
        return self.artifact.path.stat().st_size


def build(project: Project, folder: Path) -> Iterator[Made]:
    """Make each zip, then the template that names them. ConfigurationError where a layer would not work on Lambda, and
    where nothing can be written.
    """
    _require(folder)
    platform = artifacts.aws_lambda(folder.resolve())
    address: dict[str, str] = {}
    for place in template.places_of_code(project.template):
        made = Made(place, artifacts.artifact(project, place, platform))
        _check(made)
        address[place] = made.artifact.key
        yield made
    (folder / TEMPLATE).write_text(template.with_code_at(project.template, address), encoding="utf-8")


def _require(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TEMPLATE).touch()
    except OSError as error:
        raise ConfigurationError(
            f"Nothing can be written to {folder}: {error.strerror}. Name another folder."
        ) from error


def _check(made: Made) -> None:
    checks = {FRAMEWORK: layer_checks.of_framework, artifacts.WORKFLOWS: layer_checks.of_workflows}
    if made.place in checks and (complaints := checks[made.place](made.artifact.path)):
        made.artifact.path.unlink()
        raise ConfigurationError(f"{made.place} would not work on Lambda: {'; '.join(complaints)}")
