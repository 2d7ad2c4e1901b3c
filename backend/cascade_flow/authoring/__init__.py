"""What a user imports to declare a workflow (`Workflow`, `Retry`, `Skip`, `Later`, `Poll`, `StepContext`, `From`), and
what reads it.

Nothing here runs a step, asks a server or knows a run's state: see `cascade_flow.worker`.
"""

from cascade_flow.authoring.binding import StepInputs, bind
from cascade_flow.authoring.context import StepContext
from cascade_flow.authoring.definition import Definition
from cascade_flow.authoring.discovery import discover
from cascade_flow.authoring.git import git_info
from cascade_flow.authoring.later import Later, Poll
from cascade_flow.authoring.parameters import From
from cascade_flow.authoring.retry import Retry
from cascade_flow.authoring.skip import Skip
from cascade_flow.authoring.steps import Step
from cascade_flow.authoring.workflow import Workflow

__all__ = [
    "Definition",
    "From",
    "Later",
    "Poll",
    "Retry",
    "Skip",
    "Step",
    "StepContext",
    "StepInputs",
    "Workflow",
    "bind",
    "discover",
    "git_info",
]
