/** Events that are asked for again and again: new ones are put among those that are known. */

import type { RunEvent } from "../api/ask";

/** The same list where nothing is new, so that nobody draws again. */
export function merged<E extends { eventId: string; timestampUs: number }>(known: E[], more: readonly E[]): E[] {
  const ids = new Set(known.map((each) => each.eventId));
  const fresh = more.filter((each) => !ids.has(each.eventId));
  if (!fresh.length) return known;
  return [...known, ...fresh].sort((a, b) => a.timestampUs - b.timestampUs);
}

/** One event in a few words. */
export function told(event: RunEvent): string {
  switch (event.type) {
    case "StepScheduled":
      return `attempt ${event.attemptNumber}, ${event.reason.replace("-", " ")}`;
    case "StepStarted":
      return `attempt ${event.attemptNumber} by ${event.workerId}`;
    case "StepFailed":
      return `${event.error.name ? `${event.error.name}: ` : ""}${event.error.message}${event.terminal ? "" : " (tried again)"}`;
    case "StepSkipped":
      return event.reason;
    case "StepReclaimed":
      return `from ${event.originalWorkerId}, which fell silent`;
    case "StepRetrying":
      return `attempt ${event.nextAttempt} follows`;
    case "WorkflowFailed":
      return event.failedStep ? `in ${event.failedStep}: ${event.error.message}` : event.error.message;
    case "WorkflowCancelled":
    case "WorkflowRetryStarted":
      return event.reason ?? "";
    case "WorkflowRerunFromStep":
      return `of ${event.parentRunId}, from ${event.rerunFromStepId}`;
    case "WorkflowResumed":
      return `of ${event.originalRunId}`;
    case "StepCheckpoint":
    case "StepCheckpointFailed":
      return event.name;
    case "LogEntry":
      return event.message;
    default:
      return "";
  }
}
