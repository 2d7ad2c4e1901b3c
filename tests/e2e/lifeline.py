"""Ends a local stack as soon as its starter lets go of this process's input, however that happens (kill -9 too).

python -m e2e.lifeline FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cascade_flow.local import Project, down

_LET_LIVE = "let live"
_SOURCES = Path(__file__).parents[1], Path(__file__).parents[2] / "backend"


class Lifeline(subprocess.Popen[bytes]):
    """A context manager: when its block ends, or this process does, no process of the project's stack is left."""

    lives_on = False

    def let_live(self) -> None:
        """Leave the stack as it is when the block ends: somebody wants to look at it."""
        assert self.stdin is not None
        self.lives_on = True
        self.stdin.write(_LET_LIVE.encode())


def lifeline(project: Project) -> Lifeline:
    return Lifeline(
        [sys.executable, "-m", "e2e.lifeline", str(project.root)],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, _SOURCES))},
        start_new_session=True,
    )


if __name__ == "__main__":
    if sys.stdin.read() != _LET_LIVE:
        list(down(Project(Path(sys.argv[1]))))
