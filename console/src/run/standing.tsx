/** Why a run stands where it stands: what `doctor` says, and what can be done about it from here. */

import type { Finding } from "../api/ask";
import { quoted, visible } from "../model/text";
import { useMayAct } from "../ui/about";
import { isOver, useDiagnosis, type RunWithSteps } from "./data";

interface StandingProps {
  run: RunWithSteps;
  choose: (step: string) => void;
  send: (event: string) => void;
}

export function Standing({ run, choose, send }: StandingProps) {
  const found = useDiagnosis(run.run.runId, run);
  if (isOver(run.run.status) || !found.data) return null;
  const told = [...found.data.findings, ...found.data.engine].filter((each) => each.severity !== "well");
  const awaited = new Set(run.steps.filter((each) => each.event?.waits).map((each) => each.stepId));
  if (!told.length) return null;
  return (
    <div className="findings">
      {told.map((each) => <FindingLine key={each.code + (each.stepId ?? "")} finding={each} choose={choose} send={each.stepId && awaited.has(each.stepId) ? send : undefined} />)}
    </div>
  );
}

const SEVERITIES = { well: "as it should be", waits: "waits", late: "late", stuck: "stuck" };

export function FindingLine({ finding, choose, send }: { finding: Finding; choose?: (step: string) => void; send?: (event: string) => void }) {
  const may = useMayAct();
  const { severity, stepId } = finding;
  return (
    <div className={`notice is-finding is-${severity}`} role="status">
      <div>
        <p><strong>{SEVERITIES[severity]}</strong> <Worded text={finding.sentence} /></p>
        {finding.cure && <p className="cure">→ <Worded text={finding.cure} /></p>}
      </div>
      {stepId && (choose || send) && (
        <span className="notice-actions">
          {choose && <button type="button" className="small" onClick={() => choose(stepId)}>See {visible(stepId)}</button>}
          {send && <button type="button" className="small primary" disabled={!may} onClick={() => send(stepId)}>Send…</button>}
        </span>
      )}
    </div>
  );
}

/** A sentence whose names stand in backticks. */
export function Worded({ text }: { text: string }) {
  return <bdi>{quoted(visible(text)).map((each, n) => (each.isCode ? <code key={n}>{each.text}</code> : each.text))}</bdi>;
}
