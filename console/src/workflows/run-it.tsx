/** Begins a run: a form made of the input's JSON Schema, with what earlier runs were given to choose from. */

import { useMutation, type UseMutationResult, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { go, within } from "../address";
import { get, part, post, Problem, type Run, type RunDetails, type Schemas } from "../api/ask";
import { ago } from "../model/format";
import { blank, faultIn, type Schema } from "../model/schema";
import { visible } from "../model/text";
import { useMayAct } from "../ui/about";
import { SchemaForm } from "../ui/form";
import { nowUs } from "../ui/now";
import { Failure } from "../ui/parts";

type Details = Schemas["WorkflowDetails"];

export function RunIt({ workflow }: { workflow: Details }) {
  const may = useMayAct();
  const slug = workflow.workflowSlug;
  const schema = (workflow.inputSchemaJSON ?? undefined) as Schema | undefined;
  const [input, setInput] = useState<unknown>(() => (schema ? blank(schema) : null));
  const [tags, setTags] = useState("");
  const [key, setKey] = useState("");
  const queries = useQueryClient();
  const read = useMutation({ mutationFn: inputOf, onSuccess: (found) => setInput(found ?? null) });
  const act = useMutation({
    mutationFn: () => post<Schemas["Submitted"]>(`/api/workflows/${part(slug)}/runs`, { ...(input === null ? {} : { input }), ...wishes(tags, key) }),
    onSuccess: async ({ runId, isNew }) => {
      await queries.invalidateQueries({ queryKey: ["inputs", slug] });
      if (isNew) go(`/runs/${encodeURIComponent(runId)}`);
    },
  });
  const issues = act.error instanceof Problem ? act.error.issues : [];
  const known = act.data?.isNew === false ? act.data.runId : null;
  return (
    <form className="pad" noValidate onSubmit={(event) => (event.preventDefault(), act.mutate())}>
      <Earlier slug={slug} read={read} />
      <SchemaForm schema={schema} value={input} change={setInput} root="input" label="Input" issues={issues} />
      <details>
        <summary>Tags, key</summary>
        <div className="more-wishes">
          <label className="field"><span>Tags, by commas</span><input value={tags} onChange={(event) => setTags(event.target.value)} /></label>
          <label className="field"><span>Idempotency key: submitted again with it, it is the same run</span><input value={key} onChange={(event) => setKey(event.target.value)} spellCheck={false} /></label>
        </div>
      </details>
      {act.error && <Failure what="It was refused." error={act.error} />}
      {known && <div className="notice is-waits" role="status"><div><strong>this key was used before</strong><p>It stands for run <a className="id" {...within(`/runs/${encodeURIComponent(known)}`)}>{visible(known)}</a>; no other was begun.</p></div></div>}
      <footer>
        {!may && <span className="dim">this console changes nothing</span>}
        <button type="submit" className="primary" disabled={!may || workflow.retiredAtUs !== undefined || faultIn(input) !== null || read.isPending || act.isPending}>{act.isPending ? "…" : "Run it"}</button>
      </footer>
    </form>
  );
}

function wishes(tags: string, key: string) {
  const named = tags.split(",").map((each) => each.trim()).filter(Boolean);
  return { ...(named.length ? { tags: named } : {}), ...(key.trim() ? { idempotencyKey: key.trim() } : {}) };
}

const MOST = 10;

/** The last runs' inputs; one is read when it is chosen. */
function Earlier({ slug, read }: { slug: string; read: UseMutationResult<unknown, Error, string> }) {
  const runs = useQuery({ queryKey: ["inputs", slug], queryFn: ({ signal }) => get<{ runs: Run[] }>("/api/runs", { workflow: slug, limit: MOST }, signal) });
  if (!runs.data?.runs.length) return null;
  return (
    <>
      <label className="field"><span>Begin with the input of</span>
        <select defaultValue="" disabled={read.isPending} onChange={(event) => event.target.value && read.mutate(event.target.value)}>
          <option value="">an earlier run…</option>
          {runs.data.runs.map((run) => <option key={run.runId} value={run.runId}>{`${ago(run.createdAtUs, nowUs())}, ${run.status}: ${visible(run.runId)}`}</option>)}
        </select>
      </label>
      {read.error && <Failure what="Its input can't be read." error={read.error} again={() => read.variables && read.mutate(read.variables)} />}
    </>
  );
}

async function inputOf(runId: string): Promise<unknown> {
  const { run } = await get<RunDetails>(`/api/runs/${part(runId)}`, { steps: false });
  return run.inputUrl === undefined ? run.input : (await get<RunDetails>(`/whole/runs/${part(runId)}`)).run.input;
}
