/** What each step was doing when, out of the events of its run: a bar for each attempt, and for what lies between. */

import type { RunEvent, StepOfRun } from "../api/ask";
import { count, duration } from "./format";

export type BarKind = "waiting" | "running" | "pause" | "outside";
/** What a pause is for: the policy of retries, a step that wasn't ready, a time that it was to wait for. */
export type Reason = "retry" | "later" | "delay";
export type Outcome = "running" | "completed" | "failed" | "reclaimed" | "released" | "cancelled" | "skipped" | "waiting" | "postponed" | "handed";

export interface Bar {
  kind: BarKind;
  attempt: number;
  fromUs: number;
  /** None while it goes on. */
  toUs?: number;
  outcome: Outcome;
  reason?: Reason;
  worker?: string;
  /** Heartbeats that are stored: the engine keeps the last one of an attempt. */
  beatsUs?: number[];
  /** Since when nothing was heard of its worker, where it was reclaimed for that. */
  silentUs?: number;
}

export interface Lane {
  stepId: string;
  bars: Bar[];
}

/** Something that happened to the whole run. */
export interface Turn {
  atUs: number;
  says: string;
}

type Of<T extends RunEvent["type"]> = Extract<RunEvent, { type: T }>;

/** A lane for each step that anything has happened to, by when it happened first. */
export function lanes(events: readonly RunEvent[], steps: readonly StepOfRun[] = []): Lane[] {
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
  for (const step of steps) if (step.event) wait(step, found, events);
  for (const step of steps) if (step.children) hand(found.get(step.stepId));
  return [...found.values()].filter((lane) => lane.bars.length).sort((a, b) => a.bars[0]!.fromUs - b.bars[0]!.fromUs);
}

/** When the run itself was tried again. */
export function turns(events: readonly RunEvent[]): Turn[] {
  const retries = events.filter((event) => event.type === "WorkflowRetryStarted");
  return retries.map((event, n) => ({ atUs: event.timestampUs, says: `try ${n + 2} of the run begins` }));
}

/** From the first thing that happened to the last; what goes on reaches to now. */
export function span(all: readonly Lane[], startUs: number, endUs: number): [number, number] {
  const bars = all.flatMap((lane) => lane.bars);
  const from = bars.reduce((least, bar) => Math.min(least, bar.fromUs), startUs);
  const to = bars.reduce((most, bar) => Math.max(most, bar.toUs ?? bar.fromUs), endUs);
  return [from, Math.max(to, from + 1_000)];
}

/** Times to write below a part of an axis: round ones, not more than fit in that part. */
export function ticks(fromUs: number, toUs: number, most: number): number[] {
  const least = (toUs - fromUs) / Math.max(1, most);
  const step = STEPS_US.find((each) => each >= least) ?? Math.ceil(least / DAY_US) * DAY_US;
  const first = Math.ceil(fromUs / step);
  return Array.from({ length: Math.max(0, Math.floor(toUs / step) - first + 1) }, (_, n) => (first + n) * step);
}

/** A bar in words. */
export function words(bar: Bar): string {
  const { attempt } = bar;
  if (bar.kind === "outside") return bar.toUs === undefined ? "waits to be sent" : "waited to be sent";
  if (bar.kind === "waiting") return `attempt ${attempt} waits for its turn and a worker`;
  if (bar.kind === "pause") return PAUSES[bar.reason!](attempt);
  return OUTCOMES[bar.outcome]?.(attempt) ?? `attempt ${attempt} ${bar.outcome}`;
}

/** What a step did with its time, in words. */
export function summary(lane: Lane, nowUs: number): string {
  const of = (kind: BarKind) => lane.bars.filter((bar) => bar.kind === kind);
  const spent = (bars: readonly Bar[]) => bars.reduce((sum, bar) => sum + Math.max(0, (bar.toUs ?? nowUs) - bar.fromUs), 0);
  const told = SPENT.filter(([kind]) => spent(of(kind)) > 0).map(([kind, did]) => `${did} ${duration(spent(of(kind)))}`);
  return [count(of("running").length, "attempt"), ...told].join(", ");
}

/** Which kinds of bars there are, for a legend. */
export function kindsIn(all: readonly Lane[]): { look: string; word: string }[] {
  const bars = all.flatMap((lane) => lane.bars);
  return LEGEND.filter(({ is }) => bars.some(is)).map(({ look, word }) => ({ look, word }));
}

