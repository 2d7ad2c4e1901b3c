"""What an event says, in a few words beside its type and step. `--json` has all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cascade_flow.cli import formatting
from cascade_flow.cli.views import Document

_LONGEST_VALUE = 200
_COLOURS = {
    "StepCompleted": "green",
    "WorkflowCompleted": "green",
    "StepFailed": "red",
    "WorkflowFailed": "red",
    "StepRetrying": "yellow",
    "StepReclaimed": "yellow",
    "WorkflowCancelled": "yellow",
    "StepSkipped": "magenta",
    "LogEntry": "dim",
    "StepHeartbeat": "dim",
}


def sentence(event: Document) -> str:
    """The event in words; of a type that isn't known here, its fields."""
    return _SAID.get(str(event["type"]), _fields)(event)


def colour(event: Document) -> str:
    return _COLOURS.get(str(event["type"]), "")


def error_text(error: Any) -> str:
    """An error as people say it: its name and its message."""
    if not isinstance(error, Mapping):
        return ""
    name, message = error.get("name"), str(error.get("message", ""))
    return f"{name}: {message}" if name and not message.startswith(f"{name}:") else message


def _begun(event: Document) -> str:
    ways = {"event:signal": "it was sent", "event:callback": "it was sent, by a call from outside"}
    return ways.get(str(event["workerId"])) or f"{_attempt(event)} by {event['workerId']}"


def _submitted(event: Document) -> str:
    parts = [_input(event)]
    parts += [f"tag {tag}" for tag in event.get("tags") or ()]
    parts += [_due(event)]
    return _joined(parts)


def _input(event: Document) -> str:
    if event.get("input"):
        return f"input {formatting.shortened(event['input'], _LONGEST_VALUE)}"
    return "a large input" if "inputUrl" in event else "no input"


def _validated(event: Document) -> str:
    if event["success"]:
        return "the input fits" if event["hasSchema"] else "the workflow takes any input"
    issues = event.get("validationErrors") or ()
    return "; ".join(f"{issue['path']}: {issue['message']}" for issue in issues) or error_text(event.get("error"))


def _started(event: Document) -> str:
    number = event["workflowAttemptNumber"]
    return f"run attempt {number}" if number > 1 else ""


def _scheduled(event: Document) -> str:
    return _joined(
        [_attempt(event), "" if event["reason"] == "initial" else event["reason"].replace("-", " "), _due(event)]
    )


def _failed(event: Document) -> str:
    ending = ", for good" if event["terminal"] else ""
    return f"{_attempt(event)}, {_after(event)}{ending} ({event['failureReason']}): {error_text(event['error'])}"


def was_given_back(lost: Document, worker: str) -> bool:
    """Whether an attempt (or its StepReclaimed) was taken from its worker by nobody but itself."""
    return bool(lost["reclaimedBy"] == lost[worker])


def _reclaimed(event: Document) -> str:
    if was_given_back(event, "originalWorkerId"):
        return f"{_attempt(event)} given back by {event['originalWorkerId']}"
    silent = formatting.duration(event["staleDurationUs"])
    return f"{_attempt(event)} taken from {event['originalWorkerId']}, which was silent for {silent}"


def _skipped(event: Document) -> str:
    origin = event.get("cascadedFrom")
    return f"with {origin}" if origin else str(event["reason"])


def _run_failed(event: Document) -> str:
    step = f" in {event['failedStep']}" if event.get("failedStep") else ""
    return f"{_after(event)}{step} ({event['failureReason']}): {error_text(event['error'])}"


def _fields(event: Document) -> str:
    shown = {name: value for name, value in event.items() if name not in _HEAD}
    return formatting.shortened(formatting.compact(shown), _LONGEST_VALUE) if shown else ""


def _attempt(event: Document) -> str:
    return f"attempt {event['attemptNumber']}"


def _after(event: Document) -> str:
    return f"after {formatting.duration(event['durationUs'])}"


def _due(event: Document) -> str:
    due_us = event["availableAtUs"]
    return f"due {formatting.time_of_day(due_us)}" if due_us > event["timestampUs"] else ""


def _joined(parts: list[str]) -> str:
    return ", ".join(part for part in parts if part)


_HEAD = frozenset({"eventId", "timestampUs", "workflowSlug", "runId", "category", "type", "stepId"})
_SAID: dict[str, Callable[[Document], str]] = {
    "RunSubmitted": _submitted,
    "WorkflowInputValidation": _validated,
    "WorkflowStarted": _started,
    "WorkflowCompleted": _after,
    "WorkflowFailed": _run_failed,
    "WorkflowCancelled": lambda event: _joined([_after(event), event.get("reason") or ""]),
    "StepScheduled": _scheduled,
    "StepStarted": _begun,
    "StepHeartbeat": lambda event: f"{_attempt(event)} by {event['workerId']}",
    "StepCompleted": lambda event: f"{_attempt(event)}, {_after(event)}",
    "StepFailed": _failed,
    "StepRetrying": lambda event: f"attempt {event['nextAttempt']} follows",
    "StepReclaimed": _reclaimed,
    "StepSkipped": _skipped,
    "StepCheckpoint": lambda event: f"{event['name']} {event['sequenceNumber']}",
    "StepCheckpointFailed": lambda event: f"{event['name']} {event['sequenceNumber']}: {error_text(event['error'])}",
    "LogEntry": lambda event: str(event["message"]),
}
