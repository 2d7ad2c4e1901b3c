/** What can be done with a run. Each asks first, and says what will be. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { go } from "../address";
import { get, part, post, Problem, type Schemas } from "../api/ask";
import { faultIn } from "../model/schema";
import { visible } from "../model/text";
import { SchemaForm } from "../ui/form";
import { Dialog, Failure, Loading } from "../ui/parts";
import { useInputSchema, usePayloads, type RunWithSteps } from "./data";

interface ActionProps {
  run: RunWithSteps;
  close: () => void;
}

const WORDS = {
  cancel: { title: "Cancel this run?", says: "What is under way is told to stop, and nothing of it starts any more.", does: "Cancel the run", look: "danger" },
  retry: { title: "Retry this run?", says: "The same run goes on from where it stopped, by the graph that it began with. What has completed isn't run again.", does: "Retry the run", look: "primary" },
};

export function CancelOrRetry({ verb, run, close }: ActionProps & { verb: "cancel" | "retry" }) {
  const words = WORDS[verb];
  const [reason, setReason] = useState("");
  const queries = useQueryClient();
  const act = useMutation({
    mutationFn: () => post(`/api/runs/${part(run.run.runId)}/${verb}`, reason ? { reason } : {}),
    onSuccess: async () => {
      close();
      await queries.invalidateQueries({ queryKey: ["run", run.run.runId] });
    },
  });
  return (
    <Dialog title={words.title} close={close}>
      <form onSubmit={(event) => (event.preventDefault(), act.mutate())}>
        <p>{words.says}</p>
        <label className="field"><span>Reason, kept with the run</span><input value={reason} onChange={(event) => setReason(event.target.value)} maxLength={500} /></label>
        {act.error && <Failure what="It was refused." error={act.error} />}
        <footer>
          <button type="button" onClick={close}>Leave it</button>
          <button type="submit" className={words.look} disabled={act.isPending}>{act.isPending ? "…" : words.does}</button>
        </footer>
      </form>
    </Dialog>
  );
}

export function Rerun({ run, from, close }: ActionProps & { from: string }) {
  const id = run.run.runId;
  const plan = useQuery({
    queryKey: ["rerun", id, from],
    queryFn: ({ signal }) => get<Schemas["RerunPlan"]>(`/api/runs/${part(id)}/rerun`, { fromStepId: from }, signal),
  });
  const payloads = usePayloads(id, run);
  const schema = useInputSchema(run.run.workflowSlug);
  const [edited, setEdited] = useState<{ input: unknown } | null>(null);
  const input = edited ? edited.input : (payloads.data?.run.input ?? null);
  const act = useMutation({
    mutationFn: () => post<Schemas["GoneOn"]>(`/api/runs/${part(id)}/rerun`, { fromStepId: from, ...edited }),
    onSuccess: ({ runId }) => go(`/runs/${encodeURIComponent(runId)}`),
  });
  const issues = act.error instanceof Problem ? act.error.issues : [];
  return (
    <Dialog title={`Rerun from ${visible(from)}`} close={close} wide>
      <form noValidate onSubmit={(event) => (event.preventDefault(), act.mutate())}>
        <p>A new run, on the code of today, in which this step and all that depend on it run again.</p>
        {plan.error ? <Failure what="It can't be rerun." error={plan.error} again={() => void plan.refetch()} />
          : !plan.data ? <Loading what="Looking at what would run" />
          : <div className="plan"><StepsOf title="run again" sign="↻" steps={plan.data.runsAgain} /><StepsOf title="are kept" sign="✓" steps={plan.data.keeps} /></div>}
        {payloads.error ? <Failure what="The input can't be read, and stays as it was." error={payloads.error} />
          : !payloads.data || schema.isPending ? <Loading what="Reading the input" />
          : <SchemaForm schema={schema.data} value={input} change={(value) => setEdited({ input: value })} root="input" label={edited ? "Input, changed" : "Input, as it was; change it if you like"} issues={issues} />}
        {act.error && <Failure what="It was refused." error={act.error} />}
        <footer>
          <button type="button" onClick={close}>Leave it</button>
          <button type="submit" className="primary" disabled={!plan.data || faultIn(edited?.input) !== null || act.isPending}>{act.isPending ? "…" : "Rerun"}</button>
        </footer>
      </form>
    </Dialog>
  );
}

function StepsOf({ title, sign, steps }: { title: string; sign: string; steps: readonly string[] }) {
  return (
    <section>
      <h3>{steps.length} {title}</h3>
      <ul>{steps.slice(0, 200).map((step) => <li key={step}><span aria-hidden="true">{sign}</span> {visible(step)}</li>)}</ul>
    </section>
  );
}
