/** What changed between two versions of a workflow. */

export interface VersionStep {
  stepId: string;
  dependencies: readonly string[];
  /** Another text wherever the source is another; not known of what was registered without its code. */
  code?: string;
  description?: string;
  [field: string]: unknown;
}

export interface FieldChange {
  field: string;
  before: unknown;
  after: unknown;
}

export interface StepChange {
  stepId: string;
  kind: "added" | "removed" | "changed";
  fields: readonly FieldChange[];
  /** Whether its code differs; undefined where nobody knows. */
  code: boolean | undefined;
}

export interface Difference {
  changes: readonly StepChange[];
  same: number;
  moved: boolean;
  /** Steps that look alike, and of which nobody knows whether their code is. */
  unknown: number;
}

const TOLD_ELSEWHERE = new Set(["code", "description", "stepId"]);

export function difference(before: readonly VersionStep[], after: readonly VersionStep[]): Difference {
  const was = new Map(before.map((step) => [step.stepId, step]));
  const is = new Map(after.map((step) => [step.stepId, step]));
  const removed = before.filter((step) => !is.has(step.stepId)).map((step) => alone(step, "removed"));
  const pairs = after.map((step) => [was.get(step.stepId), step] as const);
  const changed = pairs.map(([old, step]) => (old ? changeOf(old, step) : alone(step, "added")));
  const changes = [...changed.filter((each) => each.kind !== "changed" || each.fields.length || each.code), ...removed];
  const kept = changed.filter((each) => !changes.includes(each));
  return { changes, same: kept.length, moved: inAnotherOrder(before, after), unknown: kept.filter((each) => each.code === undefined).length };
}

function alone(step: VersionStep, kind: "added" | "removed"): StepChange {
  return { stepId: step.stepId, kind, fields: [], code: undefined };
}

function changeOf(before: VersionStep, after: VersionStep): StepChange {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) => !TOLD_ELSEWHERE.has(name));
  const fields = names.filter((name) => !same(before[name], after[name])).map((field) => ({ field, before: before[field], after: after[field] }));
  return { stepId: after.stepId, kind: "changed", fields, code: before.code === undefined || after.code === undefined ? undefined : before.code !== after.code };
}

/** Of the steps that both have: the declared order decides which branch goes on. */
function inAnotherOrder(before: readonly VersionStep[], after: readonly VersionStep[]): boolean {
  const [first, second] = [before, after].map((steps) => steps.map((step) => step.stepId));
  const kept = (names: string[], others: string[]) => names.filter((name) => others.includes(name));
  return !same(kept(first!, second!), kept(second!, first!));
}

/** The order of names counts for nothing. */
function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}

function sorted(value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value ?? null;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)).map(([name, each]) => [name, sorted(each)]));
}
