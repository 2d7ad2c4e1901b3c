/** What the numbers of health are about, as the address says it, and how often they are asked for. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useQueryText } from "../address";
import { get, type Schemas } from "../api/ask";
import { filterOf, RANGES } from "../runs/filter";
import { nowUs } from "../ui/now";

export const INTERVALS = 48;
export const NOW_MS = 15_000;

export interface Scope {
  since: string;
  workflow: string;
}

export function useScope(): Scope {
  const { since, workflow } = filterOf(useQueryText());
  return { since: since || "24h", workflow };
}

/** Longer ranges are dearer to read, and change less. */
export function everyMs(scope: Scope): number {
  return RANGES[scope.since]!.us > 3_600_000_000 ? 60_000 : NOW_MS;
}

/** What the API is asked for: the range that ends now. */
export function askedFor({ since, workflow }: Scope) {
  const now = nowUs();
  return { startUs: now - RANGES[since]!.us, endUs: now, workflow: workflow || undefined };
}

export type Summary = Schemas["Summary"];

/** All numbers of the range, from one reading of it. */
export function useSummary(scope: Scope) {
  return useQuery({
    queryKey: ["summary", scope], refetchInterval: everyMs(scope), placeholderData: keepPreviousData,
    queryFn: ({ signal }) => get<Summary>("/api/analytics/summary", { ...askedFor(scope), byStep: true, intervals: INTERVALS }, signal),
  });
}

/** The runs that a number is about. */
export function runsOf({ since, workflow }: Scope, more: Record<string, string | number> = {}): string {
  const range = "from" in more ? {} : { since };
  const query = new URLSearchParams(Object.entries({ ...range, workflow, ...more }).filter(([, value]) => value !== "").map(([name, value]) => [name, String(value)]));
  return `/runs?${query}`;
}
