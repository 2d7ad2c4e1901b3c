"""The stack on this machine: the template that is deployed to AWS, deployed to an emulator of it.

    project = Project(find_root(Path.cwd()))
    for line in up(project):
        print(line)
    stack = running(project)        # stack.api_url, stack.outputs["TableName"], ...

Nothing here prints, and nothing here is part of what runs on AWS.
"""

from cascade_flow.local.lifecycle import down, running, up, worker_pids
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
