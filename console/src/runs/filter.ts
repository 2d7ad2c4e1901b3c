/** Which runs are shown, as the address says it. */

export const STATUSES = ["pending", "running", "completed", "failed", "cancelled"] as const;
export type Status = (typeof STATUSES)[number];

/** How far back, by the word in the address. */
export const RANGES: Record<string, { words: string; us: number }> = {
  "15m": { words: "15 minutes", us: 900_000_000 },
  "1h": { words: "hour", us: 3_600_000_000 },
  "24h": { words: "24 hours", us: 86_400_000_000 },
  "7d": { words: "7 days", us: 604_800_000_000 },
  "30d": { words: "30 days", us: 2_592_000_000_000 },
};

export interface Filter {
  workflow: string;
  status: Status[];
  tags: string[];
  since: string;
  /** From when to when, instead of `since`; microseconds, the end excluded. */
  from?: number;
  until?: number;
  id: string;
}

export function filterOf(search: string): Filter {
  const query = new URLSearchParams(search);
  const since = query.get("since") ?? "";
  const [from, until] = [wholeOf(query.get("from")), wholeOf(query.get("until"))];
  return {
    workflow: query.get("workflow") ?? "",
    status: query.getAll("status").filter((each): each is Status => STATUSES.includes(each as Status)),
    tags: query.getAll("tag").filter(Boolean),
    since: Object.hasOwn(RANGES, since) && from === undefined ? since : "",
    ...(from === undefined ? {} : { from }),
    ...(until === undefined ? {} : { until }),
    id: query.get("id") ?? "",
  };
}

function wholeOf(text: string | null): number | undefined {
  return text && /^\d{1,16}$/.test(text) ? Number(text) : undefined;
}

/** What the API is asked for. A range begins at a full minute, so that pages of it are the same list. */
export function asked(filter: Filter, nowUs: number) {
  const range = RANGES[filter.since];
  return {
    workflow: filter.workflow || undefined,
    status: filter.status,
    tag: filter.tags,
    createdAfterUs: filter.from === undefined ? range && Math.floor((nowUs - range.us) / 60_000_000) * 60_000_000 : Math.max(0, filter.from - 1),
    createdBeforeUs: filter.until,
  };
}

/** The same, as the actions on many take it. */
export function askedOfMany(filter: Filter, nowUs: number) {
  const { workflow, status, tag, ...times } = asked(filter, nowUs);
  return { workflowSlug: workflow, status: status.length ? status : undefined, tags: tag.length ? tag : undefined, ...times };
}

export function isNarrow(filter: Filter): boolean {
  return Boolean(filter.workflow || filter.status.length || filter.tags.length || filter.since || filter.id) || filter.from !== undefined || filter.until !== undefined;
}
