/** All runs, newest first: looked for, looked at, and put right many at a time. */

import { useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState, type RefObject } from "react";
import { go, goWith, useQueryText, within } from "../address";
import { get, type Run, type Workflow } from "../api/ask";
import { ago, duration, instant, toTheMinute } from "../model/format";
import { visible } from "../model/text";
import { useMayAct } from "../ui/about";
import { useKeys } from "../ui/keys";
import { nowUs, useNow } from "../ui/now";
import { Empty, Failure, Loading } from "../ui/parts";
import { Shape, Sign, type State } from "../ui/signs";
import { filterOf, isNarrow, RANGES, STATUSES, type Filter } from "./filter";
import { useRuns, useTotals } from "./list";
import { Many, type Verb } from "./many";

export function RunsPage() {
  const where = useQueryText();
  const filter = useMemo(() => filterOf(where), [where]);
  const list = useRuns(filter);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [verb, setVerb] = useState<Verb | null>(null);
  const search = useRef<HTMLInputElement>(null);
  useKeys({ "/": () => search.current?.focus() });
  useEffect(() => {
    document.title = "Runs · cascade";
  }, []);
  const picked = useMemo(() => list.runs.filter((run) => chosen.has(run.runId)), [list.runs, chosen]);
  return (
    <section className="page runs-page">
      <h1>Runs</h1>
      <Totals filter={filter} />
      <Filters filter={filter} search={search} />
      {picked.length > 0 && <ActionBar count={picked.length} act={setVerb} clear={() => setChosen(new Set())} />}
      {list.query.error && <Failure what="The runs can't be read." error={list.query.error} again={() => void list.query.refetch()} />}
      {list.query.isPending ? <Loading what="Reading the runs" />
        : list.runs.length || list.hasMore ? <Table list={list} chosen={chosen} choose={setChosen} />
        : !list.query.error && <Nothing filter={filter} />}
      {verb && <Many verb={verb} runs={picked} filter={filter} close={() => setVerb(null)} done={() => (setChosen(new Set()), void list.query.refetch())} />}
    </section>
  );
}

function Totals({ filter }: { filter: Filter }) {
  const totals = useTotals(filter);
  const toggled = (status: string) =>
    filter.status.some((each) => each === status) ? filter.status.filter((each) => each !== status) : [...filter.status, status];
  return (
    <div className="totals" role="group" aria-label="By status">
      {STATUSES.map((status) => {
        const found = totals.data?.[status];
        return (
          <button key={status} type="button" aria-pressed={filter.status.includes(status)} className={`total is-${status}`}
            onClick={() => goWith({ status: toggled(status) })}>
            <Shape state={status} />
            <span className="total-number">{found ? `${found.total.toLocaleString("en")}${found.isExact ? "" : "+"}` : "–"}</span>
            <span>{status}</span>
          </button>
        );
      })}
    </div>
  );
}

