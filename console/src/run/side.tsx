/** One step, opened: its attempts with their errors, what it was given and gave, and what it wrote. */

import { useState } from "react";
import { type AttemptOfStep, type StepFiles, type StepOfRun } from "../api/ask";
import { ago, bytes, duration, instant, timeOfDay } from "../model/format";
import { visible } from "../model/text";
import { traceLines } from "../model/traceback";
import { useMayAct } from "../ui/about";
import { JsonView } from "../ui/json";
import { useNow } from "../ui/now";
import { Copy, Failure, Loading, Tabs } from "../ui/parts";
import { Sign, type State } from "../ui/signs";
import { useStep } from "./data";
import { Items } from "./items";
import { Logs } from "./logs";
import { EventState, isAwaited } from "./send";

interface SideProps {
  runId: string;
  step: StepOfRun;
  live: boolean;
  close: () => void;
  rerun: () => void;
  send: () => void;
  /** Of a run that does another's step nothing is done by itself. */
  isChild: boolean;
}

export function Side({ runId, step, live, close, rerun, send, isChild }: SideProps) {
  const query = useStep(runId, step);
  const may = useMayAct();
  const [tab, setTab] = useState(step.status === "completed" ? "output" : step.children ? "items" : "attempts");
  const runs = step.status === "running" || step.status === "scheduled";
  const found = query.data;
  const tabs = [
    ...(step.children ? [{ id: "items", label: step.children.kind === "map" ? "Items" : "Run" }] : []),
    { id: "attempts", label: "Attempts", count: found?.attempts.length },
    { id: "logs", label: "Log" },
    { id: "input", label: "Input" },
    { id: "output", label: "Output" },
  ];
  return (
    <aside className="side" aria-label={`Step ${step.stepId}`}>
      <header>
        <div>
          <h2><bdi>{visible(step.stepId)}</bdi></h2>
          <StateLine step={step} />
        </div>
        <button type="button" className="plain icon" aria-label="Close the step" onClick={close}>✕</button>
        <p className="side-actions">
          {live && isAwaited(step) && <button type="button" className="small primary" disabled={!may} onClick={send}>Send…</button>}
          {!isChild && <button type="button" className="small" disabled={!may} onClick={rerun}>Rerun from here…</button>}
        </p>
      </header>
      <Tabs tabs={tabs} chosen={tab} choose={setTab} label="About the step" panel="about-step" />
      <div className="side-body" id="about-step" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === "items" ? <Items runId={runId} step={step} live={live} />
          : tab === "logs" ? <Logs runId={runId} stepId={step.stepId} live={live && runs} />
          : query.error && !found ? <Failure what="The step can't be read." error={query.error} again={() => void query.refetch()} />
          : !found ? <Loading what="Reading the step" />
          : tab === "attempts" ? <Attempts step={found} />
          : tab === "input" ? <Input step={found} />
          : <Output step={found} />}
      </div>
    </aside>
  );
}

function StateLine({ step }: { step: StepOfRun }) {
  const now = useNow(1_000, step.status === "running" || step.status === "scheduled");
  const later = step.availableAtUs !== undefined && step.status === "scheduled" && step.availableAtUs > now;
  return (
    <p className="facts-line">
      <Sign state={step.status as State} />
      {step.status === "running" && step.startedAtUs !== undefined && <span>for {duration(now - step.startedAtUs)}</span>}
      {later && <span>attempt {step.attemptNumber} begins {ago(step.availableAtUs!, now)}</span>}
      {step.durationUs !== undefined && step.status !== "running" && <span>{duration(step.durationUs)}</span>}
      {step.event && <EventState step={step} />}
      {step.executor && <span className="badge" title="Workers of this pool run it">pool {visible(step.executor)}</span>}
      {step.laters !== undefined && !step.children && <span>not ready {step.laters === 1 ? "once" : `${step.laters} times`}{step.laterReason && `: ${visible(step.laterReason)}`}</span>}
      {step.skipReason && <span>{visible(step.skipReason)}</span>}
    </p>
  );
}

