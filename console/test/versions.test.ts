import { describe, expect, it } from "vitest";
import { difference, type VersionStep } from "../src/model/versions";

const step = (stepId: string, more: Partial<VersionStep> = {}): VersionStep => ({ stepId, name: stepId, dependencies: [], code: `code of ${stepId}`, ...more });

describe("what changed between two versions", () => {
  it("is nothing where nothing did", () => {
    expect(difference([step("a"), step("b")], [step("a"), step("b")])).toEqual({ changes: [], same: 2, moved: false, unknown: 0 });
  });
  it("names steps that came and went", () => {
    const found = difference([step("a"), step("b")], [step("a"), step("c", { dependencies: ["a"] })]);
    expect(found.changes.map((each) => [each.kind, each.stepId])).toEqual([["added", "c"], ["removed", "b"]]);
    expect(found.moved).toBe(false);
  });
  it("tells code from what is declared of a step", () => {
    const [change] = difference([step("a", { timeoutUs: 5 })], [step("a", { code: "other", dependencies: ["z"] })]).changes;
    expect(change).toMatchObject({ kind: "changed", code: true });
    expect(Object.fromEntries(change!.fields.map((each) => [each.field, [each.before, each.after]]))).toEqual({ timeoutUs: [5, undefined], dependencies: [[], ["z"]] });
  });
  it("says that it doesn't know of code that nobody has noted", () => {
    const found = difference([step("a", { code: undefined }), step("b")], [step("a"), step("b")]);
    expect([found.changes, found.same, found.unknown]).toEqual([[], 2, 1]);
  });
  it("takes another docstring for no change of its own, and another order of names for none", () => {
    const retry = { delayUs: 1, backoff: 2 };
    expect(difference([step("a", { description: "x", retry })], [step("a", { description: "y", retry: { backoff: 2, delayUs: 1 } })]).changes).toEqual([]);
  });
  it("notices another order of the steps that stay, whatever comes between", () => {
    expect(difference([step("a"), step("b")], [step("b"), step("new"), step("a")]).moved).toBe(true);
    expect(difference([step("a"), step("b")], [step("a"), step("new"), step("b")]).moved).toBe(false);
  });
});
