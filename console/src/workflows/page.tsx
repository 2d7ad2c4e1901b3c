/** What can be run, how it is built, and a form to run it with. */

import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { go, within } from "../address";
import { get, part, post, type Schemas, type StepOfRun, type Workflow } from "../api/ask";
import { duration, instant } from "../model/format";
import { visible } from "../model/text";
import { jsonFault } from "../run/actions";
import { Graph } from "../run/graph";
import { useMayAct } from "../ui/about";
import { JsonView } from "../ui/json";
import { Empty, Failure, Loading } from "../ui/parts";
import { blank } from "../model/schema";

export function WorkflowsPage() {
  const found = useQuery({ queryKey: ["workflows"], queryFn: ({ signal }) => get<{ workflows: Workflow[] }>("/api/workflows", {}, signal) });
  useEffect(() => {
    document.title = "Workflows · cascade";
  }, []);
  return (
    <section className="page">
      <h1>Workflows</h1>
      {found.error ? <Failure what="The workflows can't be read." error={found.error} again={() => void found.refetch()} />
        : !found.data ? <Loading what="Reading the workflows" />
        : !found.data.workflows.length ? <Empty title="No workflow is deployed"><p>Declare one in your package, then <code>cascade up</code>.</p></Empty>
        : <ul className="cards">{found.data.workflows.map((each) => (
            <li key={each.workflowSlug} className="card">
              <h2><a {...within(`/workflows/${encodeURIComponent(each.workflowSlug)}`)}>{visible(each.name)}</a></h2>
              <p className="dim"><code>{visible(each.workflowSlug)}</code>{each.location && <> · {visible(each.location)}</>}</p>
              <p><a {...within(`/runs?workflow=${encodeURIComponent(each.workflowSlug)}`)}>its runs</a></p>
            </li>
          ))}</ul>}
    </section>
  );
}

export function WorkflowPage({ slug }: { slug: string }) {
  const found = useQuery({ queryKey: ["workflow", slug], queryFn: ({ signal }) => get<Schemas["WorkflowDetails"]>(`/api/workflows/${part(slug)}`, {}, signal) });
  const [chosen, setChosen] = useState<string | null>(null);
  const workflow = found.data;
  useEffect(() => {
    document.title = `${slug} · cascade`;
  }, [slug]);
  const steps = useMemo(() => (workflow?.steps ?? []).map(asPlanned), [workflow]);
  if (found.error) return <Failure what="The workflow can't be read." error={found.error} again={() => void found.refetch()} />;
  if (!workflow) return <Loading what="Reading the workflow" />;
  const step = workflow.steps.find((each) => each.stepId === chosen);
  return (
    <section className="page">
      <p className="crumbs"><a {...within("/workflows")}>Workflows</a></p>
      <h1><bdi>{visible(workflow.name)}</bdi></h1>
      <p className="dim"><code>{visible(slug)}</code>{workflow.location && <> · {visible(workflow.location)}</>}{workflow.timeoutUs && <> · may take {duration(workflow.timeoutUs)}</>} · <a {...within(`/runs?workflow=${encodeURIComponent(slug)}`)}>its runs</a></p>
      <div className="pictures">
        <section className="panel" aria-labelledby="graph-title">
          <h2 id="graph-title">Graph</h2>
          <Graph steps={steps} chosen={chosen} choose={(id) => setChosen(id === chosen ? null : id)} words={(each) => each.dependencies.length ? `after ${each.dependencies.length}` : "at once"} />
          {step && <StepFacts step={step} />}
        </section>
        <section className="panel" aria-labelledby="form-title"><h2 id="form-title">Run it</h2><RunForm workflow={workflow} /></section>
      </div>
      <section className="panel" aria-labelledby="versions-title">
        <h2 id="versions-title">Versions</h2>
        <div className="scrolls" tabIndex={0} role="group" aria-label="Versions"><table className="plain-table">
          <thead><tr><th scope="col">number</th><th scope="col">version</th><th scope="col">since</th><th scope="col">steps</th><th scope="col">commit</th></tr></thead>
          <tbody>{[...workflow.versions].sort((a, b) => b.versionNumber - a.versionNumber).map((each) => (
            <tr key={each.versionId}><td>{each.versionNumber}</td><td><code>{visible(each.versionId.replace(/^sha256:/, "")).slice(0, 10)}</code>{each.versionId === workflow.versionId && <span className="badge">current</span>}</td>
              <td>{instant(each.createdAtUs).slice(0, 19)}</td><td>{each.totalSteps}</td><td>{each.git ? <><code>{visible(each.git.commit).slice(0, 8)}</code>{each.git.dirty && " + changes"}</> : ""}</td></tr>
          ))}</tbody>
        </table></div>
      </section>
    </section>
  );
}

