/** One run: what happened, what it waits for, and what can be done. */

import { useEffect, useState } from "react";
import { goWith, useQueryText, within } from "../address";
import { Problem, type Finding, type RunEvent, type StepOfRun } from "../api/ask";
import { ago, duration, instant } from "../model/format";
import { visible } from "../model/text";
import { useMayAct } from "../ui/about";
import { JsonView } from "../ui/json";
import { useKeys } from "../ui/keys";
import { nowUs, useNow } from "../ui/now";
import { Copy, Empty, Failure, Loading, Tabs } from "../ui/parts";
import { Sign, type State } from "../ui/signs";
import { CancelOrRetry, Rerun } from "./actions";
import { isOver, useDiagnosis, useEvents, usePayloads, useRun, useVersion, type RunWithSteps } from "./data";
import { Events } from "./events";
import { Graph } from "./graph";
import { Send } from "./send";
import { ErrorView, Side } from "./side";
import { Timeline } from "./timeline";

type Action = { verb: "cancel" } | { verb: "retry" } | { verb: "rerun"; from: string } | { verb: "send"; event: string };

export function RunPage({ runId }: { runId: string }) {
  const query = useRun(runId);
  const run = query.data;
  useEffect(() => {
    document.title = `${run ? `${run.run.status} · ${run.run.workflowSlug}` : "Run"} · cascade`;
  }, [run]);
  if (!run && query.error) {
    if (query.error instanceof Problem && query.error.status === 404)
      return <Empty title="There is no such run"><p><code>{visible(runId)}</code>: it may have been deleted.</p><p><a {...within("/runs")}>See the runs</a></p></Empty>;
    return <Failure what="The run can't be read." error={query.error} again={() => void query.refetch()} />;
  }
  if (!run) return <Loading what="Reading the run" />;
  return <Shown run={run} problem={query.error} again={() => void query.refetch()} />;
}

function Shown({ run, problem, again }: { run: RunWithSteps; problem: Error | null; again: () => void }) {
  const id = run.run.runId;
  const search = new URLSearchParams(useQueryText());
  const step = run.steps.find((each) => each.stepId === search.get("step"));
  const choose = (stepId: string | null) => goWith({ step: stepId === step?.stepId ? null : stepId });
  const [action, setAction] = useState<Action | null>(null);
  const events = useEvents(id, run, false);
  const over = isOver(run.run.status);
  useKeys(step ? { Escape: () => choose(null) } : {});
  return (
    <section className={`page run-page ${step ? "has-side" : ""}`}>
      <div className="run-main">
        <Header run={run} events={events.data ?? []} act={setAction} />
        {problem && <Failure what="This may be old: the run can't be read just now." error={problem} again={again} />}
        <Standing run={run} choose={choose} send={(event) => setAction({ verb: "send", event })} />
        {run.error && <FailedRun run={run} choose={choose} />}
        <div className="pictures">
          <section className="panel" aria-labelledby="graph-title"><h2 id="graph-title">Graph</h2><Graph steps={run.steps} chosen={step?.stepId ?? null} choose={choose} words={wordsFor} /></section>
          <section className="panel" aria-labelledby="timeline-title">
            <h2 id="timeline-title">Timeline</h2>
            {events.error && !events.data ? <Failure what="The events can't be read." error={events.error} again={() => void events.refetch()} />
              : !events.data ? <Loading what="Reading the events" />
              : <Timeline events={events.data} startUs={run.run.startedAtUs ?? run.run.createdAtUs} endUs={over ? (run.run.endedAtUs ?? nowUs()) : undefined} chosen={step?.stepId ?? null} choose={choose} />}
          </section>
        </div>
        <Below run={run} step={step?.stepId ?? null} />
      </div>
      {step && <Side key={step.stepId} runId={id} step={step} live={!over} close={() => choose(null)} rerun={() => setAction({ verb: "rerun", from: step.stepId })} send={() => setAction({ verb: "send", event: step.stepId })} />}
      {action && <ActionDialog run={run} action={action} close={() => setAction(null)} />}
    </section>
  );
}

