/** How the range went: what ended when, and how long it took and waited. */

import type { Schemas } from "../api/ask";
import { line, stacked, ticks, timeTicks, type Size } from "../model/chart";
import { chosen, count, duration } from "../model/format";
import { Chart } from "../ui/chart";
import { Empty } from "../ui/parts";
import { runsOf, type Scope, type Summary } from "./range";

type Interval = Schemas["Interval"];
const ENDS = [["completed", "runsCompleted"], ["cancelled", "runsCancelled"], ["failed", "runsFailed"]] as const;

export function Course({ found, scope }: { found: Summary; scope: Scope }) {
  const parts = found.intervals ?? [];
  const to = (part: Interval) => runsOf(scope, { from: part.startUs, until: part.endUs });
  const quiet = parts.every((part) => endedIn(part) === 0 && part.stepsCompleted === 0);
  if (quiet) return <section className="panel"><h2>Course</h2><Empty title="Nothing has ended in this time"><p>Choose a longer one above, or run something: <code>cascade run WORKFLOW</code></p></Empty></section>;
  return (
    <div className="charts">
      <section className="panel" aria-labelledby="ends-title"><h2 id="ends-title">Runs that ended</h2><Ends parts={parts} to={to} /></section>
      <section className="panel" aria-labelledby="took-title"><h2 id="took-title">How long a run took</h2>
        <Lengths label="How long a run took" parts={parts} to={to} of={(part) => (endedIn(part) ? [part.runMedianUs, part.runP95Us] : null)} /></section>
      <section className="panel" aria-labelledby="wait-title"><h2 id="wait-title">Wait for a worker</h2>
        <Lengths label="How long attempts waited for a worker" parts={parts} to={to} of={(part) => (part.waitP95Us || part.stepsCompleted ? [part.waitMedianUs, part.waitP95Us] : null)} /></section>
    </div>
  );
}

interface CourseProps {
  parts: readonly Interval[];
  to: (part: Interval) => string;
}

function Ends({ parts, to }: CourseProps) {
  const axis = ticks(Math.max(1, ...parts.map(endedIn)), [1, 2, 5, 10]).filter(Number.isInteger);
  const draw = (size: Size) => stacked(parts.map((part) => ENDS.map(([, field]) => part[field])), axis.at(-1)!, size).map((bars, n) =>
    bars.map((bar, which) => bar.height > 0 && <rect key={`${n}-${which}`} className={`chart-bar is-${ENDS[which]![0]}`} {...bar} />));
  const told = (part: Interval) => <>{ENDS.map(([word, field]) => part[field] > 0 && `${part[field].toLocaleString("en")} ${word}`).filter(Boolean).join(", ") || "no run ended"}{part.retries > 0 && `; ${count(part.retries, "step")} tried again`}</>;
  return <Chart label="Runs that ended" parts={parts} axis={axis} unit={(value) => value.toLocaleString("en")} draw={draw} told={told} to={to}
    legend={ENDS.map(([word]) => <span key={word} className="key"><svg width="10" height="10" aria-hidden="true"><rect className={`chart-bar is-${word}`} width="10" height="10" rx="2" /></svg>{word}</span>)} />;
}

function Lengths({ label, parts, to, of }: CourseProps & { label: string; of: (part: Interval) => [number, number] | null }) {
  const found = parts.map(of);
  const axis = timeTicks(Math.max(1, ...found.map((each) => each?.[1] ?? 0)));
  const draw = (size: Size) => (
    <>
      <path className="chart-path is-p95" d={line(found.map((each) => each && each[1]), axis.at(-1)!, size)} />
      <path className="chart-path" d={line(found.map((each) => each && each[0]), axis.at(-1)!, size)} />
    </>
  );
  const told = (part: Interval) => {
    const lengths = of(part);
    return lengths ? <>half in {duration(lengths[0])}, 95 % in {duration(lengths[1])}</> : <>nothing</>;
  };
  return <Chart label={label} parts={parts} axis={axis} unit={(value) => (value ? chosen(value) : "0")} draw={draw} told={told} to={to}
    legend={<><span className="key"><svg width="18" height="10" aria-hidden="true"><path className="chart-path" d="M0 5H18" /></svg>median</span><span className="key"><svg width="18" height="10" aria-hidden="true"><path className="chart-path is-p95" d="M0 5H18" /></svg>p95</span></>} />;
}

function endedIn(part: Interval): number {
  return part.runsCompleted + part.runsFailed + part.runsCancelled;
}
