/** What is known of one run. It is asked for every two seconds while it goes on; its events only when it has changed. */

import { useQuery, useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { get, part, type Finding, type LogLine, type RunDetails, type RunEvent, type Schemas, type StepFiles, type StepOfRun } from "../api/ask";
import { merged } from "../model/events";
import type { Schema } from "../model/schema";

export const LIVE_MS = 2_000;
const CALM_MS = 10_000;
/** How much later than it happened something may be stored beside it. */
const LATE_US = 60_000_000;
const STORY: RunEvent["type"][] = [
  "RunSubmitted", "WorkflowStarted", "WorkflowInputValidation", "WorkflowCompleted", "WorkflowFailed", "WorkflowCancelled",
  "WorkflowResumed", "WorkflowRetryStarted", "WorkflowRerunFromStep", "StepScheduled", "StepStarted", "StepCompleted",
  "StepFailed", "StepRetrying", "StepReclaimed", "StepSkipped", "StepHeartbeat", "StepCheckpointFailed",
];

export type RunWithSteps = RunDetails & { steps: StepOfRun[] };

export function isOver(status: string): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}

export function useRun(runId: string) {
  return useQuery({
    queryKey: ["run", runId],
    queryFn: ({ signal }) => wholeRun(runId, signal),
    refetchInterval: (query) => (query.state.data && isOver(query.state.data.run.status) ? CALM_MS : LIVE_MS),
  });
}

async function wholeRun(runId: string, signal: AbortSignal): Promise<RunWithSteps> {
  const found = await get<RunDetails>(`/api/runs/${part(runId)}`, { payloads: false }, signal);
  return { ...found, steps: found.steps ?? (await allSteps(runId, signal)) };
}

async function allSteps(runId: string, signal: AbortSignal): Promise<StepOfRun[]> {
  const steps: StepOfRun[] = [];
  let cursor: string | undefined;
  do {
    const page = await get<{ steps: StepOfRun[]; nextCursor?: string }>(`/api/runs/${part(runId)}/steps`, { cursor }, signal);
    steps.push(...page.steps);
    cursor = page.nextCursor;
  } while (cursor);
  return steps;
}

/** An event with what it gave and got. */
export function useWholeEvent(runId: string, event: RunEvent) {
  return useQuery({
    queryKey: ["event", runId, event.eventId],
    staleTime: Infinity,
    queryFn: async ({ signal }) => {
      const asked = { afterUs: event.timestampUs - 1, limit: 1, type: event.type };
      return (await get<Schemas["EventPage"]>(`/api/runs/${part(runId)}/events`, asked, signal)).events[0] ?? event;
    },
  });
}

/** All that happened so far, without what was given and got; with lines of logs and checkpoints if `everything` is wanted. */
export function useEvents(runId: string, run: RunWithSteps | undefined, everything: boolean) {
  const queries = useQueryClient();
  const key = ["events", runId, everything];
  const query = useQuery({
    queryKey: key,
    staleTime: Infinity,
    queryFn: ({ signal }) => laterEvents(queries, key, runId, everything, signal),
  });
  const { refetch } = query;
  useEffect(() => {
    const caughtUp = async () => {
      const inHand = queries.isFetching({ queryKey: key, exact: true }) > 0;
      if (!run || (!inHand && isTold(run, queries.getQueryData(key)))) return;
      const { data } = await refetch({ cancelRefetch: false });
      // What was in hand may have been asked for before that happened which the run tells of.
      if (inHand && !isTold(run, data)) await refetch({ cancelRefetch: false });
    };
    void caughtUp();
  }, [run, refetch]);
  return query;
}

/** Whether these events reach to the end of a run that is over. */
export function isTold({ run }: { run: RunDetails["run"] }, events: readonly RunEvent[] | undefined): boolean {
  return isOver(run.status) && run.endedAtUs !== undefined && (events?.at(-1)?.timestampUs ?? 0) >= run.endedAtUs;
}

async function laterEvents(queries: QueryClient, key: unknown[], runId: string, everything: boolean, signal: AbortSignal): Promise<RunEvent[]> {
  let known = queries.getQueryData<RunEvent[]>(key) ?? [];
  let afterUs: number | undefined = Math.max(0, (known.at(-1)?.timestampUs ?? 0) - LATE_US);
  while (afterUs !== undefined) {
    const page: Schemas["EventPage"] = await get(`/api/runs/${part(runId)}/events`, { afterUs, type: everything ? undefined : STORY, payloads: false }, signal);
    known = merged(known, page.events);
    afterUs = page.nextUs;
    // What is known is shown while the rest of a long history is read.
    if (!signal.aborted) queries.setQueryData(key, known);
  }
  return known;
}

