"""Runs as the API answers them, fixed: the shapes that the commands are tried on."""

from __future__ import annotations

from typing import Any

NOW_US = 1_795_371_900_000_000
RUN_ID = "3f2a91c07b1d4e55"
BUSY_ID = "00c0ffee00c0ffee"
VERSION = "sha256:fb9e232684807c431fdc0fc5c1fb3b68fe5c694a00073d77a546e557af71851f"
SVG = '<svg xmlns="http://www.w3.org/2000/svg">' + "<g/>" * 1_000 + "</svg>"

Document = dict[str, Any]


def step(id: str, *dependencies: str, status: str = "pending", **fields: Any) -> Document:
    """A step of `GET /runs/{runId}`."""
    attempts = {} if status == "pending" else {"attemptNumber": 1}
    known = {"stepId": id, "name": id, "dependencies": list(dependencies), "status": status, "maxAttempts": 3}
    return {**known, **attempts, "exportOutput": False, **fields}


def document(*steps: Document, status: str = "running", run_id: str = RUN_ID, **fields: Any) -> Document:
    """`GET /runs/{runId}`."""
    run = {
        "runId": run_id,
        "workflowSlug": "mishaps",
        "status": status,
        "availableAtUs": NOW_US - 13_000_000,
        "createdAtUs": NOW_US - 13_000_000,
        "startedAtUs": NOW_US - 12_300_000,
        "priority": 0,
        "workflowAttemptNumber": 1,
        **({} if status == "running" else {"endedAtUs": NOW_US}),
    }
    return {"run": run, "versionId": VERSION, "steps": list(steps), "output": None, "error": None, **fields}


def error(name: str, message: str) -> Document:
    return {"name": name, "message": message}


BUSY = document(
    step(
        "unreliable",
        status="scheduled",
        attemptNumber=3,
        maxAttempts=4,
        availableAtUs=NOW_US + 2_400_000,
        error=error("ConnectionError", "the other side hung up on attempt 2\nand there was more to say"),
    ),
    step("slow", status="running", attemptNumber=2, maxAttempts=2, startedAtUs=NOW_US - 400_000),
    step("voucher", status="skipped", skipReason="no voucher was given"),
    step("discount", "voucher", status="skipped", skipReason="skipped", cascadedFrom="voucher"),
    step("long_haul", status="running", attemptNumber=2, startedAtUs=NOW_US - 3_400_000, wasReclaimed=True),
    step("quick", status="completed", attemptNumber=2, durationUs=3_400_000),
    step("next", status="scheduled", availableAtUs=NOW_US - 5, executor="printer"),
    step("report", "unreliable", "slow", "discount", "long_haul", "quick", "next"),
    run_id=BUSY_ID,
)

DONE = document(
    step("read", status="completed", durationUs=13_000),
    step("chart", "read", status="completed", durationUs=1_500_000, exportOutput=True),
    status="completed",
    output={"chart": SVG, "summary": {"days": 1461}},
)

FAILED = document(
    step("read", status="completed", durationUs=13_000),
    step("check", "read", status="failed", attemptNumber=3, durationUs=9_000, error=error("ValueError", "no such row")),
    step("chart", "check"),
    status="failed",
    error={
        **error("ValueError", "no such row"),
        "stack": 'Traceback\n  File "check.py", line 3, in check\nValueError: no such row',
        "failedStep": "check",
        "failureReason": "step-failed",
    },
)

CANCELLED = document(step("read", status="running", startedAtUs=NOW_US), status="cancelled", cancelReason="wrong input")

WIDE = document(
    step("split", status="completed", durationUs=100),
    *(step(f"part/{n}", "split", status="completed", durationUs=1_000_000) for n in range(80)),
    *(step(f"part/{n}", "split", status="running", startedAtUs=NOW_US - 300_000) for n in range(80, 97)),
    *(step(f"part/{n}", "split", status="scheduled", availableAtUs=1) for n in range(97, 100)),
    step("join", *(f"part/{n}" for n in range(100))),
)

