/** One run: what happened, what it waits for, and what can be done. */

import { useEffect, useState } from "react";
import { goWith, useQueryText, within } from "../address";
import { Problem, type StepOfRun } from "../api/ask";
import { placeOf, progressOf } from "../model/family";
import { duration } from "../model/format";
import { visible } from "../model/text";
import { JsonView } from "../ui/json";
import { useKeys } from "../ui/keys";
import { nowUs } from "../ui/now";
import { Empty, Failure, Loading, Tabs } from "../ui/parts";
import { CancelOrRetry, Rerun } from "./actions";
import { Comparison } from "./compare";
import { isOver, useEvents, usePayloads, useRun, type RunWithSteps } from "./data";
import { Events } from "./events";
import { Graph } from "./graph";
import { Header } from "./header";
import { Send } from "./send";
import { ErrorView, Side } from "./side";
import { Standing } from "./standing";
import { Timeline } from "./timeline";

type Action = { verb: "cancel" } | { verb: "retry" } | { verb: "rerun"; from: string } | { verb: "send"; event: string };

export function RunPage({ runId }: { runId: string }) {
  const query = useRun(runId);
  const run = query.data;
  const events = useEvents(runId, run, false);
  useEffect(() => {
    document.title = `${run ? `${run.run.status} · ${run.run.workflowSlug}` : "Run"} · cascade`;
  }, [run]);
  if (!run && query.error) {
    if (query.error instanceof Problem && query.error.status === 404)
      return <Empty title="There is no such run"><p><code>{visible(runId)}</code>: it may have been deleted.</p><p><a {...within("/runs")}>See the runs</a></p></Empty>;
    return <Failure what="The run can't be read." error={query.error} again={() => void query.refetch()} />;
  }
  if (!run) return <Loading what="Reading the run" />;
  return <Shown run={run} events={events} problem={query.error} again={() => void query.refetch()} />;
}

interface ShownProps {
  run: RunWithSteps;
  events: ReturnType<typeof useEvents>;
  problem: Error | null;
  again: () => void;
}

function Shown({ run, events, problem, again }: ShownProps) {
  const id = run.run.runId;
  const search = new URLSearchParams(useQueryText());
  const step = run.steps.find((each) => each.stepId === search.get("step"));
  const choose = (stepId: string | null) => goWith({ step: stepId === step?.stepId ? null : stepId });
  const other = search.get("compare");
  const [action, setAction] = useState<Action | null>(null);
  const over = isOver(run.run.status);
  useKeys(step ? { Escape: () => choose(null) } : {});
  return (
    <section className={`page run-page ${step ? "has-side" : ""}`}>
      <div className="run-main">
        <Header run={run} events={events.data ?? []} retry={() => setAction({ verb: "retry" })} cancel={() => setAction({ verb: "cancel" })} />
        {problem && <Failure what="This may be old: the run can't be read just now." error={problem} again={again} />}
        <Standing run={run} choose={choose} send={(event) => setAction({ verb: "send", event })} />
        {other && other !== id && <Comparison run={run} with={other} events={events.data ?? []} />}
        {run.error && <FailedRun run={run} choose={choose} />}
        <div className="pictures">
          <section className="panel" aria-labelledby="graph-title"><h2 id="graph-title">Graph</h2><Graph steps={run.steps} chosen={step?.stepId ?? null} choose={choose} words={wordsFor} /></section>
          <section className="panel" aria-labelledby="timeline-title">
            <h2 id="timeline-title">Timeline</h2>
            {events.error && !events.data ? <Failure what="The events can't be read." error={events.error} again={() => void events.refetch()} />
              : !events.data ? <Loading what="Reading the events" />
              : <Timeline events={events.data} steps={run.steps} startUs={run.run.startedAtUs ?? run.run.createdAtUs} endUs={over ? (run.run.endedAtUs ?? nowUs()) : undefined} chosen={step?.stepId ?? null} choose={choose} />}
          </section>
        </div>
        <Below run={run} step={step?.stepId ?? null} />
      </div>
      {step && <Side key={step.stepId} runId={id} step={step} live={!over} close={() => choose(null)} rerun={() => setAction({ verb: "rerun", from: step.stepId })} send={() => setAction({ verb: "send", event: step.stepId })} isChild={placeOf(id) !== null} />}
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
  const progress = progressOf(step);
  if (progress) return progress;
  if (step.event?.waits) return "waits to be sent";
  if (step.event?.sentAtUs !== undefined && step.status === "pending") return "sent early";
  if (step.status === "scheduled" && step.availableAtUs !== undefined && step.availableAtUs > nowUs())
    return step.laters !== undefined ? "not ready, asked again" : step.scheduleReason === "retry" ? "retry pause" : "not yet due";
  if (step.durationUs !== undefined && step.status === "completed") return duration(step.durationUs);
  return step.status;
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
      <Tabs tabs={tabs} chosen={tab} choose={setTab} label="More about the run" panel="about-run" />
      <div className="below-body" id="about-run" role="tabpanel" aria-labelledby={`tab-${tab}`}>
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