function Filters({ filter, search }: { filter: Filter; search: RefObject<HTMLInputElement | null> }) {
  const workflows = useQuery({ queryKey: ["workflows"], queryFn: () => get<{ workflows: Workflow[] }>("/api/workflows"), staleTime: 30_000 });
  const [tag, setTag] = useState("");
  const known = workflows.data?.workflows.map((each) => each.workflowSlug) ?? [];
  const slugs = filter.workflow && !known.includes(filter.workflow) ? [filter.workflow, ...known] : known;
  const addTag = () => {
    if (tag.trim()) goWith({ tag: [...new Set([...filter.tags, tag.trim()])] });
    setTag("");
  };
  return (
    <form className="filters" role="search" onSubmit={(event) => (event.preventDefault(), addTag())}>
      <label><span>Workflow</span>
        <select value={filter.workflow} onChange={(event) => goWith({ workflow: event.target.value })}>
          <option value="">all</option>
          {slugs.map((slug) => <option key={slug} value={slug}>{visible(slug)}</option>)}
        </select>
      </label>
      <label><span>Submitted within</span>
        <select value={filter.since} onChange={(event) => goWith({ since: event.target.value, from: "", until: "" })}>
          <option value="">any time</option>
          {Object.entries(RANGES).map(([word, range]) => <option key={word} value={word}>{range.words}</option>)}
        </select>
      </label>
      <label><span>Tag</span>
        <input value={tag} onChange={(event) => setTag(event.target.value)} onBlur={addTag} placeholder="add a tag" size={12} />
      </label>
      <label className="grows"><span>Id</span>
        <input ref={search} type="search" value={filter.id} placeholder="text of a run's id  ( / )" spellCheck={false}
          onChange={(event) => goWith({ id: event.target.value }, { replace: true })}
          onKeyDown={(event) => event.key === "Enter" && filter.id.length > 8 && go(`/runs/${encodeURIComponent(filter.id.trim())}`)} />
      </label>
      <div className="chips">
        {(filter.from !== undefined || filter.until !== undefined) && (
          <button type="button" className="chip" title="Take this time away" aria-label={`Submitted ${stretchOf(filter)}: take away`}
            onClick={() => goWith({ from: "", until: "" })}>submitted {stretchOf(filter)} <span aria-hidden="true">✕</span></button>
        )}
        {filter.tags.map((each) => (
          <button key={each} type="button" className="chip" title="Take this tag away" aria-label={`Tag ${each}: take away`}
            onClick={() => goWith({ tag: filter.tags.filter((other) => other !== each) })}>{visible(each)} <span aria-hidden="true">✕</span></button>
        ))}
        {isNarrow(filter) && <button type="button" className="plain" onClick={() => go("/runs")}>Clear all filters</button>}
      </div>
    </form>
  );
}

function stretchOf({ from, until }: Filter): string {
  const told = (us: number) => toTheMinute(us, nowUs());
  return [from !== undefined && `from ${told(from)}`, until !== undefined && `until ${told(until)}`].filter(Boolean).join(" ");
}

function ActionBar({ count, act, clear }: { count: number; act: (verb: Verb) => void; clear: () => void }) {
  const may = useMayAct();
  return (
    <div className="action-bar" role="region" aria-label="Selected runs">
      <strong>{count.toLocaleString("en")} selected</strong>
      <button type="button" disabled={!may} onClick={() => act("cancel")}>Cancel…</button>
      <button type="button" disabled={!may} onClick={() => act("retry")}>Retry…</button>
      <button type="button" className="plain" onClick={clear}>Select none</button>
    </div>
  );
}

function Nothing({ filter }: { filter: Filter }) {
  if (isNarrow(filter))
    return <Empty title="No run passes this filter"><p><button type="button" onClick={() => go("/runs")}>Clear all filters</button></p></Empty>;
  return <Empty title="There are no runs yet"><p>Submit one: <code>cascade run WORKFLOW</code>, or see the <a {...within("/workflows")}>workflows</a>.</p></Empty>;
}

interface TableProps {
  list: ReturnType<typeof useRuns>;
  chosen: ReadonlySet<string>;
  choose: (chosen: ReadonlySet<string>) => void;
}

const ROW = 44;
const NARROW_ROW = 76;

