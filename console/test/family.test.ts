import { describe, expect, it } from "vitest";
import type { RunEvent, StepOfRun } from "../src/api/ask";
import { costOf } from "../src/model/cost";
import { placeOf, progressOf, sharesOf, toldOf } from "../src/model/family";
import { lanes, words } from "../src/model/timeline";

const map = (more: object = {}, status = "running") => ({ stepId: "pack", dependencies: ["lines"], status, children: { kind: "map", over: "lines", concurrency: 50, batch: 1, ...more } }) as unknown as StepOfRun;

describe("a child's id", () => {
  it.each([
    ["3f2a", null],
    ["3f2a~pack~17", { parentId: "3f2a", stepId: "pack", number: 17 }],
    ["3f2a~read:lines~0", { parentId: "3f2a", stepId: "read/lines", number: 0 }],
    ["3f2a~pack~17~again~2", { parentId: "3f2a~pack~17", stepId: "again", number: 2 }],
  ])("%s says where it belongs", (id, place) => expect(placeOf(id)).toEqual(place));
});

describe("how a map stands", () => {
  const going = map({ items: 100, runs: 100, begun: 40, ended: 34, failedItems: 2 });
  it("is told in a few words, a sentence and a picture", () => {
    expect(progressOf(going)).toBe("34 of 100, 2 failed");
    expect(toldOf(going)).toBe("a run for each item of lines, 100 items, 6 at work, 34 over, 2 failed");
    expect(sharesOf(going)).toEqual({ over: 0.34, failed: 0.02 });
  });
  it("says nothing that isn't known", () => {
    expect([progressOf(map()), sharesOf(map()), toldOf(map({ batch: 10 }))]).toEqual([null, null, "a run for each 10 items of lines"]);
    expect(progressOf(map({ items: 3, runs: 3, ended: 3 }, "completed"))).toBeNull();
    expect(toldOf({ stepId: "bill", children: { kind: "workflow", workflowSlug: "labels" } } as unknown as StepOfRun)).toBe("a run of labels does its work");
    expect([progressOf({ stepId: "a" } as StepOfRun), toldOf({ stepId: "a" } as StepOfRun)]).toEqual([null, null]);
  });
});

describe("what waits for runs of its own", () => {
  const at = (type: string, timestampUs: number, more: object) => ({ type, timestampUs, stepId: "pack", ...more }) as unknown as RunEvent;
  const S = 1_000_000;
  const events = [
    at("StepScheduled", 0, { availableAtUs: 0, attemptNumber: 1 }), at("StepStarted", S, { attemptNumber: 1, workerId: "w" }),
    at("StepScheduled", 90 * S, { availableAtUs: 90 * S, attemptNumber: 2 }), at("StepStarted", 91 * S, { attemptNumber: 2, workerId: "w" }), at("StepCompleted", 92 * S, {}),
  ];
  const all = lanes(events, [map({}, "completed")]);

  it("isn't taken for one that wasn't ready", () => {
    expect(all[0]!.bars.filter((bar) => bar.kind === "running").map(words)).toEqual(["runs of its own do its work", "attempt 2 completed"]);
  });
  it("takes no worker's time meanwhile", () => {
    const posts = costOf(all, [map({}, "completed")], { memoryMb: 1_024, heartbeatUs: 20 * S }, 0);
    expect(posts.find((post) => post.unit === "GB-seconds")?.number).toBe(1);
    expect(posts.find((post) => post.what === "a heartbeat")).toBeUndefined();
  });
});