function ActionDialog({ run, action, close }: { run: RunWithSteps; action: Action; close: () => void }) {
  if (action.verb === "rerun") return <Rerun run={run} from={action.from} close={close} />;
  if (action.verb === "send") return <Send run={run} event={action.event} close={close} />;
  return <CancelOrRetry verb={action.verb} run={run} close={close} />;
}

/** What the graph says of a step beside its shape. */
function wordsFor(step: StepOfRun): string {
  if (step.event?.waits) return "waits to be sent";
  if (step.event?.sentAtUs !== undefined && step.status === "pending") return "sent early";
  if (step.status === "scheduled" && step.availableAtUs !== undefined && step.availableAtUs > nowUs())
    return step.laters !== undefined ? "not ready, asked again" : step.scheduleReason === "retry" ? "retry pause" : "not yet due";
  if (step.durationUs !== undefined && step.status === "completed") return duration(step.durationUs);
  return step.status;
}

function Header({ run, events, act }: { run: RunWithSteps; events: readonly RunEvent[]; act: (action: Action) => void }) {
  const { runId, workflowSlug, status, createdAtUs, startedAtUs, endedAtUs, tags, workflowAttemptNumber } = run.run;
  const over = isOver(status);
  const now = useNow(1_000, !over);
  const may = useMayAct();
  const parent = events.find((event) => event.type === "WorkflowRerunFromStep" || event.type === "WorkflowResumed");
  return (
    <header className="run-head">
      <div className="run-title">
        <p className="crumbs"><a {...within("/runs")}>Runs</a> <span aria-hidden="true">/</span> <a {...within(`/runs?workflow=${encodeURIComponent(workflowSlug)}`)}>{visible(workflowSlug)}</a></p>
        <h1><bdi className="id">{visible(runId)}</bdi> <Copy text={() => runId} /></h1>
      </div>
      <div className="run-actions">
        {over && status !== "completed"
          ? <button type="button" className="primary" disabled={!may} onClick={() => act({ verb: "retry" })}>Retry…</button>
          : !over && <button type="button" disabled={!may} onClick={() => act({ verb: "cancel" })}>Cancel…</button>}
      </div>
      <dl className="run-facts">
        <div><dt>status</dt><dd><Sign state={status as State} /></dd></div>
        <div><dt>duration</dt><dd>{startedAtUs === undefined ? "not started" : duration((endedAtUs ?? now) - startedAtUs)}</dd></div>
        <div><dt>submitted</dt><dd title={ago(createdAtUs, now)}>{instant(createdAtUs).slice(0, 19)}</dd></div>
        <div><dt>version</dt><dd><Version slug={workflowSlug} versionId={run.versionId} /></dd></div>
        {(workflowAttemptNumber ?? 1) > 1 && <div><dt>try</dt><dd>{workflowAttemptNumber}</dd></div>}
        {parent && <div><dt>{parent.type === "WorkflowResumed" ? "resumes" : "reruns"}</dt><dd><Parent event={parent} /></dd></div>}
        {run.cancelReason && <div><dt>cancelled because</dt><dd>{visible(run.cancelReason)}</dd></div>}
        {tags?.length ? <div><dt>tags</dt><dd>{tags.map((tag) => <a key={tag} className="chip" {...within(`/runs?tag=${encodeURIComponent(tag)}`)}>{visible(tag)}</a>)}</dd></div> : null}
      </dl>
    </header>
  );
}

function Parent({ event }: { event: Extract<RunEvent, { type: "WorkflowRerunFromStep" | "WorkflowResumed" }> }) {
  const id = event.type === "WorkflowResumed" ? event.originalRunId : event.parentRunId;
  return <><a className="id" {...within(`/runs/${encodeURIComponent(id)}`)}>{visible(id)}</a>{event.type === "WorkflowRerunFromStep" && <> from {visible(event.rerunFromStepId)}</>}</>;
}

