/** The runs that were asked for so far, page by page; the one that is looked at is asked for again. */

import type { Run } from "../api/ask";

export interface Page {
  cursor?: string;
  runs: readonly Run[];
  nextCursor?: string;
}

/**
 * The pages with this one in its place. Where the first page holds none any more of what it held, runs came in faster
 * than it was asked for: what lies between is unknown, and the list begins anew.
 */
export function withPage(pages: readonly Page[], page: Page): readonly Page[] {
  const at = pages.findIndex((each) => each.cursor === page.cursor);
  if (at < 0) return [...pages, page];
  const cut = at === 0 && pages.length > 1 && !overlaps(pages[0]!, page);
  // Of the first page only what is new is taken, so that where the second begins stays true.
  return cut ? [page] : pages.map((each, n) => (n === at ? renewed(each, page, at === 0 && pages.length > 1) : each));
}

export function allRuns(pages: readonly Page[]): Run[] {
  const seen = new Set<string>();
  return pages.flatMap((page) => page.runs.filter((run) => !seen.has(run.runId) && seen.add(run.runId)));
}

/** The page on which the run of this number lies. */
export function pageOf(pages: readonly Page[], index: number): Page | undefined {
  let left = index;
  return pages.find((page) => (left -= page.runs.length) < 0) ?? pages.at(-1);
}

function renewed(old: Page, fresh: Page, keeps: boolean): Page {
  if (!keeps) return fresh;
  const oldest = fresh.runs.at(-1)?.createdAtUs ?? Infinity;
  const known = new Set(fresh.runs.map((run) => run.runId));
  // What is younger and no longer told has left the filter, or is gone.
  const left = fresh.nextCursor ? old.runs.filter((run) => !known.has(run.runId) && run.createdAtUs <= oldest) : [];
  return { ...old, runs: [...fresh.runs, ...left] };
}

function overlaps(old: Page, fresh: Page): boolean {
  const known = new Set(old.runs.map((run) => run.runId));
  return !old.runs.length || fresh.runs.some((run) => known.has(run.runId));
}
