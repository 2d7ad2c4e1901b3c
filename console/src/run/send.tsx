/** Tells a run what has happened outside: a form made of the schema of the event that it waits for. */

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { part, post, Problem, type Schemas, type StepOfRun } from "../api/ask";
import { ago, instant } from "../model/format";
import { blank, faultIn, type Schema } from "../model/schema";
import { visible } from "../model/text";
import { SchemaForm } from "../ui/form";
import { useNow } from "../ui/now";
import { Dialog, Failure, Loading } from "../ui/parts";
import { useVersion, type RunWithSteps } from "./data";

/** Whether somebody may send it still; it may come before it is waited for. */
export function isAwaited(step: StepOfRun): boolean {
  return step.event !== undefined && step.event.sentAtUs === undefined && (step.event.waits || step.status === "pending");
}

export function Send({ run, event, close }: { run: RunWithSteps; event: string; close: () => void }) {
  const version = useVersion(run.run.workflowSlug, run.versionId);
  const declared = version.data?.steps.find((each) => each.stepId === event)?.event;
  return (
    <Dialog title={`Send ${visible(event)}`} close={close} wide>
      {version.error ? <Failure what="What the event takes can't be read." error={version.error} again={() => void version.refetch()} />
        : !declared ? <Loading what="Reading what the event takes" />
        : <SendForm runId={run.run.runId} event={event} schema={declared.payloadSchemaJSON as Schema | undefined} close={close} />}
    </Dialog>
  );
}

function SendForm({ runId, event, schema, close }: { runId: string; event: string; schema: Schema | undefined; close: () => void }) {
  const [data, setData] = useState<unknown>(() => (schema ? blank(schema) : null));
  const queries = useQueryClient();
  const act = useMutation({
    mutationFn: () => post<Schemas["Sent"]>(`/api/runs/${part(runId)}/events/${part(event)}`, { data }),
    onSuccess: async () => {
      close();
      await Promise.all(["run", "diagnosis"].map((key) => queries.invalidateQueries({ queryKey: [key, runId] })));
    },
  });
  const issues = act.error instanceof Problem ? act.error.issues : [];
  return (
    <form noValidate onSubmit={(submitted) => (submitted.preventDefault(), act.mutate())}>
      <p>It counts once: what is sent first stays, and the run goes on with it.</p>
      <SchemaForm schema={schema} value={data} change={setData} root="data" label="What has happened" issues={issues} />
      {act.error && <Failure what="It was refused." error={act.error} />}
      <footer>
        <button type="button" onClick={close}>Leave it</button>
        <button type="submit" className="primary" disabled={faultIn(data) !== null || act.isPending}>{act.isPending ? "…" : "Send"}</button>
      </footer>
    </form>
  );
}

/** How an event stands: what becomes of it, and when. */
export function EventState({ step }: { step: StepOfRun }) {
  const { waits, waitsUntilUs, sentAtUs, onTimeout } = step.event!;
  const now = useNow(1_000, waits);
  if (sentAtUs !== undefined) return <span>sent {ago(sentAtUs, now)}{step.status === "pending" && ": kept until the run gets here"}</span>;
  if (!waits) return step.status === "pending" ? <span>not waited for yet; it may be sent already</span> : null;
  const then = onTimeout === "fail" ? "then the run fails" : "then it is skipped";
  return <span>waits to be sent{waitsUntilUs !== undefined && <>, <span title={instant(waitsUntilUs)}>until {ago(waitsUntilUs, now).replace(/^in /, "")} from now</span>: {then}</>}</span>;
}
