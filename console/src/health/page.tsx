/** Whether work flows, is late, fails, and who is unstable; each number leads to the runs behind it. */

import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { goWith } from "../address";
import { get, Problem, type Workflow } from "../api/ask";
import { timeOfDay } from "../model/format";
import { visible } from "../model/text";
import { RANGES } from "../runs/filter";
import { useKeys } from "../ui/keys";
import { Failure, Loading } from "../ui/parts";
import { Errors } from "./errors";
import { Numbers } from "./numbers";
import { DeadLetters, Depths, Standing, Workers } from "./now";
import { Course } from "./course";
import { useScope, useSummary, type Scope } from "./range";
import { Steps } from "./steps";

export function HealthPage() {
  const scope = useScope();
  const summary = useSummary(scope);
  const ranges = Object.keys(RANGES);
  const move = (by: number) => goWith({ since: ranges[Math.max(0, Math.min(ranges.length - 1, ranges.indexOf(scope.since) + by))]! });
  useKeys({ "[": () => move(-1), "]": () => move(1) });
  useEffect(() => {
    document.title = "Health · cascade";
  }, []);
  return (
    <section className="page health">
      <div className="title-line">
        <h1>Health</h1>
        <Choice scope={scope} at={summary.dataUpdatedAt} />
      </div>
      <Standing />
      {summary.error && <TooLarge error={summary.error} again={() => void summary.refetch()} />}
      {summary.data ? <><Numbers found={summary.data} scope={scope} /><Course found={summary.data} scope={scope} /></> : !summary.error && <Loading what="Counting" />}
      <Errors scope={scope} />
      {summary.data && <Steps found={summary.data} scope={scope} />}
      <div className="pictures"><Depths /><Workers found={summary.data} /></div>
      <DeadLetters />
    </section>
  );
}

function Choice({ scope, at }: { scope: Scope; at: number }) {
  const workflows = useQuery({ queryKey: ["workflows"], queryFn: ({ signal }) => get<{ workflows: Workflow[] }>("/api/workflows", {}, signal), staleTime: 30_000 });
  const known = workflows.data?.workflows.map((each) => each.workflowSlug) ?? [];
  const slugs = scope.workflow && !known.includes(scope.workflow) ? [scope.workflow, ...known] : known;
  return (
    <div className="choices">
      {at > 0 && <span className="dim wide-only" title="When the numbers were counted">as of {timeOfDay(at * 1_000).slice(0, 8)}</span>}
      <label className="inline"><span>Workflow</span>
        <select value={scope.workflow} onChange={(event) => goWith({ workflow: event.target.value })}>
          <option value="">all</option>
          {slugs.map((slug) => <option key={slug} value={slug}>{visible(slug)}</option>)}
        </select>
      </label>
      <label className="inline"><span>The last</span>
        <select value={scope.since} onChange={(event) => goWith({ since: event.target.value })}>
          {Object.entries(RANGES).map(([word, each]) => <option key={word} value={word}>{each.words}</option>)}
        </select>
      </label>
    </div>
  );
}

function TooLarge({ error, again }: { error: Error; again: () => void }) {
  const isTooLarge = error instanceof Problem && error.code === "report-too-large";
  return <Failure what={isTooLarge ? "So much has happened in this time that it can't be counted at once. Choose a shorter one, or one workflow." : "The numbers can't be read."} error={error} again={again} />;
}
