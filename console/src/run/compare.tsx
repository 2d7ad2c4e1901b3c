/** What differed from the run that this one came from: code, input, and each step's end, duration and output. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { goWith, within } from "../address";
import { get, part, type RunEvent, type Schemas } from "../api/ask";
import { compared, differs, factor, outputsIn, type Row } from "../model/compare";
import { differences } from "../model/diff";
import { exactly, spelled } from "../model/exact";
import { count, duration } from "../model/format";
import { shortened, visible } from "../model/text";
import { Dialog, Failure, Loading } from "../ui/parts";
import { Sign, type State } from "../ui/signs";
import { useRun, useVersion, type RunWithSteps } from "./data";

const MOST_ROWS = 200;
const LONGEST = 300;

export function Comparison({ run, with: other, events }: { run: RunWithSteps; with: string; events: readonly RunEvent[] }) {
  const before = useRun(other);
  const outputs = [useOutputs(other, before.data), useOutputs(run.run.runId, run)] as const;
  const close = () => goWith({ compare: null });
  const failed = before.error ?? outputs[0].error ?? outputs[1].error;
  return (
    <section className="panel comparison" aria-labelledby="comparison-title">
      <header>
        <h2 id="comparison-title">Compared with <a className="id" {...within(`/runs/${encodeURIComponent(other)}`)}>{visible(other)}</a></h2>
        <button type="button" className="plain icon" aria-label="Close the comparison" onClick={close}>✕</button>
      </header>
      {failed ? <Failure what="The other run can't be read." error={failed} again={() => void before.refetch()} />
        : !before.data || !outputs[0].data || !outputs[1].data ? <Loading what="Putting both beside each other" />
        : <Beside before={before.data} now={run} told={[outputs[0].data, outputs[1].data]} ranAgain={ranAgain(events)} />}
    </section>
  );
}

/** The input, and what each step has given; read only where somebody compares. */
function useOutputs(runId: string, run: RunWithSteps | undefined) {
  return useQuery({
    queryKey: ["outputs", runId, run?.run.status, run?.run.workflowAttemptNumber],
    enabled: run !== undefined,
    queryFn: async ({ signal }) => {
      const found: RunEvent[] = [];
      let afterUs: number | undefined = 0;
      while (afterUs !== undefined) {
        const page: Schemas["EventPage"] = await get(`/api/runs/${part(runId)}/events`, { type: ["RunSubmitted", "StepCompleted"], afterUs }, signal);
        found.push(...page.events);
        afterUs = page.nextUs;
      }
      return found;
    },
  });
}

interface BesideProps {
  before: RunWithSteps;
  now: RunWithSteps;
  told: readonly [RunEvent[], RunEvent[]];
  ranAgain: ReadonlySet<string> | null;
}

function Beside({ before, now, told, ranAgain: again }: BesideProps) {
  const [all, setAll] = useState(false);
  const [opened, setOpened] = useState<string | null>(null);
  const outputs = told.map(outputsIn) as [Map<string, string | undefined>, Map<string, string | undefined>];
  const rows = compared({ steps: before.steps, outputs: outputs[0] }, { steps: now.steps, outputs: outputs[1] }, again);
  const shown = (all ? rows : rows.filter(differs)).slice(0, MOST_ROWS);
  const inputs = told.map(inputIn) as [string | undefined, string | undefined];
  return (
    <>
      <dl className="run-facts pad">
        <div><dt>code</dt><dd><Code before={before} now={now} /></dd></div>
        <div><dt>input</dt><dd>{inputs[0] === inputs[1] ? "the same" : <button type="button" className="small" onClick={() => setOpened("")}>differs: see where</button>}</dd></div>
        <div><dt>duration</dt><dd>{lengthOf(before)} → {lengthOf(now)}</dd></div>
        <div><dt>status</dt><dd className="inline"><Sign state={before.run.status as State} /> → <Sign state={now.run.status as State} /></dd></div>
      </dl>
      {rows.some((row) => !differs(row)) && <label className="choice pad"><input type="checkbox" checked={all} onChange={(event) => setAll(event.target.checked)} /><span>steps that were as before too ({rows.filter((row) => !differs(row)).length})</span></label>}
      {!shown.length ? <p className="dim pad">No step ended otherwise, took much longer or shorter, or gave something else.</p> : (
        <div className="scrolls" tabIndex={0} role="group" aria-label="Steps of both runs"><table className="plain-table">
          <thead><tr><th scope="col">step</th><th scope="col">ended</th><th scope="col">took</th><th scope="col">output</th></tr></thead>
          <tbody>{shown.map((row) => <RowOf key={row.stepId} row={row} open={() => setOpened(row.stepId)} />)}</tbody>
        </table></div>
      )}
      {(all ? rows.length : rows.filter(differs).length) > MOST_ROWS && <p className="dim pad">The first {MOST_ROWS} of {count(all ? rows.length : rows.filter(differs).length, "step")}.</p>}
      {opened !== null && (
        <Dialog title={opened ? `What ${visible(opened)} gave` : "The input"} close={() => setOpened(null)} wide>
          <Differences before={opened ? outputs[0].get(opened) : inputs[0]} now={opened ? outputs[1].get(opened) : inputs[1]} />
        </Dialog>
      )}
    </>
  );
}

