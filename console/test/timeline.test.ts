import { describe, expect, it } from "vitest";
import type { RunEvent } from "../src/api/ask";
import { lanes, span, ticks, type Bar } from "../src/model/timeline";

const at = (type: string, timestampUs: number, more: object = {}) =>
  ({ type, timestampUs, eventId: `${type}/${timestampUs}`, stepId: "pay", attemptNumber: 1, ...more }) as unknown as RunEvent;
const scheduled = (us: number, dueUs = us, attemptNumber = 1) => at("StepScheduled", us, { availableAtUs: dueUs, attemptNumber });
const started = (us: number, attemptNumber = 1) => at("StepStarted", us, { attemptNumber, workerId: "w" });
const short = (bars: readonly Bar[]) => bars.map((bar) => `${bar.kind} ${bar.attempt} ${bar.outcome} ${bar.fromUs}-${bar.toUs ?? ""}`);
const bars = (...events: RunEvent[]) => short(lanes(events)[0]?.bars ?? []);

describe("a step's lane", () => {
  it("waits, runs and completes", () => {
    expect(bars(scheduled(10), started(30), at("StepCompleted", 90))).toEqual(["waiting 1 waiting 10-30", "running 1 completed 30-90"]);
  });

  it("shows every attempt, with the pause before the next", () => {
    const events = [scheduled(10), started(20), at("StepFailed", 40), scheduled(41, 100, 2), started(105, 2), at("StepCompleted", 120, { attemptNumber: 2 })];
    expect(bars(...events)).toEqual([
      "waiting 1 waiting 10-20", "running 1 failed 20-40", "pause 2 waiting 41-100", "waiting 2 waiting 100-105", "running 2 completed 105-120",
    ]);
  });

  it("shows what was reclaimed, and who has it now", () => {
    const events = [scheduled(10), started(20), at("StepReclaimed", 80), scheduled(81, 81, 2), started(90, 2)];
    expect(bars(...events).slice(1)).toEqual(["running 1 reclaimed 20-80", "waiting 2 waiting 81-90", "running 2 running 90-"]);
  });

  it("tells an attempt that was handed back from one that failed", () => {
    expect(bars(scheduled(10), started(20), scheduled(30, 90, 2))).toEqual([
      "waiting 1 waiting 10-20", "running 1 postponed 20-30", "pause 2 waiting 30-90", "waiting 2 waiting 90-",
    ]);
  });

  it("has no wait where none was: a chain's next step begins at once", () => {
    expect(bars(scheduled(10), started(10), at("StepCompleted", 11))).toEqual(["running 1 completed 10-11"]);
  });

  it("ends a pause that somebody cut short", () => {
    expect(bars(scheduled(10, 100), started(50))).toEqual(["pause 1 waiting 10-50", "running 1 running 50-"]);
  });

  it("marks a skipped step where it was skipped", () => {
    expect(bars(at("StepSkipped", 5, { reason: "none" }))).toEqual(["running 1 skipped 5-5"]);
    expect(bars(scheduled(1), started(2), at("StepSkipped", 5))).toEqual(["waiting 1 waiting 1-2", "running 1 skipped 2-5"]);
  });

  it("ends with its run", () => {
    const cancelled = { ...at("WorkflowCancelled", 70) } as unknown as Record<string, unknown>;
    delete cancelled.stepId;
    expect(bars(scheduled(10), started(20), cancelled as unknown as RunEvent)).toEqual(["waiting 1 waiting 10-20", "running 1 cancelled 20-70"]);
  });
});

describe("the axis", () => {
  it("reaches over all that happened, and to now", () => {
    const all = lanes([scheduled(10), started(30)]);
    expect(span(all, 20, 5_000_000)).toEqual([10, 5_000_000]);
    expect(span([], 100, 100)).toEqual([100, 1_100]);
  });

  it.each([[1_000, 5], [7_300_000, 6], [4_000_000_000, 8], [900_000_000_000, 7]])("has round ticks for %d µs, at most %d", (lengthUs, most) => {
    const found = ticks(lengthUs, most);
    expect(found[0]).toBe(0);
    expect(found.length).toBeLessThanOrEqual(most + 1);
    expect(found.at(-1)!).toBeLessThanOrEqual(lengthUs);
  });
});
