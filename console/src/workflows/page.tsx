/** What can be run: every workflow, in a sentence. */

import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { within } from "../address";
import { get, type Schemas, type Workflow } from "../api/ask";
import { ago } from "../model/format";
import { gist } from "../model/prose";
import { shortened, visible } from "../model/text";
import { useNow } from "../ui/now";
import { Empty, Failure, Loading } from "../ui/parts";

export function WorkflowsPage() {
  const found = useQuery({ queryKey: ["workflows"], queryFn: ({ signal }) => get<{ workflows: Workflow[] }>("/api/workflows", {}, signal) });
  const schedules = useQuery({ queryKey: ["schedules", ""], queryFn: ({ signal }) => get<Schemas["Schedules"]>("/api/schedules", {}, signal) });
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
            <Card key={each.workflowSlug} workflow={each} schedules={schedules.data?.schedules.filter((one) => one.workflowSlug === each.workflowSlug) ?? []} />
          ))}</ul>}
    </section>
  );
}

function Card({ workflow, schedules }: { workflow: Workflow; schedules: readonly Schemas["ScheduleInBrief"][] }) {
  const now = useNow(15_000, schedules.length > 0);
  const next = Math.min(...schedules.filter((each) => each.pausedAtUs === undefined).flatMap((each) => each.nextTimesUs.slice(0, 1)));
  const slug = encodeURIComponent(workflow.workflowSlug);
  return (
    <li className="card">
      <h2><a {...within(`/workflows/${slug}`)}>{visible(workflow.name)}</a></h2>
      <p className="card-text">{workflow.description ? visible(shortened(gist(workflow.description), 220)) : <span className="dim">Its module has no docstring.</span>}</p>
      <p className="dim card-facts">
        <code>{visible(workflow.workflowSlug)}</code>
        <a {...within(`/runs?workflow=${slug}`)}>runs</a>
        <a {...within(`/health?workflow=${slug}`)}>health</a>
        {schedules.length > 0 && <span>{Number.isFinite(next) ? `next ${ago(next, now)}` : schedules.every((each) => each.pausedAtUs !== undefined) ? "paused" : "scheduled"}</span>}
      </p>
    </li>
  );
}