function Attempts({ step }: { step: StepFiles }) {
  if (!step.attempts.length && step.event)
    return <p className="dim pad">It has no code of its own: the run goes on with what is sent{step.event.waits ? "." : `, once it gets here${step.dependencies.length ? `, after ${step.dependencies.map(visible).join(", ")}` : ""}.`}</p>;
  if (!step.attempts.length)
    return <p className="dim pad">{step.dependencies.length && step.status === "pending" ? `It waits for ${step.dependencies.map(visible).join(", ")}.` : "Nobody has begun it yet."}</p>;
  return (
    <ol className="attempts">
      {[...step.attempts].reverse().map((attempt) => <Attempt key={`${attempt.attemptNumber}/${attempt.startedAtUs}`} attempt={attempt} most={step.maxAttempts} />)}
    </ol>
  );
}

function Attempt({ attempt, most }: { attempt: AttemptOfStep; most: number }) {
  const usage = attempt.resourceUsage;
  return (
    <li>
      <h3>Attempt {attempt.attemptNumber}{most > 1 && <span className="dim"> of {most} at most</span>} <Sign state={attempt.status} /></h3>
      <dl className="facts">
        <div><dt>began</dt><dd title={instant(attempt.startedAtUs)}>{timeOfDay(attempt.startedAtUs)}</dd></div>
        {attempt.durationUs !== undefined && <div><dt>took</dt><dd>{duration(attempt.durationUs)}</dd></div>}
        <div className="is-long"><dt>worker</dt><dd><code>{visible(attempt.workerId)}</code></dd></div>
        {usage && <div><dt>memory</dt><dd>{bytes(usage.peakMemoryBytes)}</dd></div>}
        {usage && <div><dt>CPU</dt><dd>{duration(usage.cpuTimeTotalUs)}</dd></div>}
        {attempt.reclaimedBy && <div className="is-long"><dt>reclaimed by</dt><dd><code>{visible(attempt.reclaimedBy)}</code></dd></div>}
        {attempt.laterReason && <div className="is-long"><dt>not ready</dt><dd>{visible(attempt.laterReason)}</dd></div>}
        {attempt.failureReason && <div><dt>reason</dt><dd>{attempt.failureReason.replace("-", " ")}</dd></div>}
        {attempt.nextRetryAtUs !== undefined && <div><dt>next attempt</dt><dd>{timeOfDay(attempt.nextRetryAtUs)}</dd></div>}
      </dl>
      {attempt.error && <ErrorView error={attempt.error} />}
    </li>
  );
}

export function ErrorView({ error }: { error: { name?: string; message: string; stack?: string } }) {
  const stack = error.stack ?? "";
  return (
    <div className="error">
      <p className="error-line"><strong>{visible(error.name ?? "Error")}</strong> <bdi>{visible(error.message.slice(0, 4_000))}</bdi></p>
      {stack && (
        <details open>
          <summary>Traceback</summary>
          <Copy text={() => stack} />
          <pre tabIndex={0} aria-label="Traceback">{traceLines(stack).map((line, n) => <span key={n} className={line.own ? "own" : "foreign"}>{visible(line.text)}{"\n"}</span>)}</pre>
        </details>
      )}
    </div>
  );
}

function Input({ step }: { step: StepFiles }) {
  const given = step.input;
  const outputs = Object.entries(given?.outputs ?? {});
  if (!given || (given.input == null && !outputs.length)) return <p className="dim pad">It is given nothing, or what it waits for isn't there yet.</p>;
  return (
    <>
      {given.input != null && <section><h3>The run's input</h3><JsonView value={given.input} name={`${step.stepId}-input`} /></section>}
      {outputs.map(([from, value]) => <section key={from}><h3>From <bdi>{visible(from)}</bdi></h3><JsonView value={value} name={from} /></section>)}
      {given.leftOut?.length ? <p className="dim">Too large to be shown here: {given.leftOut.map(visible).join(", ")}.</p> : null}
    </>
  );
}

function Output({ step }: { step: StepFiles }) {
  if (step.status === "completed" && step.output != null) return <JsonView value={step.output} name={step.stepId} />;
  return <p className="dim pad">{step.status === "completed" ? "It has returned nothing." : step.status === "skipped" ? "It was skipped, and gave nothing." : "It has given nothing yet."}</p>;
}
