/** How long each step takes. */

import { useState } from "react";
import { within } from "../address";
import type { Schemas } from "../api/ask";
import { duration } from "../model/format";
import { visible } from "../model/text";
import { Empty } from "../ui/parts";
import { runsOf, type Scope, type Summary } from "./range";

type Step = Schemas["StepReport"];
type Column = "count" | "medianUs" | "p95Us" | "p99Us" | "failures" | "retries";
const COLUMNS: [Column, string][] = [["count", "attempts"], ["medianUs", "p50"], ["p95Us", "p95"], ["p99Us", "p99"], ["failures", "failed"], ["retries", "retried"]];
const FEW = 12;

export function Steps({ found, scope }: { found: Summary; scope: Scope }) {
  const [by, setBy] = useState<Column>("p95Us");
  const [all, setAll] = useState(false);
  const steps = [...(found.steps ?? [])].sort((one, other) => other[by] - one[by]);
  const scale: Scale = [Math.min(...steps.map((step) => step.minUs)), Math.max(...steps.map((step) => step.p99Us))];
  return (
    <section className="panel" aria-labelledby="steps-title">
      <h2 id="steps-title">How long steps take</h2>
      {!steps.length ? <Empty title="No step has ended in this time" /> : (
        <div className="scrolls" tabIndex={0} role="group" aria-label="Durations by step"><table className="plain-table is-numbers">
          <thead><tr>
            <th scope="col">step</th><th scope="col" className="wide-only"><span className="hidden">its durations, drawn</span></th>
            {COLUMNS.map(([column, word]) => (
              <th key={column} scope="col" aria-sort={by === column ? "descending" : undefined}>
                <button type="button" className="sorts" onClick={() => setBy(column)}>{word}<span aria-hidden="true">{by === column ? " ↓" : ""}</span></button>
              </th>
            ))}
          </tr></thead>
          <tbody>{steps.slice(0, all ? steps.length : FEW).map((step) => <Row key={`${step.workflowSlug} ${step.stepId}`} step={step} scale={scale} scope={scope} />)}</tbody>
        </table></div>
      )}
      {steps.length > FEW && !all && <p className="pad"><button type="button" onClick={() => setAll(true)}>All {steps.length} steps</button></p>}
    </section>
  );
}

function Row({ step, scale, scope }: { step: Step; scale: Scale; scope: Scope }) {
  const slug = step.workflowSlug ?? "";
  const of = { ...scope, workflow: slug };
  return (
    <tr>
      <th scope="row"><a {...within(`/workflows/${encodeURIComponent(slug)}?step=${encodeURIComponent(step.stepId)}`)}>{visible(step.stepId)}</a> <span className="dim">{visible(slug)}</span></th>
      <td className="wide-only"><Spread step={step} scale={scale} /></td>
      <td><a {...within(runsOf(of))}>{step.count.toLocaleString("en")}</a></td>
      <td>{duration(step.medianUs)}</td><td>{duration(step.p95Us)}</td><td>{duration(step.p99Us)}</td>
      <td>{step.failures ? <a className="is-bad" {...within(runsOf(of, { status: "failed" }))}>{step.failures.toLocaleString("en")}</a> : <span className="dim">0</span>}</td>
      <td>{step.retries || <span className="dim">0</span>}</td>
    </tr>
  );
}

type Scale = [number, number];
const WIDTH = 140;

/** Thin from the least to p99, thick to p95, a dot at half; on a scale of powers, for steps of a millisecond and of an hour. */
function Spread({ step, scale }: { step: Step; scale: Scale }) {
  const [from, to] = scale.map((us) => Math.log(Math.max(1, us))) as Scale;
  const x = (us: number) => ((Math.log(Math.max(1, us)) - from) / Math.max(1, to - from)) * WIDTH;
  const [least, half, most, last] = [step.minUs, step.medianUs, step.p95Us, step.p99Us].map(x) as [number, number, number, number];
  return (
    <svg className="spread" width={WIDTH + 8} height="14" aria-hidden="true">
      <g transform="translate(4 0)"><line x1={least} x2={last} y1="7" y2="7" /><rect x={least} width={Math.max(2, most - least)} y="4" height="6" rx="3" /><circle cx={half} cy="7" r="3.5" /></g>
    </svg>
  );
}
