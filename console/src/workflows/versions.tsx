/** The versions of a workflow, and what changed between two of them. */

import { useState } from "react";
import type { Schemas } from "../api/ask";
import { ago, count, chosen, instant } from "../model/format";
import { shortened, visible } from "../model/text";
import { difference, type StepChange, type VersionStep } from "../model/versions";
import { useVersion } from "../run/data";
import { nowUs } from "../ui/now";
import { Failure, Loading } from "../ui/parts";

const FEW = 8;
type Details = Schemas["WorkflowDetails"];
type InBrief = Details["versions"][number];

export function Versions({ workflow }: { workflow: Details }) {
  const newest = [...workflow.versions].sort((one, other) => other.versionNumber - one.versionNumber);
  const [all, setAll] = useState(false);
  const [pair, setPair] = useState(() => [newest[1]?.versionId ?? "", newest[0]?.versionId ?? ""] as const);
  const many = newest.length > 1;
  const shown = all ? newest : newest.slice(0, FEW);
  return (
    <section className="panel" aria-labelledby="versions-title">
      <h2 id="versions-title">Versions <span className="count">{newest.length}</span></h2>
      <div className="versions">
        <div className="scrolls" tabIndex={0} role="group" aria-label="Versions"><table className="plain-table">
          <thead><tr>{many && <><th scope="col">before</th><th scope="col">after</th></>}<th scope="col">version</th><th scope="col">since</th><th scope="col">steps</th><th scope="col">commit</th></tr></thead>
          <tbody>{shown.map((each) => (
            <tr key={each.versionId}>
              {many && [0, 1].map((side) => (
                <td key={side}><input type="radio" name={side ? "after" : "before"} checked={pair[side] === each.versionId} aria-label={`${side ? "after" : "before"}: version ${each.versionNumber}`}
                  onChange={() => setPair(side ? [pair[0], each.versionId] : [each.versionId, pair[1]])} /></td>
              ))}
              <Row version={each} isCurrent={each.versionId === workflow.versionId} />
            </tr>
          ))}</tbody>
        </table>
        {newest.length > shown.length && <p className="pad"><button type="button" onClick={() => setAll(true)}>All {newest.length}</button></p>}</div>
        {many ? <Changes slug={workflow.workflowSlug} before={byId(newest, pair[0])} after={byId(newest, pair[1])} /> : <p className="dim pad">There is no other version to compare it with yet. Change a step and deploy, and both stand here.</p>}
      </div>
    </section>
  );
}

function byId(versions: readonly InBrief[], id: string): InBrief {
  return versions.find((each) => each.versionId === id) ?? versions[0]!;
}

function Row({ version, isCurrent }: { version: InBrief; isCurrent: boolean }) {
  return (
    <>
      <td><b>{version.versionNumber}</b> <code className="dim">{visible(version.versionId.replace(/^sha256:/, "")).slice(0, 10)}</code>{isCurrent && <span className="badge">current</span>}</td>
      <td title={instant(version.createdAtUs)}>{ago(version.createdAtUs, nowUs())}</td>
      <td>{version.totalSteps}</td>
      <td>{version.git ? <><code>{visible(version.git.commit).slice(0, 8)}</code> <span className="dim">{visible(version.git.branch)}{version.git.dirty && " + changes"}</span></> : <span className="dim">not known</span>}</td>
    </>
  );
}

function Changes({ slug, before, after }: { slug: string; before: InBrief; after: InBrief }) {
  const [was, is] = [useVersion(slug, before.versionId), useVersion(slug, after.versionId)];
  const failed = was.error ?? is.error;
  return (
    <section className="changes" aria-labelledby="changes-title">
      <h3 id="changes-title">From {before.versionNumber} to {after.versionNumber}</h3>
      {failed ? <Failure what="They can't be compared." error={failed} again={() => (void was.refetch(), void is.refetch())} />
        : !was.data || !is.data ? <Loading what="Comparing" />
        : before === after ? <p className="dim">Choose two.</p>
        : <Told before={was.data.steps as VersionStep[]} after={is.data.steps as VersionStep[]} />}
    </section>
  );
}

function Told({ before, after }: { before: readonly VersionStep[]; after: readonly VersionStep[] }) {
  const found = difference(before, after);
  const none = !found.changes.length && !found.moved;
  return (
    <>
      <ul>{found.changes.map((each) => <OneChange key={each.stepId} change={each} />)}</ul>
      {found.moved && <p>Steps are declared in another order.</p>}
      {none && !found.unknown && <p>No step differs. What a version is made of besides: the input's schema, how long a run may take, how many go on at once.</p>}
      {found.same > 0 && <p className="dim">{count(found.same, "step")} {found.same === 1 ? "is" : "are"} as before{found.unknown > 0 && `; of ${found.unknown} nobody has noted the code`}.</p>}
    </>
  );
}

const SIGNS = { added: "+", removed: "−", changed: "~" };

function OneChange({ change }: { change: StepChange }) {
  return (
    <li className={`change is-${change.kind}`}>
      <span className="change-sign" aria-hidden="true">{SIGNS[change.kind]}</span>
      <div>
        <code>{visible(change.stepId)}</code> <span>{change.kind === "changed" ? (change.code ? "its code changed" : "is declared otherwise") : change.kind}</span>
        {change.fields.length > 0 && <dl>{change.fields.map((each) => <div key={each.field}><dt>{nameOf(each.field)}</dt><dd><del>{shown(each.field, each.before)}</del> → <ins>{shown(each.field, each.after)}</ins></dd></div>)}</dl>}
      </div>
    </li>
  );
}

function nameOf(field: string): string {
  return field.replace(/Us$/, "").replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

/** What was declared, in words: `at most 4, delay 20 s`. */
function shown(field: string, value: unknown): string {
  if (value === undefined || value === null) return "none";
  if (field.endsWith("Us") && typeof value === "number") return chosen(value);
  if (Array.isArray(value)) return value.map((each) => shown("", each)).join(value.some((each) => typeof each === "object") ? "; " : ", ") || "nothing";
  if (typeof value !== "object" || field.endsWith("JSON")) return visible(shortened(typeof value === "string" ? value : JSON.stringify(value), 200));
  return Object.entries(value).map(([name, each]) => `${nameOf(name)} ${shown(name, each)}`).join(", ");
}