function RowOf({ row, open }: { row: Row; open: () => void }) {
  const { before, now } = row;
  const tries = (number: number | undefined) => ((number ?? 1) > 1 ? ` ×${number}` : "");
  return (
    <tr>
      <th scope="row"><bdi>{visible(row.stepId)}</bdi>{!before && <span className="badge">new</span>}{!now && <span className="badge">gone</span>}{row.kept && <span className="badge">kept</span>}</th>
      <td><span className="inline">{before && <><Sign state={before.status as State} />{tries(before.attemptNumber)}</>}{before && now && " → "}{now && <><Sign state={now.status as State} />{tries(now.attemptNumber)}</>}</span></td>
      <td>{row.kept ? "" : <>{[before, now].map((step) => (step?.durationUs === undefined ? "–" : duration(step.durationUs))).join(" → ")} <span className="dim">{factor(before?.durationUs, now?.durationUs)}</span></>}</td>
      <td>{row.output === "differs" ? <button type="button" className="small" onClick={open}>differs: see where</button> : row.output === "none" ? "" : row.output}</td>
    </tr>
  );
}

function Code({ before, now }: { before: RunWithSteps; now: RunWithSteps }) {
  const versions = [useVersion(before.run.workflowSlug, before.versionId), useVersion(now.run.workflowSlug, now.versionId)];
  const named = versions.map((found, n) => {
    const git = found.data?.git;
    const id = visible([before, now][n]!.versionId.replace(/^sha256:/, "")).slice(0, 10);
    return git ? `${id}, commit ${visible(git.commit).slice(0, 8)}${git.dirty ? " + changes" : ""}` : id;
  });
  return before.versionId === now.versionId ? <>the same steps as declared <code>({named[1]})</code></> : <code>{named.join(" → ")}</code>;
}

function Differences({ before, now }: { before: string | undefined; now: string | undefined }) {
  if (before?.startsWith("http") || now?.startsWith("http")) return <p>It is too large to be compared here: both outputs can be downloaded from their steps.</p>;
  const found = differences(parsed(before), parsed(now));
  return (
    <div className="scrolls" tabIndex={0} role="group" aria-label="Differences"><table className="plain-table is-code">
      <thead><tr><th scope="col">where</th><th scope="col">before</th><th scope="col">now</th></tr></thead>
      <tbody>{found.map((each) => (
        <tr key={each.path}><th scope="row">{visible(each.path) || "(the whole)"}</th><td className="was">{each.kind === "added" ? "" : cut(each.before)}</td><td className="is">{each.kind === "removed" ? "" : cut(each.now)}</td></tr>
      ))}</tbody>
    </table></div>
  );
}

function ranAgain(events: readonly RunEvent[]): ReadonlySet<string> | null {
  const told = events.find((event) => event.type === "WorkflowRerunFromStep");
  return told ? new Set(told.rerunStepIds) : null;
}

function inputIn(events: readonly RunEvent[]): string | undefined {
  const told = events.find((event) => event.type === "RunSubmitted");
  return told && (told.input ?? told.inputUrl?.split("?")[0]);
}

function lengthOf({ run }: RunWithSteps): string {
  return run.startedAtUs !== undefined && run.endedAtUs !== undefined ? duration(run.endedAtUs - run.startedAtUs) : "not over";
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : exactly(text);
  } catch {
    return text;
  }
}

function cut(value: unknown): string {
  return visible(shortened(spelled(value) || "nothing", LONGEST));
}
