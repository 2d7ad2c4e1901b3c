/** The runs that do a step's work, by number: each leads into its own page. */

import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { within } from "../address";
import { get, part, type Schemas, type StepOfRun } from "../api/ask";
import { toldOf } from "../model/family";
import { shortened, visible } from "../model/text";
import { Failure, Loading } from "../ui/parts";
import { Sign } from "../ui/signs";
import { LIVE_MS } from "./data";

const STATES = ["running", "failed", "completed", "pending", "cancelled"];
const LONGEST = 300;

export function Items({ runId, step, live }: { runId: string; step: StepOfRun; live: boolean }) {
  const [status, setStatus] = useState("");
  const found = useInfiniteQuery({
    queryKey: ["children", runId, step.stepId, status, step.status],
    queryFn: ({ pageParam, signal }) => get<Schemas["ChildPage"]>(`/api/runs/${part(runId)}/children/${part(step.stepId)}`, { status, cursor: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor,
    refetchInterval: live && step.status === "running" ? 2 * LIVE_MS : false,
  });
  const children = (found.data?.pages ?? []).flatMap((page) => page.children);
  return (
    <div className="items">
      <div className="logs-bar">
        <select value={status} onChange={(event) => setStatus(event.target.value)} aria-label="State of the runs">
          <option value="">all states</option>
          {STATES.map((each) => <option key={each}>{each}</option>)}
        </select>
        <span className="dim">{visible(toldOf(step) ?? "")}</span>
      </div>
      {found.error && !found.data ? <Failure what="The items can't be read." error={found.error} again={() => void found.refetch()} />
        : found.isPending ? <Loading what="Reading the items" />
        : !children.length && !found.hasNextPage ? <p className="dim pad">{status ? "None is in this state." : "None has begun yet."}</p>
        : <ol className="item-list">{children.map((child) => <Item key={child.number} child={child} />)}</ol>}
      {found.hasNextPage && <p className="pad"><button type="button" className="small" disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>{found.isFetchingNextPage ? "…" : "More"}</button></p>}
    </div>
  );
}

function Item({ child }: { child: Schemas["Child"] }) {
  const { error, attemptNumber, isRetrying, failedItems } = child;
  return (
    <li>
      <a className="item-number" {...within(`/runs/${encodeURIComponent(child.runId)}`)}>{(child.firstItem ?? child.number).toLocaleString("en")}</a>
      <Sign state={child.status} />
      <span className="dim">{isRetrying ? `attempt ${attemptNumber} comes next` : (attemptNumber ?? 1) > 1 ? `attempt ${attemptNumber}` : ""}{failedItems ? ` ${failedItems} of its items failed` : ""}</span>
      {error && <bdi className="item-error">{visible(shortened(`${error.name ? `${error.name}: ` : ""}${error.message}`, LONGEST))}</bdi>}
    </li>
  );
}
