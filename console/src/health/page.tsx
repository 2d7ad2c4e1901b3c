/** Whether work flows, is late, fails, and who is unstable; each number leads to the runs behind it. */

import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, type ReactNode } from "react";
import { goWith, useQueryText, within } from "../address";
import { get, type Finding, type Schemas } from "../api/ask";
import { ago, count, duration } from "../model/format";
import { shortened, visible } from "../model/text";
import { FindingLine } from "../run/standing";
import { filterOf, RANGES } from "../runs/filter";
import { nowUs } from "../ui/now";
import { Empty, Failure, Loading } from "../ui/parts";

const EVERY_MS = 15_000;

export function HealthPage() {
  const query = new URLSearchParams(useQueryText());
  const since = filterOf(query.toString()).since || "24h";
  const range = useMemo(() => ({ startUs: nowUs() - RANGES[since]!.us, endUs: nowUs() + 60_000_000 }), [since]);
  const summary = useQuery({
    queryKey: ["summary", since], refetchInterval: EVERY_MS,
    queryFn: ({ signal }) => get<Schemas["Summary"]>("/api/analytics/summary", { startUs: nowUs() - RANGES[since]!.us, endUs: nowUs() }, signal),
  });
  useEffect(() => {
    document.title = "Health · cascade";
  }, []);
  return (
    <section className="page health">
      <div className="title-line">
        <h1>Health</h1>
        <label className="inline"><span>The last</span>
          <select value={since} onChange={(event) => goWith({ since: event.target.value })}>
            {Object.entries(RANGES).map(([word, each]) => <option key={word} value={word}>{each.words}</option>)}
          </select>
        </label>
      </div>
      <Standing />
      {summary.error && <Failure what="The numbers can't be read." error={summary.error} again={() => void summary.refetch()} />}
      {summary.data ? <Numbers found={summary.data} since={since} /> : !summary.error && <Loading what="Counting" />}
      <Errors since={since} range={range} />
      <div className="pictures"><Workers /><DeadLetters /></div>
    </section>
  );
}

function Standing() {
  const found = useQuery({
    queryKey: ["diagnosis"], refetchInterval: EVERY_MS,
    queryFn: ({ signal }) => get<{ runs: { runId: string; findings: Finding[] }[]; engine: Finding[]; lookedAt: number }>("/api/diagnosis", {}, signal),
  });
  if (found.error) return <Failure what="What is late can't be told." error={found.error} again={() => void found.refetch()} />;
  if (!found.data) return null;
  const engine = found.data.engine.filter((each) => each.severity === "late" || each.severity === "stuck");
  const late = found.data.runs;
  return (
    <>
      {engine.map((each) => <FindingLine key={each.code} finding={each} />)}
      {late.slice(0, 8).map((run) => run.findings.filter((each) => each.severity === "late" || each.severity === "stuck").slice(0, 1).map((each) => (
        <div key={run.runId} className={`notice is-${each.severity}`}><div><strong>{each.severity}</strong><p><a className="id" {...within(`/runs/${encodeURIComponent(run.runId)}`)}>{visible(run.runId)}</a> {visible(each.sentence)}</p></div></div>
      )))}
      {!engine.length && !late.length && <div className="notice is-well"><div><strong>all is well</strong><p>{found.data.lookedAt ? `${count(found.data.lookedAt, "run")} under way, none of them late or stuck.` : "No run is under way."}</p></div></div>}
    </>
  );
}

function Numbers({ found, since }: { found: Schemas["Summary"]; since: string }) {
  const { successRate: rate, throughput: flow, queueDepth: depth, schedulingLatency: latency, workflowDuration: runs, stepDuration: steps, retryAnalysis: retries, workerStability: workers } = found;
  const behind = (status: string) => `/runs?status=${status}&since=${since}`;
  return (
    <div className="numbers">
      <Number title="success" value={rate.totalRuns ? `${(rate.successRate * 100).toFixed(rate.successRate === 1 ? 0 : 1)} %` : "–"} to={`/runs?since=${since}`}
        below={`${rate.successfulRuns} of ${count(rate.totalRuns, "run")}`} />
      <Number title="failed" value={String(rate.failedRuns)} to={behind("failed")} below={`${count(rate.failedSteps, "step")} failed`} bad={rate.failedRuns > 0} />
      <Number title="throughput" value={`${flow.runsPerHour.toFixed(flow.runsPerHour < 10 ? 1 : 0)} / h`} to={behind("completed")} below={`${count(flow.stepsCompleted, "step")} completed`} />
      <Number title="under way" value={String(depth.runningRuns)} to="/runs?status=running" below={`${count(depth.runningSteps, "step")} running`} />
      <Number title="waiting" value={String(depth.pendingRuns)} to="/runs?status=pending" below={`${count(depth.scheduledSteps, "step")} scheduled`} />
      <Number title="wait for a worker" value={latency.count ? duration(latency.medianUs) : "–"} below={latency.count ? `p95 ${duration(latency.p95Us)}, p99 ${duration(latency.p99Us)}` : ""} />
      <Number title="a run takes" value={runs.count ? duration(runs.medianUs) : "–"} below={runs.count ? `p95 ${duration(runs.p95Us)}, p99 ${duration(runs.p99Us)}` : ""} />
      <Number title="a step takes" value={steps.count ? duration(steps.medianUs) : "–"} below={steps.count ? `p95 ${duration(steps.p95Us)}, p99 ${duration(steps.p99Us)}` : ""} />
      <Number title="retries" value={String(retries.totalRetries)} below={`${retries.retriesSucceeded} helped`} />
      <Number title="reclaimed" value={String(workers.totalReclamations)} below={`of ${count(workers.uniqueWorkersWithReclamations, "worker")}`} bad={workers.totalReclamations > 0} />
    </div>
  );
}

