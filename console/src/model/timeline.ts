/** What each step was doing when, out of the events of its run: a bar for each attempt, and for what lies between. */

import type { RunEvent } from "../api/ask";

export type BarKind = "waiting" | "running" | "pause";
export type Outcome = "running" | "completed" | "failed" | "reclaimed" | "cancelled" | "skipped" | "waiting" | "postponed";

export interface Bar {
  kind: BarKind;
  attempt: number;
  fromUs: number;
  /** None while it goes on. */
  toUs?: number;
  outcome: Outcome;
  worker?: string;
}

export interface Lane {
  stepId: string;
  bars: Bar[];
}

type Of<T extends RunEvent["type"]> = Extract<RunEvent, { type: T }>;

/** A lane for each step that anything has happened to, by when it happened first. */
export function lanes(events: readonly RunEvent[]): Lane[] {
  const found = new Map<string, Lane>();
  for (const event of events) {
    if ("stepId" in event) {
      const lane = found.get(event.stepId) ?? { stepId: event.stepId, bars: [] };
      found.set(event.stepId, lane);
      tell(lane.bars, event);
    } else if (ENDS.has(event.type)) {
      for (const lane of found.values()) close(lane.bars, event.timestampUs, ended(event.type));
    }
  }
  return [...found.values()].filter((lane) => lane.bars.length);
}

/** From the first thing that happened to the last; what goes on reaches to now. */
export function span(all: readonly Lane[], startUs: number, endUs: number): [number, number] {
  const bars = all.flatMap((lane) => lane.bars);
  const from = bars.reduce((least, bar) => Math.min(least, bar.fromUs), startUs);
  const to = bars.reduce((most, bar) => Math.max(most, bar.toUs ?? bar.fromUs), endUs);
  return [from, Math.max(to, from + 1_000)];
}

/** Times to write below an axis: round ones, not more than fit. */
export function ticks(lengthUs: number, most: number): number[] {
  const least = lengthUs / Math.max(1, most);
  const step = STEPS_US.find((each) => each >= least) ?? Math.ceil(least / DAY_US) * DAY_US;
  return Array.from({ length: Math.floor(lengthUs / step) + 1 }, (_, n) => n * step);
}

const ENDS = new Set<RunEvent["type"]>(["WorkflowCompleted", "WorkflowFailed", "WorkflowCancelled"]);
const DAY_US = 86_400_000_000;
const STEPS_US = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500].map((ms) => ms * 1_000),
  ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400].map((s) => s * 1_000_000),
];

function tell(bars: Bar[], event: RunEvent): void {
  switch (event.type) {
    case "StepScheduled":
      return scheduled(bars, event);
    case "StepStarted":
      return started(bars, event);
    case "StepCompleted":
      return close(bars, event.timestampUs, "completed");
    case "StepFailed":
      return close(bars, event.timestampUs, "failed");
    case "StepReclaimed":
      return close(bars, event.timestampUs, "reclaimed");
    case "StepSkipped":
      return skipped(bars, event);
  }
}

function scheduled(bars: Bar[], event: Of<"StepScheduled">): void {
  const { timestampUs: at, availableAtUs: due, attemptNumber: attempt } = event;
  // What runs and is scheduled again, without having failed, has handed its attempt back: it wasn't ready, or must go.
  close(bars, at, "postponed");
  if (due > at) bars.push({ kind: "pause", attempt, fromUs: at, toUs: due, outcome: "waiting" });
  bars.push({ kind: "waiting", attempt, fromUs: Math.max(at, due), outcome: "waiting" });
}

function started(bars: Bar[], event: Of<"StepStarted">): void {
  const { timestampUs: at, attemptNumber: attempt, workerId: worker } = event;
  close(bars, at, "waiting");
  bars.push({ kind: "running", attempt, fromUs: at, outcome: "running", worker });
}

function skipped(bars: Bar[], event: Of<"StepSkipped">): void {
  if (bars.at(-1)?.toUs === undefined && bars.length) return close(bars, event.timestampUs, "skipped");
  const at = event.timestampUs;
  bars.push({ kind: "running", attempt: event.attemptNumber, fromUs: at, toUs: at, outcome: "skipped" });
}

/** Ends what goes on. A wait that never began, and one of no length, was none. */
function close(bars: Bar[], at: number, outcome: Outcome): void {
  const last = bars.at(-1);
  if (!last || last.toUs !== undefined) return;
  if (last.kind === "waiting" && last.fromUs >= at) {
    bars.pop();
    const pause = bars.at(-1);
    if (pause?.kind === "pause" && pause.toUs !== undefined && pause.toUs > at) pause.toUs = at;
    return;
  }
  last.toUs = at;
  last.outcome = last.kind === "running" || outcome === "skipped" ? outcome : "waiting";
}

function ended(type: RunEvent["type"]): Outcome {
  return type === "WorkflowCancelled" ? "cancelled" : "failed";
}
