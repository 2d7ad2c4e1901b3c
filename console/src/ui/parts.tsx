/** What every page is made of: what failed and offers again, what is empty, what asks before it acts. */

import { useEffect, useId, useRef, useState, type ReactNode } from "react";
import { Problem } from "../api/ask";
import { visible } from "../model/text";

export function Failure({ error, again, what }: { error: unknown; again?: () => void; what: string }) {
  const detail = error instanceof Error ? error.message : String(error);
  const issues = error instanceof Problem ? error.issues : [];
  return (
    <div className="notice is-bad" role="alert">
      <div>
        <strong>{what}</strong>
        <p>{visible(detail)}</p>
        {issues.length > 0 && (
          <ul>{issues.map((each) => <li key={each.path + each.message}><code>{visible(each.path || "(the whole)")}</code> {visible(each.message)}</li>)}</ul>
        )}
      </div>
      {again && <button type="button" onClick={again}>Try again</button>}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <svg viewBox="0 0 48 32" width="72" height="48" aria-hidden="true">
        <g fill="none" stroke="currentColor" strokeWidth="1.6"><rect x="3" y="3" width="16" height="8" rx="2.5" /><rect x="29" y="21" width="16" height="8" rx="2.5" /><path d="M11 11v7a3 3 0 0 0 3 3h11" strokeDasharray="3 2.5" /></g>
      </svg>
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function Loading({ what }: { what: string }) {
  return <p className="loading" role="status">{what}…</p>;
}

export function Dialog({ title, close, children, wide }: { title: string; close: () => void; children: ReactNode; wide?: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const name = useId();
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current?.showModal();
    return () => before?.focus?.();
  }, []);
  return (
    <dialog ref={dialog} className={wide ? "is-wide" : undefined} aria-labelledby={name} onClose={close}
      onClick={(event) => event.target === dialog.current && dialog.current.close()}>
      <div className="dialog-body">
        <header>
          <h2 id={name}>{title}</h2>
          <button type="button" className="plain icon" aria-label="Close" onClick={() => dialog.current?.close()}>✕</button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

export function Copy({ text, label = "Copy" }: { text: () => string; label?: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1_500);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = () => navigator.clipboard.writeText(text()).then(() => setDone(true));
  return <button type="button" className="small" onClick={copy}><span aria-live="polite">{done ? "Copied" : label}</span></button>;
}

/** Hands a text to the browser as a file. */
export function download(name: string, text: string, type = "application/json"): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name.replace(/[^\w.-]+/g, "_") });
  link.click();
  URL.revokeObjectURL(url);
}

export interface Tab {
  id: string;
  label: string;
  count?: number;
}

interface TabsProps {
  tabs: readonly Tab[];
  chosen: string;
  choose: (id: string) => void;
  label: string;
  /** The id of what they show. */
  panel: string;
}

export function Tabs({ tabs, chosen, choose, label, panel }: TabsProps) {
  const move = (by: number) => {
    const at = tabs.findIndex((tab) => tab.id === chosen);
    const next = tabs[(at + by + tabs.length) % tabs.length]!;
    choose(next.id);
    document.getElementById(`tab-${next.id}`)?.focus();
  };
  return (
    <div role="tablist" aria-label={label} className="tabs" onKeyDown={(event) => {
      if (event.key === "ArrowRight") move(1);
      if (event.key === "ArrowLeft") move(-1);
    }}>
      {tabs.map((tab) => (
        <button key={tab.id} id={`tab-${tab.id}`} type="button" role="tab" aria-selected={tab.id === chosen} aria-controls={panel}
          tabIndex={tab.id === chosen ? 0 : -1} onClick={() => choose(tab.id)}>
          {tab.label}{tab.count !== undefined && <span className="count">{tab.count}</span>}
        </button>
      ))}
    </div>
  );
}