function Number({ title, value, below, to, bad }: { title: string; value: string; below: string; to?: string; bad?: boolean }) {
  const inside: ReactNode = <><span className="number-title">{title}</span><span className="number-value">{value}</span><span className="number-below">{below}</span></>;
  return to ? <a className={`number ${bad ? "is-bad" : ""}`} {...within(to)}>{inside}</a> : <div className={`number ${bad ? "is-bad" : ""}`}>{inside}</div>;
}

function Errors({ since, range }: { since: string; range: { startUs: number; endUs: number } }) {
  const found = useQuery({
    queryKey: ["errors", since], refetchInterval: EVERY_MS,
    queryFn: ({ signal }) => get<Schemas["ErrorPage"]>("/api/analytics/errors", { ...range, limit: 20 }, signal),
  });
  return (
    <section className="panel" aria-labelledby="errors-title">
      <h2 id="errors-title">Errors</h2>
      {found.error ? <Failure what="The errors can't be read." error={found.error} again={() => void found.refetch()} />
        : !found.data ? <Loading what="Reading the errors" />
        : !found.data.errors.length ? <Empty title="Nothing has failed in this time" />
        : <ul className="error-groups">{found.data.errors.map((each) => <ErrorGroup key={each.fingerprint} group={each} range={range} />)}</ul>}
    </section>
  );
}

function ErrorGroup({ group, range }: { group: Schemas["ErrorGroup"]; range: { startUs: number; endUs: number } }) {
  const detail = useQuery({
    queryKey: ["error", group.fingerprint, group.count],
    queryFn: ({ signal }) => get<Schemas["ErrorDetail"]>(`/api/analytics/errors/${encodeURIComponent(group.fingerprint)}`, { ...range, limit: 5 }, signal),
    staleTime: 60_000,
  });
  return (
    <li>
      <details>
        <summary>
          <span className="error-count">{group.count}×</span>
          <span className="error-what"><strong>{visible(group.errorName)}</strong> {visible(shortened(group.errorMessage, 160))}</span>
          <span className="dim">{count(group.affectedRuns, "run")}, last {ago(group.lastSeenUs, nowUs())}</span>
        </summary>
        <p className="dim">first seen {ago(group.firstSeenUs, nowUs())}</p>
        {detail.data && <ul className="occurrences">{detail.data.occurrences.map((each) => (
          <li key={each.runId + each.stepId + each.attemptNumber}><a className="id" {...within(`/runs/${encodeURIComponent(each.runId)}?step=${encodeURIComponent(each.stepId)}`)}>{visible(each.runId)}</a> {visible(each.workflowSlug)} / {visible(each.stepId)}, attempt {each.attemptNumber}</li>
        ))}</ul>}
        <pre tabIndex={0} aria-label="A sample of its traceback">{visible(shortened(group.sampleStack, 6_000))}</pre>
      </details>
    </li>
  );
}

function Workers() {
  const found = useQuery({ queryKey: ["workers"], refetchInterval: EVERY_MS, queryFn: ({ signal }) => get<Schemas["WorkerPage"]>("/api/workers", { limit: 20 }, signal) });
  return (
    <section className="panel" aria-labelledby="workers-title">
      <h2 id="workers-title">Workers</h2>
      {found.error ? <Failure what="The workers can't be read." error={found.error} again={() => void found.refetch()} />
        : !found.data ? <Loading what="Looking for workers" />
        : !found.data.workers.length ? <Empty title="Nobody is working"><p>Functions appear here while they run steps.</p></Empty>
        : <ul className="workers">{found.data.workers.map((each) => <li key={each.workerId}><code>{visible(shortened(each.workerId, 48))}</code> <span className="dim">{count(each.currentlyRunningSteps, "step")}, seen {ago(each.lastSeenUs, nowUs())}</span></li>)}</ul>}
    </section>
  );
}

function DeadLetters() {
  const found = useQuery({ queryKey: ["dead-letters"], refetchInterval: 4 * EVERY_MS, queryFn: ({ signal }) => get<Schemas["DeadLetters"]>("/api/dead-letters", { limit: 10 }, signal) });
  return (
    <section className="panel" aria-labelledby="dead-title">
      <h2 id="dead-title">Dead letters</h2>
      {found.error ? <Failure what="The dead letters can't be read." error={found.error} again={() => void found.refetch()} />
        : !found.data ? <Loading what="Looking for dead letters" />
        : !found.data.deadLetters.length ? <Empty title="There are no dead letters" />
        : <><p>About {count(found.data.approximateCount, "message")}; once their cause is mended: <code>cascade dead-letters redrive</code></p>
            <ul className="workers">{found.data.deadLetters.map((each) => <li key={each.messageId}>{each.runId ? <a className="id" {...within(`/runs/${encodeURIComponent(each.runId)}`)}>{visible(each.runId)}</a> : <code>{visible(shortened(each.body, 80))}</code>} <span className="dim">sent {ago(each.sentAtUs, nowUs())}</span></li>)}</ul></>}
    </section>
  );
}
