/** What a run has cost on AWS by list prices: what docs/costs.md counts for each thing that happened, and workers' time. */

import type { StepOfRun } from "../api/ask";
import type { Bar, Lane } from "./timeline";

/** Of workers that are Lambda's: how much memory they have, and how often they say that they live. */
export interface Workers {
  memoryMb: number;
  heartbeatUs: number;
}

export interface Post {
  what: string;
  /** How many, or how much. */
  number: number;
  unit: "times" | "GB-seconds";
  dollars: number;
}

/** Dollars per million, under the names of docs/costs.md: us-east-1, autumn 2026, arm64, on demand, no free tier. */
export const PRICES = {
  "a run of one branch, without its steps": 14.1,
  "a step chained in the same worker": 0.99,
  "a step through the queue": 3.12,
  "a parallel step of a wide fan-out, to its join": 8.08,
  "a retry": 5.35,
  "an attempt that was not ready": 2.23,
  "a heartbeat": 0.62,
} as const;
export const GIGABYTE_SECOND = 13.3334;
const MILLION = 1_000_000;
/** What lies between the end of a step and the start of the next in the same worker. */
const AT_ONCE_US = 5_000;

type Thing = keyof typeof PRICES;

/** What the run has cost so far, post by post, the dearest first. */
export function costOf(all: readonly Lane[], steps: readonly StepOfRun[], workers: Workers, nowUs: number): Post[] {
  const counted = new Map<Thing, number>([["a run of one branch, without its steps", 1]]);
  const add = (thing: Thing, number = 1) => counted.set(thing, (counted.get(thing) ?? 0) + number);
  const known = new Map(all.map((lane) => [lane.stepId, lane]));
  const joined = new Set(steps.filter((step) => step.dependencies.length > 1).flatMap((step) => step.dependencies));
  let seconds = 0;
  for (const step of steps) {
    const tries = ran(known.get(step.stepId));
    if (step.event || !tries.length) continue;
    add(startOf(step, tries[0]!, known, joined));
    for (const bar of tries.slice(0, -1)) add(bar.outcome === "handed" ? "a step through the queue" : bar.outcome === "postponed" ? "an attempt that was not ready" : "a retry");
    const own = tries.filter((bar) => bar.outcome !== "handed");
    add("a heartbeat", own.reduce((sum, bar) => sum + Math.floor(lengthOf(bar, nowUs) / workers.heartbeatUs), 0));
    if (!step.executor) seconds += own.reduce((sum, bar) => sum + lengthOf(bar, nowUs), 0) / MILLION;
  }
  const gigabytes = (seconds * workers.memoryMb) / 1_024;
  const time: Post = { what: `workers' time, at ${workers.memoryMb} MB`, number: gigabytes, unit: "GB-seconds", dollars: (gigabytes * GIGABYTE_SECOND) / MILLION };
  const posts = [...counted].map(([what, number]): Post => ({ what, number, unit: "times", dollars: (number * PRICES[what]) / MILLION }));
  return [...posts, time].filter((post) => post.number > 0).sort((a, b) => b.dollars - a.dollars);
}

/** Two digits that say something, however little it is. */
export function dollars(amount: number): string {
  if (amount >= 1) return `$${amount.toFixed(2)}`;
  const rounded = Number(amount.toPrecision(2));
  const digits = rounded > 0 ? Math.min(12, 1 - Math.floor(Math.log10(rounded))) : 2;
  return `$${rounded.toFixed(Math.max(2, digits))}`;
}

function ran(lane: Lane | undefined): Bar[] {
  return (lane?.bars ?? []).filter((bar) => bar.kind === "running" && bar.worker !== undefined);
}

function startOf(step: StepOfRun, first: Bar, known: ReadonlyMap<string, Lane>, joined: ReadonlySet<string>): Thing {
  const before = step.dependencies.map((id) => ran(known.get(id)).at(-1));
  const chained = before.some((bar) => bar?.worker === first.worker && first.fromUs - (bar?.toUs ?? 0) < AT_ONCE_US);
  if (chained) return "a step chained in the same worker";
  return joined.has(step.stepId) ? "a parallel step of a wide fan-out, to its join" : "a step through the queue";
}

function lengthOf(bar: Bar, nowUs: number): number {
  return Math.max(0, (bar.toUs ?? nowUs) - bar.fromUs);
}
