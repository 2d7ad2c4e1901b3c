"""Ends a local stack as soon as its starter lets go of this process's input, however that happens (kill -9 too).

python -m e2e.lifeline FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cascade_flow.local import Project, down

_SOURCES = Path(__file__).parents[1], Path(__file__).parents[2] / "backend"


def lifeline(project: Project) -> subprocess.Popen[bytes]:
    """A context manager: when its block ends, or this process does, no process of the project's stack is left."""
    return subprocess.Popen(
        [sys.executable, "-m", "e2e.lifeline", str(project.root)],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, _SOURCES))},
        start_new_session=True,
    )


if __name__ == "__main__":
    sys.stdin.read()
    list(down(Project(Path(sys.argv[1]))))
