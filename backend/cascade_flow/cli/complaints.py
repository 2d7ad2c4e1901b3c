"""What a person is told of an error: in the words that were typed, not in those of requests."""

from __future__ import annotations

from cascade_flow.errors import CascadeFlowError, InputInvalidError, IssuesError

_TYPED = {
    "workflowSlug": "WORKFLOW",
    "input": "--input",
    "idempotencyKey": "--key",
    "tags": "--tag",
    "delayUs": "--delay",
    "timeoutUs": "--timeout",
    "runId": "RUN",
}
"""What a person typed for a field of a request; for all others it is the option of that name."""


def told(error: CascadeFlowError) -> str:
    """What is said of an error: a line, and one for each thing that is wrong."""
    if not isinstance(error, IssuesError) or not error.issues:
        return error.message
    if error.code == "request-invalid":
        return "\n".join(f"{_typed(issue.path)}: {issue.message}" for issue in error.issues)
    head = (
        "the input doesn't fit the workflow"
        if isinstance(error, InputInvalidError)
        else error.message.split("\n")[0].rstrip(".: ")
    )
    return "\n".join([f"{head}:", *(f"  {issue.path or '(the whole)'}: {issue.message}" for issue in error.issues)])


def _typed(path: str) -> str:
    name = path.partition(".")[0]
    return _TYPED.get(name, f"--{name}")