/** Why it stands where it stands; asked for where nothing has changed for a while. */
export function useDiagnosis(runId: string, run: RunWithSteps | undefined) {
  const standing = run !== undefined && !isOver(run.run.status);
  return useQuery({
    queryKey: ["diagnosis", runId],
    enabled: standing,
    queryFn: ({ signal }) => get<{ findings: Finding[]; engine: Finding[]; isWell: boolean }>(`/api/runs/${part(runId)}/diagnosis`, {}, signal),
    refetchInterval: standing ? CALM_MS : false,
  });
}

/** The version that a run goes by: its steps as declared, and the commit. */
export function useVersion(slug: string, versionId: string) {
  return useQuery({
    queryKey: ["version", slug, versionId],
    staleTime: Infinity,
    queryFn: ({ signal }) => get<Schemas["Version"]>(`/api/workflows/${part(slug)}/versions/${part(versionId)}`, {}, signal),
  });
}

/** What the input of a new run must be, by the version that new runs get; none where anything is taken. */
export function useInputSchema(slug: string) {
  return useQuery({
    queryKey: ["workflow", slug],
    queryFn: ({ signal }) => get<Schemas["WorkflowDetails"]>(`/api/workflows/${part(slug)}`, {}, signal),
    select: (workflow) => workflow.inputSchemaJSON as Schema | undefined,
  });
}

/** How the engine's workers are set. */
export function useEngine() {
  return useQuery({
    queryKey: ["engine"],
    staleTime: Infinity,
    queryFn: ({ signal }) => get<Schemas["EngineVersion"]>("/api/version", {}, signal),
  });
}

/** A run's input and output; what lies in S3 is fetched by the console's server. */
export function usePayloads(runId: string, run: RunWithSteps) {
  return useQuery({
    queryKey: ["payloads", runId, run.run.status, run.run.workflowAttemptNumber],
    staleTime: Infinity,
    queryFn: async ({ signal }) => {
      const found = await get<RunDetails>(`/api/runs/${part(runId)}`, { steps: false }, signal);
      const outside = found.outputUrl !== undefined || found.run.inputUrl !== undefined;
      return outside ? get<RunDetails>(`/whole/runs/${part(runId)}`, {}, signal) : found;
    },
  });
}

export function useStep(runId: string, step: StepOfRun) {
  return useQuery({
    queryKey: ["step", runId, step.stepId, step.status, step.attemptNumber, step.startedAtUs],
    queryFn: async ({ signal }) => {
      const path = `runs/${part(runId)}/steps/${part(step.stepId)}`;
      const found = await get<StepFiles>(`/api/${path}`, {}, signal);
      return isOutside(found) ? get<StepFiles>(`/whole/${path}`, {}, signal) : found;
    },
    placeholderData: (before) => (before?.stepId === step.stepId ? before : undefined),
  });
}

function isOutside(step: StepFiles): boolean {
  return step.outputUrl !== undefined || step.input?.inputUrl !== undefined || Object.keys(step.input?.outputUrls ?? {}).length > 0;
}

export interface NumberedLine extends LogLine {
  eventId: string;
}

/** What a step has written, live while it runs. */
export function useLogs(runId: string, stepId: string, live: boolean) {
  const queries = useQueryClient();
  const key = ["logs", runId, stepId];
  const query = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => laterLines(queries, key, runId, stepId, signal),
    refetchInterval: live ? LIVE_MS : false,
    staleTime: live ? 0 : Infinity,
  });
  const { refetch } = query;
  useEffect(() => {
    // The last lines are stored with the step's end.
    if (!live) void refetch({ cancelRefetch: false });
  }, [live, refetch]);
  return query;
}

async function laterLines(queries: QueryClient, key: unknown[], runId: string, stepId: string, signal: AbortSignal): Promise<NumberedLine[]> {
  let known = queries.getQueryData<NumberedLine[]>(key) ?? [];
  let afterUs: number | undefined = Math.max(0, (known.at(-1)?.timestampUs ?? 0) - LATE_US);
  while (afterUs !== undefined) {
    const page: Schemas["LogPage"] = await get(`/api/runs/${part(runId)}/logs`, { step: stepId, afterUs }, signal);
    known = merged(known, page.lines.map((line) => ({ ...line, eventId: `${line.timestampUs}/${line.attemptNumber}/${line.message}` })));
    afterUs = page.nextUs;
  }
  return known;
}
