/** Where two JSON values differ. */

import { Exact } from "./exact";

export interface Difference {
  /** Names and numbers, from the whole down. */
  path: string;
  kind: "added" | "removed" | "changed";
  before?: unknown;
  now?: unknown;
}

/** The first differences in the order of what is there now, so many at the most. */
export function differences(before: unknown, now: unknown, most = 200): Difference[] {
  const found: Difference[] = [];
  walk(before, now, "", found, most);
  return found;
}

function walk(before: unknown, now: unknown, path: string, found: Difference[], most: number): void {
  if (found.length >= most || before === now || isSameNumber(before, now)) return;
  if (!isBranch(before) || !isBranch(now) || Array.isArray(before) !== Array.isArray(now)) {
    found.push({ path, kind: "changed", before, now });
    return;
  }
  for (const [name, value] of Object.entries(now)) {
    if (found.length >= most) return;
    if (Object.hasOwn(before, name)) walk((before as Record<string, unknown>)[name], value, below(path, name, now), found, most);
    else found.push({ path: below(path, name, now), kind: "added", now: value });
  }
  for (const [name, value] of Object.entries(before)) {
    if (found.length >= most) return;
    if (!Object.hasOwn(now, name)) found.push({ path: below(path, name, before), kind: "removed", before: value });
  }
}

function below(path: string, name: string, within: object): string {
  if (Array.isArray(within)) return `${path}[${name}]`;
  return path ? `${path}.${name}` : name;
}

function isSameNumber(before: unknown, now: unknown): boolean {
  return before instanceof Exact && now instanceof Exact && before.text === now.text;
}

function isBranch(value: unknown): value is object {
  return value !== null && typeof value === "object" && !(value instanceof Exact);
}
