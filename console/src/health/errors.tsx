/** What failed, by what it says: how often, since when, in which runs, and one of the tracebacks. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { within } from "../address";
import { get, type Schemas } from "../api/ask";
import { ago, count, instant } from "../model/format";
import { shortened, visible } from "../model/text";
import { traceLines } from "../model/traceback";
import { nowUs } from "../ui/now";
import { Copy, Empty, Failure, Loading } from "../ui/parts";
import { askedFor, everyMs, runsOf, type Scope } from "./range";

const FEW = 20;
type Group = Schemas["ErrorGroup"];

export function Errors({ scope }: { scope: Scope }) {
  const found = useQuery({
    queryKey: ["errors", scope], refetchInterval: everyMs(scope), placeholderData: keepPreviousData,
    queryFn: ({ signal }) => get<Schemas["ErrorPage"]>("/api/analytics/errors", { ...askedFor(scope), limit: FEW }, signal),
  });
  const groups = found.data?.errors;
  return (
    <section className="panel" aria-labelledby="errors-title">
      <h2 id="errors-title">Errors{found.data && found.data.total > 0 && <span className="count">{found.data.total}</span>}</h2>
      {found.error ? <Failure what="The errors can't be read." error={found.error} again={() => void found.refetch()} />
        : !groups ? <Loading what="Reading the errors" />
        : !groups.length ? <Empty title="Nothing has failed in this time" />
        : <ul className="error-groups">{groups.map((group) => <OneError key={group.fingerprint} group={group} scope={scope} />)}</ul>}
      {found.data && found.data.total > FEW && <p className="pad dim">The {FEW} most frequent of {found.data.total}; all of them: <code>cascade errors</code></p>}
    </section>
  );
}

function OneError({ group, scope }: { group: Group; scope: Scope }) {
  const [open, setOpen] = useState(false);
  const now = nowUs();
  return (
    <li>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <span className="error-count">{group.count.toLocaleString("en")}×</span>
          <span className="error-what"><strong>{visible(group.errorName)}</strong> {visible(shortened(group.errorMessage, 160))}</span>
          <span className="error-when dim">{count(group.affectedRuns, "run")} · <span title={instant(group.firstSeenUs)}>first {ago(group.firstSeenUs, now)}</span>, <span title={instant(group.lastSeenUs)}>last {ago(group.lastSeenUs, now)}</span></span>
        </summary>
        {open && <Detail group={group} scope={scope} />}
      </details>
    </li>
  );
}

/** Read where somebody opens it: each is a look at the whole range. */
function Detail({ group, scope }: { group: Group; scope: Scope }) {
  const detail = useQuery({
    queryKey: ["error", group.fingerprint, group.count, scope], staleTime: 60_000,
    queryFn: ({ signal }) => get<Schemas["ErrorDetail"]>(`/api/analytics/errors/${encodeURIComponent(group.fingerprint)}`, { startUs: askedFor(scope).startUs, endUs: askedFor(scope).endUs, limit: 100 }, signal),
  });
  return (
    <div className="error-detail">
      <section>
        <h3>Where</h3>
        {detail.error ? <Failure what="The runs can't be read." error={detail.error} again={() => void detail.refetch()} />
          : !detail.data ? <Loading what="Looking for its runs" />
          : <Places found={detail.data} scope={scope} />}
      </section>
      <section>
        <h3>A sample <Copy text={() => group.sampleStack} /></h3>
        <pre tabIndex={0} aria-label="A sample of its traceback">{traceLines(shortened(group.sampleStack, 8_000)).map((line, n) => <span key={n} className={line.own ? "own" : "foreign"}>{visible(line.text)}{"\n"}</span>)}</pre>
      </section>
    </div>
  );
}

const MOST = 12;

function Places({ found, scope }: { found: Schemas["ErrorDetail"]; scope: Scope }) {
  const newest = new Map(found.occurrences.map((each) => [`${each.runId} ${each.stepId}`, each] as const).reverse());
  const places = [...newest.values()].sort((one, other) => other.timestampUs - one.timestampUs);
  const [slug] = new Set(places.map((each) => each.workflowSlug));
  return (
    <>
      <ul className="occurrences">{places.slice(0, MOST).map((each) => (
        <li key={`${each.runId} ${each.stepId}`}><a className="id" {...within(`/runs/${encodeURIComponent(each.runId)}?step=${encodeURIComponent(each.stepId)}`)}>{visible(each.runId)}</a>
          <span className="dim">{visible(each.workflowSlug)} / {visible(each.stepId)}, attempt {each.attemptNumber}, {ago(each.timestampUs, nowUs())}</span></li>
      ))}</ul>
      {found.affectedRuns > MOST && <p className="dim">{count(found.affectedRuns, "run")} in all. <a {...within(runsOf({ ...scope, workflow: slug ?? "" }, { status: "failed" }))}>See what failed</a></p>}
    </>
  );
}
