"""Puts the stack into the package. Template, functions and the framework's layer lie at the top level, where SAM looks
for them; the wheel and the sdist get them from there. All else is in pyproject.toml.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

STACK = ("template.yaml", "functions/*/*.py", "layers/framework/*.*")
"""What `cascade_flow.local.sources` looks for, as patterns."""


class WithTheStack(build_py):
    """Builds the package, with these files below `cascade_flow/stack`. A checkout that is installed reads its own."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for part in _parts():
                target = Path(self.build_lib, "cascade_flow/stack", part)
                self.mkpath(str(target.parent))
                self.copy_file(part, str(target))

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), *_parts()]


def _parts() -> list[str]:
    return sorted(str(path) for pattern in STACK for path in Path().glob(pattern) if path.is_file())


setup(cmdclass={"build_py": WithTheStack})
