import { describe, expect, it } from "vitest";
import type { RunEvent, StepOfRun } from "../src/api/ask";
import { compared, differs, factor, outputsIn, type Told } from "../src/model/compare";
import { differences } from "../src/model/diff";

describe("where two values differ", () => {
  it.each([
    [{ a: 1 }, { a: 1 }, []],
    [{ a: 1, b: [1, 2] }, { a: 2, b: [1, 3] }, [{ path: "a", kind: "changed", before: 1, now: 2 }, { path: "b[1]", kind: "changed", before: 2, now: 3 }]],
    [{ a: 1 }, { b: 1 }, [{ path: "b", kind: "added", now: 1 }, { path: "a", kind: "removed", before: 1 }]],
    [[1], { 0: 1 }, [{ path: "", kind: "changed", before: [1], now: { 0: 1 } }]],
    [{ a: null }, { a: {} }, [{ path: "a", kind: "changed", before: null, now: {} }]],
    [{ a: { b: { c: "x" } } }, { a: { b: { c: "y" } } }, [{ path: "a.b.c", kind: "changed", before: "x", now: "y" }]],
    ["x", undefined, [{ path: "", kind: "changed", before: "x", now: undefined }]],
    [{ constructor: 1 }, {}, [{ path: "constructor", kind: "removed", before: 1 }]],
  ])("%j and %j", (before, now, found) => expect(differences(before, now)).toEqual(found));

  it("is told as far as anybody reads", () => {
    const many = (shift: number) => Array.from({ length: 1_000 }, (_, n) => n + shift);
    expect(differences(many(0), many(1), 10)).toHaveLength(10);
  });
});

const step = (stepId: string, more: object = {}) => ({ stepId, status: "completed", attemptNumber: 1, durationUs: 1_000_000, ...more }) as unknown as StepOfRun;
const told = (steps: StepOfRun[], outputs: Record<string, string | undefined> = {}): Told => ({ steps, outputs: new Map(Object.entries(outputs)) });

describe("two runs", () => {
  it("are put beside each other, what is gone last", () => {
    const rows = compared(told([step("a"), step("old")], { a: "1", old: "1" }), told([step("new"), step("a")], { a: "2", new: "1" }), null);
    expect(rows.map((row) => [row.stepId, row.output])).toEqual([["new", "only now"], ["a", "differs"], ["old", "only before"]]);
    expect(rows.every(differs)).toBe(true);
  });

  it("say what was kept, which can't differ", () => {
    const rows = compared(told([step("a"), step("b")], { a: "1", b: "1" }), told([step("a", { durationUs: 9_000_000 }), step("b")], { a: "1", b: "1" }), new Set(["b"]));
    expect(rows.map((row) => [row.kept, differs(row)])).toEqual([[true, false], [false, false]]);
  });

  it.each([
    [{ durationUs: 1_050_000 }, false], [{ durationUs: 1_500_000 }, true], [{ status: "failed" }, true], [{ attemptNumber: 2 }, true],
  ])("differ where people would say so: %j", (more, does) => {
    const [row] = compared(told([step("a")], { a: "1" }), told([step("a", more)], { a: "1" }), null);
    expect(differs(row!)).toBe(does);
  });

  it.each([[1, 1.05, "about as long"], [1, 2, "2.0× as long"], [100, 1, "100× shorter"], [undefined, 1, ""]])("took %d and %d: %s", (before, now, words) => expect(factor(before, now)).toBe(words));

  it("have a large output in common where its address is the same but for the signature", () => {
    const event = (outputUrl: string) => ({ type: "StepCompleted", stepId: "a", outputUrl }) as unknown as RunEvent;
    expect(outputsIn([event("https://b/payloads/x?sig=1")])).toEqual(outputsIn([event("https://b/payloads/x?sig=2")]));
  });
});
