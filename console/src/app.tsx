/** The frame: where one is, what can be gone to, and the page of the address. */

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { go, usePath, within } from "./address";
import { get, Problem, type About } from "./api/ask";
import { HealthPage } from "./health/page";
import { visible } from "./model/text";
import { RunPage } from "./run/page";
import { RunsPage } from "./runs/page";
import { AboutContext } from "./ui/about";
import { KEYS, useKeys } from "./ui/keys";
import { Dialog, Empty, Failure } from "./ui/parts";
import { nextTheme, useTheme } from "./ui/theme";
import { WorkflowsPage } from "./workflows/page";
import { WorkflowPage } from "./workflows/workflow";

const PLACES = [
  { path: "/runs", name: "Runs" },
  { path: "/workflows", name: "Workflows" },
  { path: "/health", name: "Health" },
];

export function App() {
  const path = usePath();
  const [help, setHelp] = useState(false);
  const about = useQuery({ queryKey: ["about"], queryFn: () => get<About>("/about"), staleTime: Infinity });
  useKeys({
    "?": () => setHelp(true),
    "g r": () => go("/runs"),
    "g w": () => go("/workflows"),
    "g h": () => go("/health"),
    t: nextTheme,
  });
  useEffect(() => {
    if (path === "/") go("/runs", { replace: true });
  }, [path]);
  return (
    <AboutContext value={about.data}>
      <a className="skip" href="#content">To the content</a>
      <Top path={path} about={about.data} help={() => setHelp(true)} />
      <main id="content" tabIndex={-1}>
        {about.error ? <NotIn error={about.error} again={() => void about.refetch()} /> : <Page path={path} />}
      </main>
      {help && <Help close={() => setHelp(false)} />}
    </AboutContext>
  );
}

function Page({ path }: { path: string }) {
  const [, place, id, more] = path.split("/").map((each) => decoded(each));
  if (place === "runs" && id && !more) return <RunPage key={id} runId={id} />;
  if (place === "runs" && !id) return <RunsPage />;
  if (place === "workflows" && id && !more) return <WorkflowPage key={id} slug={id} />;
  if (place === "workflows" && !id) return <WorkflowsPage />;
  if (place === "health") return <HealthPage />;
  return path === "/" ? null : <Empty title="There is no such page"><p><a {...within("/runs")}>See the runs</a></p></Empty>;
}

function Top({ path, about, help }: { path: string; about: About | undefined; help: () => void }) {
  const theme = useTheme();
  return (
    <header className="top">
      <a className="brand" {...within("/runs")}>
        <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true"><rect width="32" height="32" rx="8" fill="var(--accent)" /><path d="M10 9h7a4 4 0 0 1 4 4v6" fill="none" stroke="#fff" strokeWidth="2.5" strokeLinecap="round" /><circle cx="9" cy="9" r="3" fill="#fff" /><circle cx="21" cy="23" r="3" fill="#fff" /></svg>
        cascade
      </a>
      <nav aria-label="Pages">
        {PLACES.map((each) => (
          <a key={each.path} {...within(each.path)} aria-current={path.startsWith(each.path) ? "page" : undefined}>{each.name}</a>
        ))}
      </nav>
      <div className="top-end">
        {about && <span className="stack" title={about.apiUrl}>{about.where === "aws" && <span className="stack-where">AWS {about.region}</span>}{visible(about.name)}</span>}
        {about?.readOnly && <span className="badge" title="Opened with --read-only: actions are refused">read only</span>}
        <button type="button" className="plain" onClick={nextTheme} title="Light, dark, or as the system has it (t)">
          <span aria-hidden="true">{theme === "dark" ? "☾" : theme === "light" ? "☀" : "◐"}</span> <span className="wide-only">{theme}</span><span className="hidden">theme</span>
        </button>
        <button type="button" className="plain icon" aria-label="Keys" title="Keys (?)" onClick={help}>?</button>
      </div>
    </header>
  );
}

function NotIn({ error, again }: { error: Error; again: () => void }) {
  if (error instanceof Problem && error.status === 401)
    return <Empty title="This page opens with its link"><p>{error.message}</p></Empty>;
  return <Failure what="The console doesn't answer." error={error} again={again} />;
}

function Help({ close }: { close: () => void }) {
  return (
    <Dialog title="Keys" close={close}>
      {KEYS.map(({ where, keys }) => (
        <section key={where}>
          <h3>{where}</h3>
          <dl className="keys">
            {keys.map((each) => <div key={each.keys}><dt>{each.keys.split(" ").map((key) => <kbd key={key}>{key}</kbd>)}</dt><dd>{each.does}</dd></div>)}
          </dl>
        </section>
      ))}
    </Dialog>
  );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
