"""Projects, and their stack: deployed to an emulator on this machine, and from this machine to AWS.

    project = Project(find_root(Path.cwd()))
    for line in up(project):
        print(line)
    stack = running(project)        # stack.api_url, stack.outputs["TableName"], ...

Nothing here prints, and nothing here is part of what runs on AWS.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cascade_flow.local.lifecycle import down, up
    from cascade_flow.local.presence import running, worker_pids
    from cascade_flow.local.project import DEFAULT_PORT, Project, find_root
    from cascade_flow.local.state import REGION, LocalStack

__all__ = [
    "DEFAULT_PORT",
    "REGION",
    "LocalStack",
    "Project",
    "down",
    "find_root",
    "running",
    "up",
    "worker_pids",
]
_HOMES = {
    "lifecycle": "down up",
    "presence": "running worker_pids",
    "project": "DEFAULT_PORT Project find_root",
    "state": "REGION LocalStack",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Look a name up when it is first used, so that a command pays only for what it imports."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'cascade_flow.local' has no attribute {name!r}")
    return getattr(import_module(f"cascade_flow.local.{_HOME_OF[name]}"), name)
