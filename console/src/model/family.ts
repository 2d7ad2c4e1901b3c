/** Runs that do a step's work, one for each item of a map or a sub-workflow's: how they are named, and how they stand. */

import type { StepOfRun } from "../api/ask";
import { count } from "./format";

export interface Place {
  parentId: string;
  stepId: string;
  number: number;
}

/** Where in its parent a run belongs; a child's id says it. */
export function placeOf(runId: string): Place | null {
  const found = /^(.+)~([^~]+)~(\d+)$/.exec(runId);
  return found && { parentId: found[1]!, stepId: found[2]!.replace(/:/g, "/"), number: Number(found[3]) };
}

/** What is shown of a step whose work is done by runs of their own; null of others, and where nothing is known yet. */
export function progressOf(step: StepOfRun): string | null {
  const { children } = step;
  if (!children) return null;
  if (children.runs === undefined || step.status === "completed") return null;
  const failed = children.failedItems ? `, ${children.failedItems.toLocaleString("en")} failed` : "";
  return `${(children.ended ?? 0).toLocaleString("en")} of ${children.runs.toLocaleString("en")}${failed}`;
}

/** The same in a sentence. */
export function toldOf(step: StepOfRun): string | null {
  const { children } = step;
  if (!children) return null;
  if (children.kind === "workflow") return `a run of ${children.workflowSlug} does its work`;
  const each = (children.batch ?? 1) > 1 ? `a run for each ${children.batch} items` : "a run for each item";
  const going = Math.max(0, (children.begun ?? 0) - (children.ended ?? 0));
  const known = children.items === undefined ? [] : [count(children.items, "item"), `${going} at work`, `${children.ended ?? 0} over`, ...(children.failedItems ? [`${children.failedItems} failed`] : [])];
  return [`${each} of ${children.over}`, ...known].join(", ");
}

/** What part of it is over, and what of that failed, each from 0 to 1; null where nothing is known. */
export function sharesOf(step: StepOfRun): { over: number; failed: number } | null {
  const { children } = step;
  if (!children?.runs || !children.items || step.status === "completed") return null;
  return { over: Math.min(1, (children.ended ?? 0) / children.runs), failed: Math.min(1, (children.failedItems ?? 0) / children.items) };
}
