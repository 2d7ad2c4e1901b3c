/** What can be run: every workflow, in a sentence. */

import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { within } from "../address";
import { get, type Run, type Schemas, type Workflow } from "../api/ask";
import { ago, count } from "../model/format";
import { gist } from "../model/prose";
import { shortened, visible } from "../model/text";
import { useNow } from "../ui/now";
import { Empty, Failure, Loading } from "../ui/parts";
import { Shape, type State } from "../ui/signs";
import { limitOfRuns } from "./limits";

const MOST_WITH_RUNS = 40;
const RECENT = 12;
const EVERY_MS = 15_000;

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
            <Card key={each.workflowSlug} workflow={each} schedules={schedules.data?.schedules.filter((one) => one.workflowSlug === each.workflowSlug) ?? []} recent={found.data.workflows.length <= MOST_WITH_RUNS} />
          ))}</ul>}
    </section>
  );
}

interface CardProps {
  workflow: Workflow;
  schedules: readonly Schemas["ScheduleInBrief"][];
  recent: boolean;
}

function Card({ workflow, schedules, recent }: CardProps) {
  const now = useNow(15_000);
  const next = Math.min(...schedules.filter((each) => each.pausedAtUs === undefined).flatMap((each) => each.nextTimesUs.slice(0, 1)));
  const slug = encodeURIComponent(workflow.workflowSlug);
  return (
    <li className="card">
      <h2><a {...within(`/workflows/${slug}`)}>{visible(workflow.name)}</a></h2>
      <p className="card-text">{workflow.description ? visible(shortened(gist(workflow.description), 220)) : <span className="dim">Its module has no docstring.</span>}</p>
      {recent && <Recent slug={workflow.workflowSlug} now={now} />}
      <p className="dim card-facts">
        <code>{visible(workflow.workflowSlug)}</code>
        <a {...within(`/runs?workflow=${slug}`)}>runs</a>
        <a {...within(`/health?workflow=${slug}`)}>health</a>
        {workflow.runLimit && <span title={limitOfRuns(workflow.runLimit)}>{count(workflow.runLimit.atMost, "run")} at once{workflow.runLimit.key && ` for each ${visible(workflow.runLimit.key)}`}</span>}
        {schedules.length > 0 && <span>{Number.isFinite(next) ? `next ${ago(next, now)}` : schedules.every((each) => each.pausedAtUs !== undefined) ? "paused" : "scheduled"}</span>}
      </p>
    </li>
  );
}

/** How its last runs went, the newest at the right. */
function Recent({ slug, now }: { slug: string; now: number }) {
  const found = useQuery({ queryKey: ["recent", slug], refetchInterval: EVERY_MS, queryFn: ({ signal }) => get<{ runs: Run[] }>("/api/runs", { workflow: slug, limit: RECENT }, signal) });
  if (!found.data) return <p className="recent" />;
  if (!found.data.runs.length) return <p className="recent dim">It has not run yet.</p>;
  return (
    <ol className="recent" aria-label="Its last runs, the newest last">
      {[...found.data.runs].reverse().map((run) => {
        const told = `${run.status}, ${ago(run.createdAtUs, now)}`;
        return <li key={run.runId}><a {...within(`/runs/${encodeURIComponent(run.runId)}`)} aria-label={told} title={told}><Shape state={run.status as State} /></a></li>;
      })}
    </ol>
  );
}
