/** What differed between two runs, step by step. */

import type { RunEvent, StepOfRun } from "../api/ask";

/** What a step has given: a text of JSON, or where a large one lies, which its content names. */
export type Given = string | undefined;

export interface Told {
  steps: readonly StepOfRun[];
  outputs: ReadonlyMap<string, Given>;
}

export interface Row {
  stepId: string;
  before?: StepOfRun;
  now?: StepOfRun;
  /** Kept: it is the same execution, whose result was taken over. */
  kept: boolean;
  output: "same" | "differs" | "only before" | "only now" | "none";
}

/** The last output of each step. */
export function outputsIn(events: readonly RunEvent[]): Map<string, Given> {
  const found = new Map<string, Given>();
  for (const event of events) if (event.type === "StepCompleted") found.set(event.stepId, event.output ?? placeOf(event.outputUrl));
  return found;
}

/** A row for each step of either, in the order of now; `ranAgain` are those of a rerun that weren't kept. */
export function compared(before: Told, now: Told, ranAgain: ReadonlySet<string> | null): Row[] {
  const then = new Map(before.steps.map((step) => [step.stepId, step]));
  const known = new Set(now.steps.map((step) => step.stepId));
  const gone = before.steps.filter((step) => !known.has(step.stepId));
  const rows = now.steps.map((step): Row => {
    const kept = ranAgain !== null && !ranAgain.has(step.stepId) && then.has(step.stepId) && isOver(step);
    return { stepId: step.stepId, before: then.get(step.stepId), now: step, kept, output: outputOf(step.stepId, before, now) };
  });
  return [...rows, ...gone.map((step): Row => ({ stepId: step.stepId, before: step, kept: false, output: outputOf(step.stepId, before, now) }))];
}

/** Whether a row says more than that all was as before. */
export function differs(row: Row): boolean {
  if (!row.before || !row.now) return true;
  const slower = (row.now.durationUs ?? 0) - (row.before.durationUs ?? 0);
  const much = Math.abs(slower) > NOTICED_US && Math.abs(slower) > NOTICED_PART * (row.before.durationUs ?? 0);
  return !row.kept && (row.before.status !== row.now.status || row.before.attemptNumber !== row.now.attemptNumber || much || !["same", "none"].includes(row.output));
}

/** How much longer or shorter, as a factor that people read. */
export function factor(before: number | undefined, now: number | undefined): string {
  if (!before || !now) return "";
  const by = now / before;
  if (by > 0.9 && by < 1.1) return "about as long";
  return by > 1 ? `${tidy(by)}× as long` : `${tidy(1 / by)}× shorter`;
}

const NOTICED_US = 100_000;
const NOTICED_PART = 0.2;

function tidy(by: number): string {
  return by < 10 ? by.toFixed(1) : Math.round(by).toLocaleString("en");
}

function isOver(step: StepOfRun): boolean {
  return step.status === "completed" || step.status === "skipped";
}

function outputOf(stepId: string, before: Told, now: Told): Row["output"] {
  const [one, other] = [before.outputs.get(stepId), now.outputs.get(stepId)];
  if (one === undefined || other === undefined) return one === other ? "none" : one === undefined ? "only now" : "only before";
  return one === other ? "same" : "differs";
}

/** Objects are named by what is in them: the address without its signature is as good as the content. */
function placeOf(url: string | undefined): string | undefined {
  return url?.split("?")[0];
}
