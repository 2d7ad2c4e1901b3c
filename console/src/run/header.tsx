/** What a run is, at a glance: where it stands, for how long, by which code, for how much, and where it came from. */

import { useMemo, useState } from "react";
import { goWith, within } from "../address";
import type { RunEvent } from "../api/ask";
import { costOf, dollars, type Post } from "../model/cost";
import { placeOf, type Place } from "../model/family";
import { ago, duration, instant } from "../model/format";
import { visible } from "../model/text";
import { lanes } from "../model/timeline";
import { useMayAct } from "../ui/about";
import { useNow } from "../ui/now";
import { Copy, Dialog } from "../ui/parts";
import { Sign, type State } from "../ui/signs";
import { isOver, useEngine, useVersion, type RunWithSteps } from "./data";

interface HeaderProps {
  run: RunWithSteps;
  events: readonly RunEvent[];
  retry: () => void;
  cancel: () => void;
}

export function Header({ run, events, retry, cancel }: HeaderProps) {
  const { runId, workflowSlug, status, createdAtUs, startedAtUs, endedAtUs, tags, workflowAttemptNumber } = run.run;
  const over = isOver(status);
  const now = useNow(1_000, !over);
  const may = useMayAct();
  const place = placeOf(runId);
  return (
    <header className="run-head">
      <div className="run-title">
        <p className="crumbs"><a {...within("/runs")}>Runs</a> <span aria-hidden="true">/</span> <a {...within(`/runs?workflow=${encodeURIComponent(workflowSlug)}`)}>{visible(workflowSlug)}</a></p>
        <h1><bdi className="id">{visible(runId)}</bdi> <Copy text={() => runId} /></h1>
      </div>
      <div className="run-actions">
        {place ? null : over && status !== "completed"
          ? <button type="button" className="primary" disabled={!may} onClick={retry}>Retry…</button>
          : !over && <button type="button" disabled={!may} onClick={cancel}>Cancel…</button>}
      </div>
      <dl className="run-facts">
        <div><dt>status</dt><dd><Sign state={status as State} /></dd></div>
        <div><dt>duration</dt><dd>{startedAtUs === undefined ? "not started" : duration((endedAtUs ?? now) - startedAtUs)}</dd></div>
        <div><dt>submitted</dt><dd title={ago(createdAtUs, now)}>{instant(createdAtUs).slice(0, 19)}</dd></div>
        <div><dt>version</dt><dd><Version slug={workflowSlug} versionId={run.versionId} /></dd></div>
        {(workflowAttemptNumber ?? 1) > 1 && <div><dt>try</dt><dd>{workflowAttemptNumber}</dd></div>}
        <Cost run={run} events={events} nowUs={now} />
        {place && <Belongs place={place} />}
        <Origin events={events} />
        <Undo run={run} />
        {run.cancelReason && <div><dt>cancelled because</dt><dd>{visible(run.cancelReason)}</dd></div>}
        {tags?.length ? <div><dt>tags</dt><dd>{tags.map((tag) => <a key={tag} className="chip" {...within(`/runs?tag=${encodeURIComponent(tag)}`)}>{visible(tag)}</a>)}</dd></div> : null}
      </dl>
    </header>
  );
}

/** Of a run that does a part of another's work: whose, and which. */
function Belongs({ place }: { place: Place }) {
  const there = `/runs/${encodeURIComponent(place.parentId)}?step=${encodeURIComponent(place.stepId)}`;
  return <div><dt>does number {place.number} of</dt><dd><a {...within(there)}>{visible(place.stepId)}</a> in <bdi className="id">{visible(place.parentId)}</bdi> <span className="dim">(stopped and retried there)</span></dd></div>;
}

function Undo({ run }: { run: RunWithSteps }) {
  const { undoes, undoneBy } = run.run;
  const link = (id: string) => <a className="id" {...within(`/runs/${encodeURIComponent(id)}`)}>{visible(id)}</a>;
  return (
    <>
      {undoes && <div><dt>undoes</dt><dd>{link(undoes)}</dd></div>}
      {undoneBy && <div><dt>undone by</dt><dd>{link(undoneBy)}{run.undoStatus && <> <Sign state={run.undoStatus} /></>}</dd></div>}
    </>
  );
}

/** The run that this one repeats or takes up, and what differs from it. */
function Origin({ events }: { events: readonly RunEvent[] }) {
  const event = events.find((each) => each.type === "WorkflowRerunFromStep" || each.type === "WorkflowResumed");
  if (event?.type !== "WorkflowRerunFromStep" && event?.type !== "WorkflowResumed") return null;
  const id = event.type === "WorkflowResumed" ? event.originalRunId : event.parentRunId;
  return (
    <div>
      <dt>{event.type === "WorkflowResumed" ? "resumes" : "reruns"}</dt>
      <dd>
        <a className="id" {...within(`/runs/${encodeURIComponent(id)}`)}>{visible(id)}</a>{event.type === "WorkflowRerunFromStep" && <> from {visible(event.rerunFromStepId)}</>}{" "}
        <button type="button" className="small" onClick={() => goWith({ compare: id })}>Compare</button>
      </dd>
    </div>
  );
}

function Version({ slug, versionId }: { slug: string; versionId: string }) {
  const git = useVersion(slug, versionId).data?.git;
  return <><code title={versionId}>{visible(versionId.replace(/^sha256:/, "")).slice(0, 10)}</code>{git && <span className="dim" title={`branch ${git.branch}`}> commit {visible(git.commit).slice(0, 8)}{git.dirty && " + changes"}</span>}</>;
}

/** By list prices; while it goes on, so far. */
function Cost({ run, events, nowUs }: { run: RunWithSteps; events: readonly RunEvent[]; nowUs: number }) {
  const engine = useEngine().data;
  const [open, setOpen] = useState(false);
  const all = useMemo(() => lanes(events, run.steps), [events, run.steps]);
  if (!engine?.workerMemoryMb || !events.length) return null;
  const posts = costOf(all, run.steps, { memoryMb: engine.workerMemoryMb, heartbeatUs: engine.heartbeatUs }, nowUs);
  const sum = posts.reduce((total, post) => total + post.dollars, 0);
  return (
    <div>
      <dt>cost{!isOver(run.run.status) && " so far"}</dt>
      <dd><button type="button" className="link" onClick={() => setOpen(true)}>about {dollars(sum)}</button></dd>
      {open && <Dialog title={`About ${dollars(sum)}`} close={() => setOpen(false)} wide><Posts posts={posts} /></Dialog>}
    </div>
  );
}

function Posts({ posts }: { posts: readonly Post[] }) {
  return (
    <div>
      <div className="scrolls"><table className="plain-table">
        <thead><tr><th scope="col">for</th><th scope="col">how much</th><th scope="col">dollars</th></tr></thead>
        <tbody>{posts.map((post) => <tr key={post.what}><th scope="row">{post.what}</th><td>{post.unit === "times" ? post.number.toLocaleString("en") : `${post.number.toFixed(3)} GB-s`}</td><td>{dollars(post.dollars)}</td></tr>)}</tbody>
      </table></div>
      <p className="dim">AWS's list prices (us-east-1, autumn 2026, arm64, on demand, no free tier), by what docs/costs.md counts for each thing that happened. Not in it: runs of its maps and sub-workflows, large outputs, logs, and what your steps call.</p>
    </div>
  );
}
