/** What its steps share with others: who has a place, and who waits for one. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { within } from "../address";
import { get, part, type Schemas } from "../api/ask";
import { ago, chosen, count } from "../model/format";
import { visible } from "../model/text";
import { nowUs } from "../ui/now";
import { Failure, Loading } from "../ui/parts";

/** How many of a workflow's runs go on at once. */
export function limitOfRuns({ atMost, key, skips }: Schemas["LimitOfRuns"]): string {
  const more = skips ? "a submission meanwhile is answered with one of them" : "more wait";
  return `${count(atMost, "run")} at once${key ? ` for each ${visible(key)}` : ""}: ${more}`;
}

const EVERY_MS = 5_000;
const MOST = 8;
type Named = Schemas["NamedLimit"];

export function LimitsOf({ slug }: { slug: string }) {
  const found = useQuery({ queryKey: ["limits"], staleTime: 60_000, queryFn: ({ signal }) => get<Schemas["Limits"]>("/api/limits", {}, signal) });
  const mine = found.data?.limits.filter((each) => each.steps[slug]);
  if (!found.error && !mine?.length) return null;
  return (
    <section className="panel" aria-labelledby="limits-title">
      <h2 id="limits-title">Limits</h2>
      {found.error && <Failure what="The limits can't be read." error={found.error} again={() => void found.refetch()} />}
      <ul className="limits">{mine?.map((each) => <OneLimit key={each.name} limit={each} slug={slug} />)}</ul>
    </section>
  );
}

function OneLimit({ limit, slug }: { limit: Named; slug: string }) {
  const [value, setValue] = useState("");
  const asks = limit.key === undefined || value !== "";
  const found = useQuery({
    queryKey: ["limit", limit.name, value], enabled: asks, refetchInterval: EVERY_MS,
    queryFn: ({ signal }) => get<Schemas["LimitDetails"]>(`/api/limits/${part(limit.name)}`, { key: limit.key === undefined ? undefined : value }, signal),
  });
  const others = Object.keys(limit.steps).filter((each) => each !== slug);
  return (
    <li>
      <div>
        <h3>{visible(limit.name)}</h3>
        <p className="dim">{limit.atMost} {limit.perUs === undefined ? "at once" : `in ${chosen(limit.perUs)}`}, for {limit.steps[slug]!.map(visible).join(", ")}{others.length > 0 && <> and {others.map((each, n) => <span key={each}>{n > 0 && ", "}<a {...within(`/workflows/${encodeURIComponent(each)}`)}>{visible(each)}</a></span>)}</>}</p>
        {limit.key && <label className="field"><span>Each value of <code>{visible(limit.key)}</code> by itself: look at</span><input value={value} placeholder="a value" onChange={(event) => setValue(event.target.value)} /></label>}
      </div>
      {found.error ? <Failure what="It can't be read." error={found.error} again={() => void found.refetch()} />
        : found.data ? <Standing found={found.data} />
        : asks && <Loading what="Looking" />}
    </li>
  );
}

function Standing({ found }: { found: Schemas["LimitDetails"] }) {
  if (found.perUs !== undefined) return <p className="limit-now">{found.nextFreeUs === undefined || found.nextFreeUs <= nowUs() ? "the next may start at once" : `the next starts ${ago(found.nextFreeUs, nowUs())}`}</p>;
  const { holders, waiters, atMost } = found;
  return (
    <div className="limit-now">
      <p><meter min={0} max={atMost} value={holders.length} aria-label="Places taken" /> <b>{holders.length}</b> of {atMost} taken, {waiters.length ? <b>{waiters.length} wait</b> : "nobody waits"}</p>
      <ul className="workers">
        {holders.slice(0, MOST).map((each) => <li key={`${each.runId} ${each.stepId}`}><Place of={each} /><span className="dim">since {ago(each.sinceUs, nowUs()).replace(/ ago$/, "")}</span></li>)}
        {waiters.slice(0, MOST).map((each, n) => <li key={`${each.runId} ${each.stepId}`}><Place of={each} /><span className="dim">waits, {n === 0 ? "next" : `${n} before it`}</span></li>)}
      </ul>
    </div>
  );
}

function Place({ of }: { of: { runId: string; stepId: string } }) {
  return <a className="id" {...within(`/runs/${encodeURIComponent(of.runId)}${of.stepId ? `?step=${encodeURIComponent(of.stepId)}` : ""}`)}>{visible(of.runId)}{of.stepId && `/${visible(of.stepId)}`}</a>;
}
