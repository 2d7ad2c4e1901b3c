/** What stands still, waits, works and was given up at this moment. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { within } from "../address";
import { get, post, type Finding, type Schemas } from "../api/ask";
import { ago, count } from "../model/format";
import { shortened, visible } from "../model/text";
import { FindingLine, Worded } from "../run/standing";
import { useMayAct } from "../ui/about";
import { nowUs } from "../ui/now";
import { Dialog, Empty, Failure, Loading } from "../ui/parts";
import { NOW_MS, type Summary } from "./range";

const MOST = 8;
const isBad = (finding: Finding) => finding.severity === "late" || finding.severity === "stuck";

export function Standing() {
  const found = useQuery({
    queryKey: ["diagnosis"], refetchInterval: NOW_MS,
    queryFn: ({ signal }) => get<Schemas["DiagnosisPart"]>("/api/diagnosis", {}, signal),
  });
  if (found.error) return <Failure what="What is late can't be told." error={found.error} again={() => void found.refetch()} />;
  if (!found.data) return null;
  const engine = found.data.engine.filter((each) => isBad(each) || each.code.startsWith("reaper"));
  const late = found.data.runs.flatMap((run) => run.findings.filter(isBad).slice(0, 1).map((worst) => ({ runId: run.runId, worst })));
  return (
    <>
      {engine.map((each) => <FindingLine key={each.code} finding={each} />)}
      {late.length > 0 && <Late runs={late} />}
      {!engine.some(isBad) && !late.length && <Well lookedAt={found.data.lookedAt} sweeps={!engine.length} />}
    </>
  );
}

function Late({ runs }: { runs: readonly { runId: string; worst: Finding }[] }) {
  const stuck = runs.filter((each) => each.worst.severity === "stuck").length;
  const words = [stuck && `${count(stuck, "run")} stuck`, runs.length > stuck && `${count(runs.length - stuck, "run")} late`];
  return (
    <div className={`notice is-${stuck ? "stuck" : "late"}`} role="status"><div>
      <strong>{words.filter(Boolean).join(", ")}</strong>
      <ul className="standing">{runs.slice(0, MOST).map(({ runId, worst }) => (
        <li key={runId}><a className="id" {...within(`/runs/${encodeURIComponent(runId)}`)}>{visible(runId)}</a> <Worded text={worst.sentence} /></li>
      ))}</ul>
      {runs.length > MOST && <p className="dim">and {runs.length - MOST} more: <code>cascade doctor</code> names all of them.</p>}
    </div></div>
  );
}

function Well({ lookedAt, sweeps }: { lookedAt: number; sweeps: boolean }) {
  const runs = lookedAt ? `${count(lookedAt, "run")} under way, none of them late or stuck.` : "No run is under way.";
  return <div className="notice is-well" role="status"><div><strong>all is well</strong><p>{runs}{sweeps && " The reaper sweeps on time."}</p></div></div>;
}

export function Depths() {
  const found = useQuery({ queryKey: ["depths"], refetchInterval: NOW_MS, queryFn: ({ signal }) => get<Schemas["Depths"]>("/api/analytics/queue-depth-by-workflow", {}, signal) });
  const waiting = found.data?.workflows.filter((each) => each.pendingRuns || each.scheduledSteps);
  return (
    <section className="panel" aria-labelledby="depth-title">
      <h2 id="depth-title">What waits</h2>
      {found.error ? <Failure what="What waits can't be read." error={found.error} again={() => void found.refetch()} />
        : !waiting ? <Loading what="Looking at what waits" />
        : !waiting.length ? <Empty title="Nothing waits for a worker" />
        : (
          <table className="plain-table is-numbers">
            <thead><tr><th scope="col">workflow</th><th scope="col">runs to start</th><th scope="col">steps</th><th scope="col">oldest</th></tr></thead>
            <tbody>{waiting.map((each) => (
              <tr key={each.workflowSlug}>
                <th scope="row"><a {...within(`/workflows/${encodeURIComponent(each.workflowSlug)}`)}>{visible(each.workflowSlug)}</a></th>
                <td><a {...within(`/runs?status=pending&workflow=${encodeURIComponent(each.workflowSlug)}`)}>{each.pendingRuns}</a></td>
                <td><a {...within(`/runs?status=running&workflow=${encodeURIComponent(each.workflowSlug)}`)}>{each.scheduledSteps}</a></td>
                <td>{each.oldestPendingItemUs === undefined ? "" : ago(each.oldestPendingItemUs, nowUs())}</td>
              </tr>
            ))}</tbody>
          </table>
        )}
    </section>
  );
}

export function Workers({ found }: { found: Summary | undefined }) {
  const workers = useQuery({ queryKey: ["workers"], refetchInterval: NOW_MS, queryFn: ({ signal }) => get<Schemas["WorkerPage"]>("/api/workers", { limit: 20 }, signal) });
  const lost = found?.workerStability.mostUnstableWorkers ?? [];
  return (
    <section className="panel" aria-labelledby="workers-title">
      <h2 id="workers-title">Workers{workers.data && workers.data.totalActiveWorkers > 0 && <span className="count">{workers.data.totalActiveWorkers}</span>}</h2>
      {workers.error ? <Failure what="The workers can't be read." error={workers.error} again={() => void workers.refetch()} />
        : !workers.data ? <Loading what="Looking for workers" />
        : !workers.data.workers.length ? <Empty title="Nobody is working"><p>Functions appear here while they run steps; a machine of your own with <code>cascade worker</code>.</p></Empty>
        : <ul className="workers">{workers.data.workers.map((each) => <OneWorker key={each.workerId} worker={each} />)}</ul>}
      {lost.length > 0 && <div className="pad"><h3>Fell silent in this time</h3><ul className="workers">{lost.map((each) => <li key={each.workerId}><code>{visible(shortened(each.workerId, 40))}</code><span className="dim">{count(each.reclamationCount, "step")} taken from it</span></li>)}</ul></div>}
    </section>
  );
}

function OneWorker({ worker }: { worker: Schemas["Worker"] }) {
  const [first, ...others] = worker.activeSteps;
  return (
    <li>
      <code>{visible(shortened(worker.workerId, 40))}</code>
      <span className="dim">
        {first ? <>at <a {...within(`/runs/${encodeURIComponent(first.runId)}?step=${encodeURIComponent(first.stepId)}`)}>{visible(first.stepId)}</a>{others.length > 0 && ` and ${others.length} more`}</> : "idle"}
        , seen {ago(worker.lastSeenUs, nowUs())}{worker.failedSteps > 0 && `, ${worker.failedSteps} failed`}
      </span>
    </li>
  );
}

export function DeadLetters() {
  const may = useMayAct();
  const [asks, setAsks] = useState(false);
  const found = useQuery({ queryKey: ["dead-letters"], refetchInterval: 4 * NOW_MS, queryFn: ({ signal }) => get<Schemas["DeadLetters"]>("/api/dead-letters", { limit: 10 }, signal) });
  const letters = found.data?.deadLetters ?? [];
  return (
    <section className="panel" aria-labelledby="dead-title">
      <div className="panel-line">
        <h2 id="dead-title">Dead letters{letters.length > 0 && <span className="count">{found.data!.approximateCount}</span>}</h2>
        {letters.length > 0 && <button type="button" disabled={!may} onClick={() => setAsks(true)}>Redrive…</button>}
      </div>
      {found.error ? <Failure what="The dead letters can't be read." error={found.error} again={() => void found.refetch()} />
        : !found.data ? <Loading what="Looking for dead letters" />
        : !letters.length ? <Empty title="There are no dead letters"><p>A message that no worker could take again and again lies here. No run waits for it: the reaper finds what was lost.</p></Empty>
        : <ul className="workers">{letters.map((each) => <li key={each.messageId}>{each.runId ? <a className="id" {...within(`/runs/${encodeURIComponent(each.runId)}${each.stepId ? `?step=${encodeURIComponent(each.stepId)}` : ""}`)}>{visible(each.runId)}</a> : <code>{visible(shortened(each.body, 80))}</code>}
            <span className="dim">{each.stepId && `${visible(each.stepId)}, attempt ${each.attemptNumber}, `}sent {ago(each.sentAtUs, nowUs())}, received {each.receiveCount}×</span></li>)}</ul>}
      {asks && <Redrive count={found.data?.approximateCount ?? letters.length} close={() => setAsks(false)} />}
    </section>
  );
}

const AT_ONCE = 100;

function Redrive({ count: lying, close }: { count: number; close: () => void }) {
  const queries = useQueryClient();
  const act = useMutation({
    mutationFn: () => post<Schemas["Redriven"]>("/api/dead-letters/redrive", { limit: AT_ONCE }),
    onSettled: () => queries.invalidateQueries({ queryKey: ["dead-letters"] }),
  });
  return (
    <Dialog title="Redrive dead letters" close={close}>
      <form onSubmit={(event) => (event.preventDefault(), act.mutate())}>
        {act.data
          ? <p role="status">{count(act.data.count, "message")} put back into the queue{act.data.remaining > 0 ? `, about ${act.data.remaining.toLocaleString("en")} left.` : ", none left."}</p>
          : <p>About {count(lying, "message")}, {AT_ONCE} at a time, go back into the queue; one may come twice, which does no harm. Mend what they failed at first, or they come back.</p>}
        {act.error && <Failure what="It was refused." error={act.error} />}
        <footer>
          <button type="button" onClick={close}>{act.data ? "Close" : "Leave them"}</button>
          {(!act.data || act.data.remaining > 0) && <button type="submit" className="primary" disabled={act.isPending}>{act.isPending ? "…" : act.data ? "Redrive more" : "Redrive"}</button>}
        </footer>
      </form>
    </Dialog>
  );
}