function Table({ list, chosen, choose }: TableProps) {
  const { runs, more, hasMore, busy, look } = list;
  const box = useRef<HTMLDivElement>(null);
  const now = useNow(5_000);
  const [at, setAt] = useState(-1);
  const anchor = useRef(-1);
  const isSmall = useMedia("(max-width: 760px)");
  const rows = useVirtualizer({
    count: runs.length + (hasMore ? 1 : 0),
    getScrollElement: () => box.current,
    estimateSize: () => (isSmall ? NARROW_ROW : ROW),
    overscan: 12,
  });
  const items = rows.getVirtualItems();
  const [first, last] = [rows.range?.startIndex ?? 0, items.at(-1)?.index ?? 0];
  useEffect(() => rows.measure(), [isSmall, rows]);
  useEffect(() => look(first), [first, look]);
  useEffect(() => {
    if (hasMore && !busy && last >= runs.length - 20) void more();
  }, [hasMore, busy, last, runs.length, more]);

  const move = (by: number) => {
    const next = Math.max(0, Math.min(runs.length - 1, at + by));
    setAt(next);
    rows.scrollToIndex(next);
    requestAnimationFrame(() => box.current?.querySelector<HTMLElement>(`[data-row="${next}"] a`)?.focus());
  };
  const toggle = (index: number, reach: boolean) => {
    const to = new Set(chosen);
    const [start, end] = reach && anchor.current >= 0 ? [Math.min(anchor.current, index), Math.max(anchor.current, index)] : [index, index];
    const on = !chosen.has(runs[index]!.runId);
    for (const run of runs.slice(start, end + 1)) on ? to.add(run.runId) : to.delete(run.runId);
    anchor.current = index;
    choose(to);
  };
  const all = runs.length > 0 && runs.every((run) => chosen.has(run.runId));
  useKeys({
    j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1),
    x: () => runs[at] && toggle(at, false),
  });
  return (
    <div className="table" role="table" aria-label="Runs" aria-rowcount={hasMore ? -1 : runs.length + 1}>
      <div role="row" className="row head" aria-rowindex={1}>
        <span role="columnheader" className="cell-check"><input type="checkbox" aria-label="Select all that are shown" checked={all}
          onChange={() => choose(new Set(all ? [] : runs.map((run) => run.runId)))} /></span>
        {["Status", "Run", "Workflow", "Tags", "Submitted", "Duration"].map((name) => <span key={name} role="columnheader">{name}</span>)}
      </div>
      <div className="rows" ref={box} role="rowgroup" tabIndex={-1}>
        <div className="rows-all" role="presentation" style={{ height: rows.getTotalSize() }}>
          {items.map((item) => {
            const run = runs[item.index];
            const style = { transform: `translateY(${item.start}px)`, height: item.size };
            if (!run) return <div key="more" className="row more" role="row" style={style}><span role="cell" className="loading">{busy ? "Reading more…" : ""}</span></div>;
            return <Row key={run.runId} run={run} index={item.index} style={style} now={now} chosen={chosen.has(run.runId)}
              toggle={(reach) => toggle(item.index, reach)} focused={() => setAt(item.index)} />;
          })}
        </div>
      </div>
    </div>
  );
}

interface RowProps {
  run: Run;
  index: number;
  style: { transform: string; height: number };
  now: number;
  chosen: boolean;
  toggle: (reach: boolean) => void;
  focused: () => void;
}

function Row({ run, index, style, now, chosen, toggle, focused }: RowProps) {
  const tags = run.tags ?? [];
  return (
    <div role="row" className={`row ${chosen ? "is-chosen" : ""}`} style={style} data-row={index} aria-rowindex={index + 2} aria-selected={chosen} onFocus={focused}>
      <span role="cell" className="cell-check"><input type="checkbox" checked={chosen} aria-label={`Select run ${run.runId}`}
        onClick={(event) => toggle(event.shiftKey)} onChange={() => undefined} /></span>
      <span role="cell" className="cell-status"><Sign state={run.status as State} /></span>
      <span role="cell" className="cell-id"><a className="id" {...within(`/runs/${encodeURIComponent(run.runId)}`)}>{visible(run.runId)}</a></span>
      <span role="cell" className="cell-workflow">{visible(run.workflowSlug)}</span>
      <span role="cell" className="cell-tags">
        {tags.slice(0, 3).map((tag) => <button key={tag} type="button" className="chip" title="Only runs with this tag" onClick={() => goWith({ tag: [tag] })}>{visible(tag)}</button>)}
        {tags.length > 3 && <span className="dim">+{tags.length - 3}</span>}
      </span>
      <span role="cell" className="cell-time" title={instant(run.createdAtUs)}>{ago(run.createdAtUs, now)}</span>
      <span role="cell" className="cell-duration">{took(run)}{(run.workflowAttemptNumber ?? 1) > 1 && <span className="badge" title="How often the run was tried">try {run.workflowAttemptNumber}</span>}</span>
    </div>
  );
}

function took(run: Run): string {
  if (run.startedAtUs === undefined) return "";
  return duration((run.endedAtUs ?? nowUs()) - run.startedAtUs);
}

function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const changed = () => setMatches(media.matches);
    media.addEventListener("change", changed);
    return () => media.removeEventListener("change", changed);
  }, [query]);
  return matches;
}
