/** The runs that a filter passes: what is looked at is asked for every two seconds, all else once. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useMemo, useRef, useState } from "react";
import { get, type Run, type Schemas } from "../api/ask";
import { allRuns, pageOf, withPage, type Page } from "../model/paging";
import { nowUs } from "../ui/now";
import { asked, STATUSES, type Filter, type Status } from "./filter";

const PAGE = 100;
export const LIVE_MS = 2_000;
const COUNT_MS = 30_000;

export function useRuns(filter: Filter) {
  const name = JSON.stringify({ ...filter, id: "" });
  const since = useMemo(() => asked(filter, nowUs()), [name]);
  const held = useRef<{ name: string; pages: readonly Page[] }>({ name, pages: [] });
  const [looked, setLooked] = useState(0);
  const [busy, setBusy] = useState(false);
  const queries = useQueryClient();
  if (held.current.name !== name) held.current = { name, pages: [] };

  const fetched = useCallback(async (cursor: string | undefined, signal?: AbortSignal) => {
    const found = await get<{ runs: Run[]; nextCursor?: string }>("/api/runs", { ...since, limit: PAGE, cursor }, signal);
    if (held.current.name === name) held.current = { name, pages: withPage(held.current.pages, { cursor, ...found }) };
    return held.current.pages;
  }, [name, since]);

  const query = useQuery({
    queryKey: ["runs", name],
    queryFn: ({ signal }) => fetched(pageOf(held.current.pages, looked)?.cursor, signal),
    refetchInterval: LIVE_MS,
  });
  const pages = held.current.pages;
  const last = pages.at(-1);

  const more = useCallback(async () => {
    if (busy || !last?.nextCursor) return;
    setBusy(true);
    try {
      queries.setQueryData(["runs", name], await fetched(last.nextCursor));
    } finally {
      setBusy(false);
    }
  }, [busy, last, fetched, queries, name]);

  const runs = useMemo(() => allRuns(pages).filter((run) => run.runId.includes(filter.id.trim())), [pages, filter.id]);
  return { query, runs, more, busy, hasMore: Boolean(last?.nextCursor), look: setLooked };
}

export type Totals = Partial<Record<Status, { total: number; isExact: boolean }>>;

/** How many runs are in each state, by the rest of the filter: one look, which is dearer than a page, so it is seldom done. */
export function useTotals(filter: Filter) {
  const rest = { ...filter, status: [], id: "" };
  return useQuery({
    queryKey: ["totals", JSON.stringify(rest)],
    queryFn: async ({ signal }): Promise<Totals> => {
      const { byStatus = {}, byStatusIsExact = true } = await get<Schemas["RunPart"]>("/api/runs", { ...asked(rest, nowUs()), limit: 1, byStatus: true }, signal);
      return Object.fromEntries(STATUSES.map((status) => [status, { total: byStatus[status] ?? 0, isExact: byStatusIsExact }]));
    },
    refetchInterval: COUNT_MS,
    placeholderData: (before) => before,
  });
}