function Version({ slug, versionId }: { slug: string; versionId: string }) {
  const found = useVersion(slug, versionId);
  const git = found.data?.git;
  return <><code title={versionId}>{visible(versionId.replace(/^sha256:/, "")).slice(0, 10)}</code>{git && <span className="dim" title={`branch ${git.branch}`}> commit {visible(git.commit).slice(0, 8)}{git.dirty && " + changes"}</span>}</>;
}

/** The sentence of `doctor`: why the run stands where it stands. */
function Standing({ run, choose, send }: { run: RunWithSteps; choose: (step: string) => void; send: (event: string) => void }) {
  const found = useDiagnosis(run.run.runId, run);
  if (isOver(run.run.status) || !found.data) return null;
  const told = [...found.data.findings, ...found.data.engine].filter((each) => each.severity !== "well");
  const awaited = new Set(run.steps.filter((each) => each.event?.waits).map((each) => each.stepId));
  return <>{told.map((each) => <FindingLine key={each.code + (each.stepId ?? "")} finding={each} choose={choose} send={each.stepId && awaited.has(each.stepId) ? send : undefined} />)}</>;
}

const SEVERITIES = { well: "is as it should be", waits: "waits", late: "late", stuck: "stuck" };

export function FindingLine({ finding, choose, send }: { finding: Finding; choose?: (step: string) => void; send?: (event: string) => void }) {
  const may = useMayAct();
  return (
    <div className={`notice is-${finding.severity}`} role="status">
      <div>
        <strong>{SEVERITIES[finding.severity]}</strong>
        <p>{visible(finding.sentence)}</p>
        {finding.cure && <p className="cure">→ {visible(finding.cure)}</p>}
      </div>
      {finding.stepId && (choose || send) && (
        <span className="notice-actions">
          {choose && <button type="button" className="small" onClick={() => choose(finding.stepId!)}>See {visible(finding.stepId)}</button>}
          {send && <button type="button" className="small primary" disabled={!may} onClick={() => send(finding.stepId!)}>Send…</button>}
        </span>
      )}
    </div>
  );
}

function FailedRun({ run, choose }: { run: RunWithSteps; choose: (step: string) => void }) {
  const error = run.error!;
  const failed = run.steps.find((each) => each.stepId === error.failedStep);
  return (
    <div className="notice is-bad">
      <div>
        <strong>The run failed{error.failedStep ? ` in ${visible(error.failedStep)}` : ""}</strong>
        {failed ? <p><bdi>{visible(`${error.name ? `${error.name}: ` : ""}${error.message}`.slice(0, 600))}</bdi></p> : <ErrorView error={error} />}
      </div>
      {failed && <button type="button" className="small" onClick={() => choose(failed.stepId)}>See the step</button>}
    </div>
  );
}

function Below({ run, step }: { run: RunWithSteps; step: string | null }) {
  const [tab, setTab] = useState("events");
  const tabs = [{ id: "events", label: "Events" }, { id: "run-input", label: "Input" }, { id: "run-output", label: "Output" }];
  return (
    <section className="panel" aria-label="More about the run">
      <Tabs tabs={tabs} chosen={tab} choose={setTab} label="More about the run" />
      <div className="below-body" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === "events" ? <Events run={run} step={step} /> : <Payload run={run} which={tab === "run-input" ? "input" : "output"} />}
      </div>
    </section>
  );
}

function Payload({ run, which }: { run: RunWithSteps; which: "input" | "output" }) {
  const found = usePayloads(run.run.runId, run);
  if (found.error) return <Failure what={`The ${which} can't be read.`} error={found.error} again={() => void found.refetch()} />;
  if (!found.data) return <Loading what={`Reading the ${which}`} />;
  const value = which === "input" ? found.data.run.input : found.data.output;
  if (value == null) return <p className="dim pad">{which === "input" ? "The run was given no input." : isOver(run.run.status) ? "The run has no output: none of its steps is declared with export=True." : "There is no output yet."}</p>;
  return <JsonView value={value} name={`${run.run.runId}-${which}`} />;
}
