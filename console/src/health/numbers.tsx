/** The numbers that one looks at first. */

import type { ReactNode } from "react";
import { within } from "../address";
import { ago, count, duration } from "../model/format";
import { nowUs } from "../ui/now";
import { runsOf, type Scope, type Summary } from "./range";

export function Numbers({ found, scope }: { found: Summary; scope: Scope }) {
  const { successRate: ended, throughput: flow, queueDepth: depth, schedulingLatency: wait, workflowDuration: runs, retryAnalysis: retries, workerStability: workers, errorAnalysis: failures } = found;
  const live = (status: string) => runsOf({ ...scope, since: "" }, { status });
  const oldest = depth.oldestScheduledStepUs;
  return (
    <div className="numbers">
      <Number title="success" value={ended.totalRuns ? percent(ended.successRate) : "–"} to={runsOf(scope)} below={`${ended.successfulRuns.toLocaleString("en")} of ${count(ended.totalRuns, "run")}`} />
      <Number title="failed" value={ended.failedRuns.toLocaleString("en")} to={runsOf(scope, { status: "failed" })} below={`${count(ended.failedSteps, "step")} for good`} bad={ended.failedRuns > 0} />
      <Number title="throughput" value={`${rate(flow.runsPerHour)} / h`} to={runsOf(scope, { status: "completed" })} below={`${count(flow.stepsCompleted, "step")} completed`} />
      <Number title="a run takes" value={runs.count ? duration(runs.medianUs) : "–"} to={runsOf(scope)} below={runs.count ? <Tail of={runs} /> : "none has ended"} />
      <Number title="wait for a worker" value={wait.count ? duration(wait.medianUs) : "–"} to={runsOf(scope)} below={wait.count ? <Tail of={wait} /> : "none has begun"} />
      <Number title="under way" value={depth.runningRuns.toLocaleString("en")} to={live("running")} below={`${count(depth.runningSteps, "step")} in hand`} />
      <Number title="waiting" value={depth.scheduledSteps.toLocaleString("en")} to={live("running")} below={oldest === undefined ? `${count(depth.pendingRuns, "run")} pending` : `oldest since ${ago(oldest, nowUs()).replace(/ ago$/, "")}`} />
      <Number title="tried again" value={retries.totalRetries.toLocaleString("en")} to={runsOf(scope)} below={retries.totalRetries ? `${percent(retries.retryEffectivenessRate)} helped` : "no step had to be"} />
      <Number title="kinds of errors" value={failures.uniqueErrors.toLocaleString("en")} to={runsOf(scope, { status: "failed" })} below={failures.totalFailures ? `${failures.totalFailures.toLocaleString("en")} times, tried again or not` : "nothing has failed"} />
      <Number title="taken from workers" value={workers.totalReclamations.toLocaleString("en")} to={runsOf(scope)} below={workers.totalReclamations ? `of ${count(workers.uniqueWorkersWithReclamations, "worker")} that fell silent` : "none fell silent"} bad={workers.totalReclamations > 0} />
    </div>
  );
}

interface NumberProps {
  title: string;
  value: string;
  below: ReactNode;
  to: string;
  bad?: boolean;
}

function Number({ title, value, below, to, bad }: NumberProps) {
  return (
    <a {...within(to)} className={`number ${bad ? "is-bad" : ""}`}>
      <span className="number-title">{title}</span><span className="number-value">{value}</span><span className="number-below">{below}</span>
    </a>
  );
}

function Tail({ of }: { of: { p95Us: number; p99Us: number } }) {
  return <>p95 {duration(of.p95Us)} · p99 {duration(of.p99Us)}</>;
}

/** The API's percentages run from 0 to 100; one that isn't whole never looks as if it were. */
export function percent(value: number): string {
  if (value === 100 || value === 0) return `${value} %`;
  return `${Math.min(99.9, Math.max(0.1, value)).toFixed(1)} %`;
}

function rate(perHour: number): string {
  return perHour.toFixed(perHour < 10 ? 1 : 0);
}