function asPlanned(step: Schemas["Step"]): StepOfRun {
  return { stepId: step.stepId, name: step.name, dependencies: step.dependencies, status: "pending", attemptNumber: 0, maxAttempts: 1, exportOutput: step.exportOutput, stateChanges: [] };
}

function StepFacts({ step }: { step: Schemas["Step"] }) {
  const [tier] = step.retry;
  return (
    <dl className="facts pad">
      <div><dt>step</dt><dd><code>{visible(step.stepId)}</code></dd></div>
      <div><dt>tries</dt><dd>{step.retry.reduce((sum, each) => sum + each.maxAttempts, 0) || 1} at most</dd></div>
      {tier && tier.maxAttempts > 1 && <div><dt>pause</dt><dd>{duration(tier.delayUs)}{tier.backoff !== 1 && `, × ${tier.backoff}`}</dd></div>}
      {step.timeoutUs !== undefined && <div><dt>timeout</dt><dd>{duration(step.timeoutUs)}</dd></div>}
      {step.executor && <div><dt>pool</dt><dd>{visible(step.executor)}</dd></div>}
      {step.dependencies.length > 0 && <div className="is-long"><dt>waits for</dt><dd>{step.dependencies.map(visible).join(", ")}</dd></div>}
    </dl>
  );
}

function RunForm({ workflow }: { workflow: Schemas["WorkflowDetails"] }) {
  const may = useMayAct();
  const schema = workflow.inputSchemaJSON as Record<string, unknown> | undefined;
  const [text, setText] = useState(() => JSON.stringify(schema ? blank(schema) : null, null, 2));
  const [tags, setTags] = useState("");
  const wrong = jsonFault(text);
  const act = useMutation({
    mutationFn: () => post<Schemas["Submitted"]>(`/api/workflows/${part(workflow.workflowSlug)}/runs`, {
      ...(text.trim() === "null" ? {} : { input: JSON.parse(text) }),
      ...(tags.trim() ? { tags: tags.split(",").map((each) => each.trim()).filter(Boolean) } : {}),
    }),
    onSuccess: ({ runId }) => go(`/runs/${encodeURIComponent(runId)}`),
  });
  return (
    <form className="pad" onSubmit={(event) => (event.preventDefault(), act.mutate())}>
      <label className="field"><span>Input, as JSON</span>
        <textarea rows={10} spellCheck={false} value={text} onChange={(event) => setText(event.target.value)} aria-invalid={wrong !== null} /></label>
      {wrong && <p className="wrong" role="alert">This is no JSON: {wrong}</p>}
      <label className="field"><span>Tags, by commas</span><input value={tags} onChange={(event) => setTags(event.target.value)} /></label>
      {act.error && <Failure what="It was refused." error={act.error} />}
      <footer><button type="submit" className="primary" disabled={!may || wrong !== null || act.isPending}>Run it</button></footer>
      {schema && <details><summary>What the input must be (JSON Schema)</summary><JsonView value={schema} name={`${workflow.workflowSlug}-schema`} /></details>}
    </form>
  );
}
