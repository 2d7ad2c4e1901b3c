/** One workflow: what it is, how it is built, when it runs, what it shares, how it changed; and a form to run it with. */

import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { goWith, useQueryText, within } from "../address";
import { get, part, type Schemas, type StepOfRun } from "../api/ask";
import { chosen } from "../model/format";
import { paragraphs } from "../model/prose";
import { visible } from "../model/text";
import { Graph } from "../run/graph";
import { useKeys } from "../ui/keys";
import { Failure, Loading } from "../ui/parts";
import { limitOfRuns, LimitsOf } from "./limits";
import { RunIt } from "./run-it";
import { SchedulesOf } from "./schedules";
import { Versions } from "./versions";

type Details = Schemas["WorkflowDetails"];

export function WorkflowPage({ slug }: { slug: string }) {
  const found = useQuery({ queryKey: ["workflow", slug], queryFn: ({ signal }) => get<Details>(`/api/workflows/${part(slug)}`, {}, signal) });
  useEffect(() => {
    document.title = `${slug} · cascade`;
  }, [slug]);
  useKeys({ r: () => document.querySelector<HTMLElement>("#run-it :is(input, textarea, select, button)")?.focus() });
  const workflow = found.data;
  if (found.error) return <Failure what="The workflow can't be read." error={found.error} again={() => void found.refetch()} />;
  if (!workflow) return <Loading what="Reading the workflow" />;
  return (
    <section className="page">
      <Head workflow={workflow} />
      <div className="pictures is-uneven">
        <Picture workflow={workflow} />
        <section className="panel" id="run-it" aria-labelledby="form-title"><h2 id="form-title">Run it</h2><RunIt key={workflow.versionId} workflow={workflow} /></section>
      </div>
      <SchedulesOf slug={slug} />
      <LimitsOf slug={slug} />
      <Versions workflow={workflow} />
    </section>
  );
}

function Head({ workflow }: { workflow: Details }) {
  const slug = encodeURIComponent(workflow.workflowSlug);
  return (
    <header className="workflow-head">
      <p className="crumbs"><a {...within("/workflows")}>Workflows</a></p>
      <h1><bdi>{visible(workflow.name)}</bdi></h1>
      {workflow.retiredAtUs !== undefined && <div className="notice is-late"><div><strong>retired</strong><p>The deployment no longer has it: it takes no runs, and its history stays.</p></div></div>}
      <p className="dim facts-line">
        <code>{visible(workflow.workflowSlug)}</code>
        {workflow.location && <span>{visible(workflow.location)}</span>}
        {workflow.timeoutUs !== undefined && <span>a run may take {chosen(workflow.timeoutUs)}</span>}
        {workflow.runLimit && <span>{limitOfRuns(workflow.runLimit)}</span>}
        <a {...within(`/runs?workflow=${slug}`)}>its runs</a><a {...within(`/health?workflow=${slug}`)}>its health</a>
      </p>
      {workflow.description && <Prose text={workflow.description} />}
    </header>
  );
}

function Prose({ text }: { text: string }) {
  return <div className="prose">{paragraphs(text).map((each, n) => (each.isDrawn ? <pre key={n} tabIndex={0} aria-label="As its author drew it">{visible(each.text)}</pre> : <p key={n}>{visible(each.text)}</p>))}</div>;
}

function Picture({ workflow }: { workflow: Details }) {
  const picked = new URLSearchParams(useQueryText()).get("step");
  const steps = useMemo(() => workflow.steps.map(asPlanned), [workflow]);
  const byId = useMemo(() => new Map(workflow.steps.map((each) => [each.stepId, each])), [workflow]);
  const step = byId.get(picked ?? "");
  return (
    <section className="panel" aria-labelledby="graph-title">
      <h2 id="graph-title">Graph <span className="count">{workflow.steps.length}</span></h2>
      <Graph steps={steps} chosen={step?.stepId ?? null} choose={(id) => goWith({ step: id === picked ? null : id }, { replace: true })} words={(each) => inShort(byId.get(each.stepId))} />
      {step ? <StepFacts step={step} /> : <p className="dim pad">Choose a step to see what it does and how it is tried.</p>}
    </section>
  );
}

function asPlanned(step: Schemas["Step"]): StepOfRun {
  return { stepId: step.stepId, name: step.name, dependencies: step.dependencies, status: "pending", attemptNumber: 0, maxAttempts: 1, exportOutput: step.exportOutput, stateChanges: [] };
}

/** What makes a step unlike others; most have nothing. */
function inShort(step: Schemas["Step"] | undefined): string {
  if (!step) return "";
  const told = [step.event && "from outside", step.executor && `pool ${step.executor}`, step.limit && `limit ${step.limit.name}`, step.delayUs !== undefined && `after ${chosen(step.delayUs)}`, step.exportOutput && "output"];
  return told.filter(Boolean).map((each) => visible(String(each))).join(" · ") || (mostTries(step) > 1 ? `${mostTries(step)} tries` : "one try");
}

function StepFacts({ step }: { step: Schemas["Step"] }) {
  return (
    <section className="step-facts" aria-label={`Step ${visible(step.stepId)}`}>
      <h3><code>{visible(step.stepId)}</code>{step.name !== step.stepId && <span className="dim"> {visible(step.name)}</span>}</h3>
      {step.description ? <Prose text={step.description} /> : !step.event && <p className="dim">Its function has no docstring.</p>}
      <dl className="facts">
        {step.event ? <div><dt>waits for</dt><dd>an event from outside{step.event.timeoutUs !== undefined && `, ${chosen(step.event.timeoutUs)} at most, then it ${step.event.onTimeout === "fail" ? "fails" : "is skipped"}`}</dd></div>
          : <div><dt>tries</dt><dd>{triesOf(step)}</dd></div>}
        {step.timeoutUs !== undefined && <div><dt>each may take</dt><dd>{chosen(step.timeoutUs)}</dd></div>}
        {step.executor && <div><dt>pool</dt><dd>{visible(step.executor)}</dd></div>}
        {step.limit && <div><dt>limit</dt><dd>{visible(step.limit.name)}: {step.limit.atMost}{step.limit.perUs !== undefined ? ` in ${chosen(step.limit.perUs)}` : " at once"}{step.limit.key && `, by ${visible(step.limit.key)}`}</dd></div>}
        {step.delayUs !== undefined && <div><dt>starts</dt><dd>{chosen(step.delayUs)} after what it waits for</dd></div>}
        {step.exportOutput && <div><dt>output</dt><dd>is the run's</dd></div>}
        {step.dependencies.length > 0 && <div className="is-long"><dt>after</dt><dd>{step.dependencies.map(visible).join(", ")}</dd></div>}
      </dl>
    </section>
  );
}

function mostTries(step: Schemas["Step"]): number {
  return step.retry.reduce((sum, each) => sum + each.maxAttempts, 0) || 1;
}

function triesOf(step: Schemas["Step"]): string {
  const [tier] = step.retry;
  const most = mostTries(step);
  if (!tier || most === 1) return "1";
  const pause = `${chosen(tier.delayUs)} after the first${tier.backoff === 1 ? "" : `, then ${tier.backoff} times as long`}`;
  return `${most} at most, ${pause}${tier.giveUpOn.length ? `; not after ${tier.giveUpOn.map((each) => visible(each.split(".").at(-1)!)).join(", ")}` : ""}`;
}