LONG = document(
    step("s0", status="completed", durationUs=100),
    *(step(f"s{n}", f"s{n - 1}", status="completed", durationUs=1_000_000) for n in range(1, 30)),
    step("s30", "s29", status="running", startedAtUs=NOW_US - 300_000),
    *(step(f"s{n}", f"s{n - 1}") for n in range(31, 50)),
)


def event(type: str, step_id: str | None = None, **fields: Any) -> Document:
    """An event of `GET /runs/{runId}/events`."""
    head = {"eventId": str(NOW_US), "timestampUs": NOW_US, "workflowSlug": "mishaps", "runId": RUN_ID, "type": type}
    return {**head, "category": "step" if step_id else "workflow", **({"stepId": step_id} if step_id else {}), **fields}


EVENTS = [
    event("RunSubmitted", versionId=VERSION, availableAtUs=NOW_US, priority=0, hasInputSchema=True, input='{"a": 1}'),
    event("WorkflowInputValidation", workflowAttemptNumber=1, hasSchema=True, success=True),
    event("WorkflowStarted", versionId=VERSION, workflowAttemptNumber=1, hasInputSchema=True, hasInput=True),
    event("StepScheduled", "check", availableAtUs=NOW_US, reason="initial", attemptNumber=1),
    event("StepStarted", "check", workerId="worker-1", dependencies=[], attemptNumber=1),
    event("StepHeartbeat", "check", workerId="worker-1", attemptNumber=1),
    event("StepCheckpoint", "check", name="leg", sequenceNumber=2, attemptNumber=1, data="1"),
    event("LogEntry", "check", stream="stdout", message="[bold]not markup[/bold]", attemptNumber=1),
    event(
        "StepFailed",
        "check",
        error=error("ValueError", "no such row"),
        errorFingerprints={},
        durationUs=9_000,
        attemptNumber=1,
        terminal=False,
        failureReason="execution-error",
    ),
    event("StepRetrying", "check", attemptNumber=1, nextAttempt=2, error=error("ValueError", "no such row")),
    event("StepScheduled", "check", availableAtUs=NOW_US + 2_000_000, reason="retry", attemptNumber=2),
    event(
        "StepReclaimed",
        "check",
        originalWorkerId="worker-1",
        reclaimedBy="reaper",
        lastHeartbeatUs=NOW_US,
        staleThresholdUs=6_000_000,
        staleDurationUs=7_000_000,
        attemptNumber=2,
    ),
    event("StepCompleted", "check", output="1", durationUs=9_000, attemptNumber=3, exportOutput=False),
    event("StepSkipped", "rest", skipType="cascade", reason="x", durationUs=0, attemptNumber=1, cascadedFrom="check"),
    event("WorkflowCancelled", workflowAttemptNumber=1, reason="enough", durationUs=1, completedSteps=1),
    event("WorkflowRetryStarted", workflowAttemptNumber=2, previousAttemptNumber=1, retriedSteps=["check"]),
]

LINES = [
    {"timestampUs": NOW_US, "stepId": "check", "attemptNumber": 1, "stream": "stdout", "message": "one [red]row[/red]"},
    {"timestampUs": NOW_US + 1, "stepId": "check", "attemptNumber": 2, "stream": "stderr", "message": "two: ünïcode"},
]

WORKFLOW = {
    "workflowSlug": "mishaps",
    "name": "Mishaps that end well",
    "location": "workflows.mishaps",
    "versionId": VERSION,
    "timeoutUs": 600_000_000,
    "inputSchemaJSON": {
        "type": "object",
        "properties": {
            "legs": {"type": "integer", "default": 8, "description": "How many"},
            "voucher": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            "who": {"type": "string"},
        },
        "required": ["who"],
    },
    "steps": [
        {"stepId": "slow", "name": "slow", "dependencies": [], "timeoutUs": 2_000_000, "retry": [{"maxAttempts": 2}]},
        {
            "stepId": "report",
            "name": "report",
            "dependencies": ["slow"],
            "exportOutput": True,
            "retry": [{}, {}],
            "executor": "printer",
        },
    ],
    "versions": [{"versionId": VERSION}],
}
