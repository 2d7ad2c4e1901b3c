"""Makes the layer that every function has: cascade_flow, which lies here as a link, and its locked dependencies.

`sam build` runs this, by the Makefile, in a copy of this folder (in a container too: samconfig.toml has links mounted);
`cascade` runs it where it lies, with an installer of its own. Only the standard library is needed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

HERE = Path(__file__).resolve().parent
ONLY_HERE = ("cli", "client", "console", "local", "remote", "smoke", "stack", "testing")
"""What people use, and no function."""
PIP = [
    *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"),
    *("--only-binary=:all:", "--platform", "manylinux_2_28_aarch64", "--platform", "manylinux2014_aarch64"),
    *("--implementation", "cp", "--python-version", "3.13"),
]


def main() -> None:
    parser = ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", type=Path, help="the folder that becomes the layer's python/")
    parser.add_argument("--package", type=Path, default=HERE / "cascade_flow", help="cascade_flow")
    parser.add_argument("--python", default="python3.13", help="compiles, where it can be run")
    parser.add_argument("install", nargs="*", default=PIP, help="what installs a list of requirements into a folder")
    asked = parser.parse_args()
    requirements = ["--require-hashes", "--target", str(asked.target), "--requirement", str(HERE / "requirements.txt")]
    _run([*asked.install, *requirements])
    shutil.copytree(asked.package, asked.target / "cascade_flow", ignore=shutil.ignore_patterns("__pycache__"))
    for left_out in ("bin", ".lock", *(f"cascade_flow/{name}" for name in ONLY_HERE)):
        _remove(asked.target / left_out)
    for compiled in asked.target.rglob("__pycache__"):
        _remove(compiled)
    if _runs(asked.python):
        _run([asked.python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(asked.target)])


def _run(command: list[str]) -> None:
    if status := subprocess.run(command, check=False).returncode:
        sys.exit(status)


def _runs(python: str) -> bool:
    try:
        return subprocess.run([python, "-c", "pass"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
