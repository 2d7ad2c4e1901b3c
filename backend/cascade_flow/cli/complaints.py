"""What a person is told of an error: in the words that were typed, not in those of requests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cascade_flow.cli import formatting
from cascade_flow.errors import CascadeFlowError, InputInvalidError, IssuesError

if TYPE_CHECKING:
    from cascade_flow.errors import Issue

_TYPED = {
    "workflowSlug": "WORKFLOW",
    "input": "--input",
    "idempotencyKey": "--key",
    "tags": "--tag",
    "delayUs": "--delay",
    "timeoutUs": "--timeout",
    "fromUs": "--from",
    "toUs": "--to",
    "runId": "RUN",
}
"""What a person typed for a field of a request; for all others it is the option of that name."""


def told(error: CascadeFlowError) -> str:
    """What is said of an error: a line, and one for each thing that is wrong."""
    if not isinstance(error, IssuesError) or not error.issues:
        return error.message
    if error.code == "request-invalid":
        return "\n".join(f"{_typed(issue.path)}: {_read(issue)}" for issue in error.issues)
    is_input = isinstance(error, InputInvalidError) and all(_is_of(issue, "input") for issue in error.issues)
    head = "the input doesn't fit the workflow" if is_input else error.message.split("\n")[0].rstrip(".: ")
    return "\n".join([f"{head}:", *(f"  {issue.path or '(the whole)'}: {issue.message}" for issue in error.issues)])


def _is_of(issue: Issue, root: str) -> bool:
    return issue.path.partition(".")[0].partition("[")[0] == root


def _read(issue: Issue) -> str:
    """What is wrong with a field; nobody types a length of time in microseconds."""
    if not issue.path.endswith("Us"):
        return issue.message
    return re.sub(r"\d+", lambda us: formatting.duration(int(us[0])), issue.message)


def _typed(path: str) -> str:
    name = path.partition(".")[0]
    return _TYPED.get(name, f"--{name}")