const SPENT: [BarKind, string][] = [["running", "ran"], ["waiting", "waited for a worker"], ["pause", "paused"], ["outside", "waited to be sent"]];
const ran = (outcome: Outcome) => (bar: Bar) => bar.kind === "running" && bar.outcome === outcome;
const paused = (reason: Reason) => (bar: Bar) => bar.kind === "pause" && bar.reason === reason;
const LEGEND: { look: string; word: string; is: (bar: Bar) => boolean }[] = [
  { look: "is-waiting", word: "waits", is: (bar) => bar.kind === "waiting" },
  { look: "is-running", word: "runs", is: ran("running") },
  { look: "is-running is-completed", word: "ran", is: ran("completed") },
  { look: "is-running is-failed", word: "failed", is: ran("failed") },
  { look: "is-running is-reclaimed", word: "reclaimed", is: ran("reclaimed") },
  { look: "is-running is-handed", word: "its runs", is: ran("handed") },
  { look: "is-running is-postponed", word: "not ready", is: ran("postponed") },
  { look: "is-pause is-retry", word: "retry pause", is: paused("retry") },
  { look: "is-pause is-later", word: "asked later", is: paused("later") },
  { look: "is-pause is-delay", word: "not due", is: paused("delay") },
  { look: "is-outside", word: "awaited", is: (bar) => bar.kind === "outside" },
];
const PAUSES: Record<Reason, (attempt: number) => string> = {
  retry: (attempt) => `pause before attempt ${attempt}, by the retry policy`,
  later: (attempt) => `it wasn't ready: asked again as attempt ${attempt}`,
  delay: () => "not yet due: it starts at a time",
};
const OUTCOMES: Partial<Record<Outcome, (attempt: number) => string>> = {
  running: (attempt) => `attempt ${attempt} runs`,
  handed: () => "runs of its own do its work",
  postponed: (attempt) => `attempt ${attempt}: not ready`,
  released: (attempt) => `attempt ${attempt} given back by its worker, which had to go`,
  reclaimed: (attempt) => `attempt ${attempt} reclaimed from a worker that fell silent: a late result of it is refused`,
};
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
    case "StepHeartbeat":
      return beaten(bars, event.timestampUs);
    case "StepCompleted":
      return close(bars, event.timestampUs, "completed");
    case "StepFailed":
      return close(bars, event.timestampUs, "failed");
    case "StepReclaimed":
      return reclaimed(bars, event);
    case "StepSkipped":
      return skipped(bars, event);
  }
}

function scheduled(bars: Bar[], event: Of<"StepScheduled">): void {
  const { timestampUs: at, availableAtUs: due, attemptNumber: attempt } = event;
  // What runs and is scheduled again, without having failed, has said that it isn't ready.
  close(bars, at, "postponed");
  const before = bars.at(-1);
  const reason = !before ? "delay" : before.outcome === "postponed" ? "later" : "retry";
  if (due > at) bars.push({ kind: "pause", reason, attempt, fromUs: at, toUs: due, outcome: "waiting" });
  bars.push({ kind: "waiting", attempt, fromUs: Math.max(at, due), outcome: "waiting" });
}

function started(bars: Bar[], event: Of<"StepStarted">): void {
  const { timestampUs: at, attemptNumber: attempt, workerId: worker } = event;
  close(bars, at, "waiting");
  bars.push({ kind: "running", attempt, fromUs: at, outcome: "running", worker });
}

function beaten(bars: Bar[], at: number): void {
  const last = bars.at(-1);
  if (last?.kind === "running") last.beatsUs = [...(last.beatsUs ?? []), at];
}

function reclaimed(bars: Bar[], event: Of<"StepReclaimed">): void {
  const last = bars.at(-1);
  const own = event.reclaimedBy === event.originalWorkerId;
  if (last?.kind === "running" && !own) last.silentUs = Math.max(last.fromUs, event.lastHeartbeatUs);
  close(bars, event.timestampUs, own ? "released" : "reclaimed");
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

/** An event from outside is only told of when it is over: it was waited for since all that it comes after was. */
function wait(step: StepOfRun, found: Map<string, Lane>, events: readonly RunEvent[]): void {
  const start = events.find((event) => event.type === "WorkflowStarted")?.timestampUs;
  const causes = step.dependencies.map((id) => found.get(id)?.bars.at(-1)?.toUs);
  const known = found.get(step.stepId)?.bars ?? [];
  if (start === undefined || causes.includes(undefined) || (!known.length && !step.event!.waits)) return;
  const fromUs = Math.max(start, ...(causes as number[]));
  const toUs = known[0]?.fromUs;
  if (toUs !== undefined && toUs <= fromUs) return;
  const bar: Bar = { kind: "outside", attempt: 1, fromUs, toUs, outcome: "waiting" };
  found.set(step.stepId, { stepId: step.stepId, bars: [bar, ...known] });
}

/** A step whose runs do its work waits for them where another wasn't ready. */
function hand(lane: Lane | undefined): void {
  for (const bar of lane?.bars ?? []) if (bar.outcome === "postponed" || (bar.kind === "running" && bar.toUs === undefined)) bar.outcome = "handed";
}

function ended(type: RunEvent["type"]): Outcome {
  return type === "WorkflowCancelled" ? "cancelled" : "failed";
}
