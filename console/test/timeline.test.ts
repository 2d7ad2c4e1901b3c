import { describe, expect, it } from "vitest";
import type { RunEvent, StepOfRun } from "../src/api/ask";
import { kindsIn, lanes, span, summary, ticks, turns, words, type Bar } from "../src/model/timeline";

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
    const events = [scheduled(10), started(20), at("StepReclaimed", 80, { originalWorkerId: "w", reclaimedBy: "reaper", lastHeartbeatUs: 20 }), scheduled(81, 81, 2), started(90, 2)];
    expect(bars(...events).slice(1)).toEqual(["running 1 reclaimed 20-80", "waiting 2 waiting 81-90", "running 2 running 90-"]);
  });

  it("says since when a worker was silent, and what was heard of it last", () => {
    const reclaimed = at("StepReclaimed", 80, { originalWorkerId: "w", reclaimedBy: "reaper", lastHeartbeatUs: 35 });
    const [, running] = lanes([scheduled(10), started(20), at("StepHeartbeat", 35), reclaimed])[0]!.bars;
    expect(running).toMatchObject({ beatsUs: [35], silentUs: 35, outcome: "reclaimed" });
    expect(words(running!)).toContain("fell silent");
  });

  it("tells what a worker has given back from what it was taken", () => {
    const given = at("StepReclaimed", 80, { originalWorkerId: "w", reclaimedBy: "w", lastHeartbeatUs: 35 });
    const [, running] = lanes([scheduled(10), started(20), given])[0]!.bars;
    expect([running!.outcome, running!.silentUs]).toEqual(["released", undefined]);
  });

  it("says what each pause is for", () => {
    const events = [scheduled(10, 20), started(20), at("StepFailed", 30), scheduled(30, 40, 2), started(40, 2), scheduled(50, 60, 3), started(60, 3)];
    expect(lanes(events)[0]!.bars.filter((bar) => bar.kind === "pause").map((bar) => bar.reason)).toEqual(["delay", "retry", "later"]);
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

describe("an event from outside", () => {
  const step = (more: object) => ({ stepId: "yes", dependencies: ["pay"], status: "pending", event: { onTimeout: "fail", waits: false, ...more } }) as unknown as StepOfRun;
  const begun = { type: "WorkflowStarted", timestampUs: 5 } as RunEvent;
  const paid = [begun, scheduled(10), started(20), at("StepCompleted", 30)];
  const lane = (events: RunEvent[], more: object) => short(lanes(events, [step(more)]).find((each) => each.stepId === "yes")?.bars ?? []);

  it("is waited for since its causes are over", () => expect(lane(paid, { waits: true })).toEqual(["outside 1 waiting 30-"]));
  it("isn't waited for before", () => expect(lane(paid.slice(0, 3), { waits: false })).toEqual([]));
  it("was waited for until it went on", () => {
    const sent = [at("StepScheduled", 90, { stepId: "yes", availableAtUs: 90 }), at("StepStarted", 90, { stepId: "yes", workerId: "event:signal" }), at("StepCompleted", 91, { stepId: "yes" })];
    expect(lane([...paid, ...sent], {})).toEqual(["outside 1 waiting 30-90", "running 1 completed 90-91"]);
  });
});

it("says what a step did with its time, and explains what is drawn only", () => {
  const all = lanes([scheduled(0, 1_000_000), started(3_000_000), at("StepFailed", 4_000_000), scheduled(4_000_000, 6_000_000, 2)]);
  expect(summary(all[0]!, 6_000_000)).toBe("1 attempt, ran 1.00 s, waited for a worker 2.00 s, paused 3.00 s");
  expect(kindsIn(all).map((each) => each.word)).toEqual(["waits", "failed", "retry pause", "not due"]);
});

it("marks where the run was tried again", () => {
  expect(turns([{ type: "WorkflowRetryStarted", timestampUs: 7 } as RunEvent])).toEqual([{ atUs: 7, says: "try 2 of the run begins" }]);
});

describe("the axis", () => {
  it("reaches over all that happened, and to now", () => {
    const all = lanes([scheduled(10), started(30)]);
    expect(span(all, 20, 5_000_000)).toEqual([10, 5_000_000]);
    expect(span([], 100, 100)).toEqual([100, 1_100]);
  });

  it.each([[1_000, 5], [7_300_000, 6], [4_000_000_000, 8], [900_000_000_000, 7]])("has round ticks for %d µs, at most %d", (lengthUs, most) => {
    const found = ticks(0, lengthUs, most);
    expect(found[0]).toBe(0);
    expect(found.length).toBeLessThanOrEqual(most + 1);
    expect(found.at(-1)!).toBeLessThanOrEqual(lengthUs);
  });

  it("has those of the part that is looked at, the same wherever that begins", () => {
    expect(ticks(2_100_000, 5_000_000, 3)).toEqual([3_000_000, 4_000_000, 5_000_000]);
  });
});
