/** States, each with a shape, a colour and a word: none of the three alone. */

import type { ReactNode } from "react";
import type { Outcome } from "../model/timeline";

export type State = "pending" | "claimed" | "scheduled" | "running" | "completed" | "failed" | "cancelled" | "skipped" | "reclaimed" | "postponed" | "released" | "handed";

const ring = <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" strokeWidth="1.6" />;
const SHAPES: Record<State, ReactNode> = {
  pending: <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" strokeWidth="1.6" strokeDasharray="2.4 2.3" />,
  claimed: <>{ring}<circle cx="8" cy="8" r="2" fill="currentColor" /></>,
  scheduled: <>{ring}<path d="M8 4.6V8l2.3 1.5" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" /></>,
  running: <>{ring}<path d="M6.6 5.4 10.7 8l-4.1 2.6z" fill="currentColor" /></>,
  completed: <><circle cx="8" cy="8" r="7" fill="currentColor" /><path d="m4.9 8.2 2.1 2.2 4.1-4.5" fill="none" stroke="var(--on-sign)" strokeWidth="1.7" strokeLinecap="round" strokeLinejoin="round" /></>,
  failed: <><path d="M5.2 1h5.6L15 5.2v5.6L10.8 15H5.2L1 10.8V5.2z" fill="currentColor" /><path d="m5.7 5.7 4.6 4.6m0-4.6-4.6 4.6" stroke="var(--on-sign)" strokeWidth="1.7" strokeLinecap="round" /></>,
  cancelled: <><rect x="1.8" y="1.8" width="12.4" height="12.4" rx="3" fill="currentColor" /><path d="M5 8h6" stroke="var(--on-sign)" strokeWidth="1.8" strokeLinecap="round" /></>,
  skipped: <><path d="M3 4.2 7.4 8 3 11.8zM8.6 4.2 13 8l-4.4 3.8z" fill="currentColor" /></>,
  postponed: <>{ring}<path d="M5.6 5.2v5.6M8 5.2 11.4 8 8 10.8z" fill="currentColor" stroke="currentColor" strokeWidth="1.2" /></>,
  released: <>{ring}<path d="M11 6.2H6.4a1.8 1.8 0 0 0 0 3.6h3.2M8.2 4.4 6.2 6.3l2 1.9" fill="none" stroke="currentColor" strokeWidth="1.4" strokeLinecap="round" strokeLinejoin="round" /></>,
  handed: <><rect x="2" y="2" width="8" height="8" rx="2" fill="none" stroke="currentColor" strokeWidth="1.5" /><path d="M6 13.5h5.5a2 2 0 0 0 2-2V6" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" /></>,
  reclaimed: <path d="M9.5 1 3.4 9h3.7L6.2 15l6.4-8.3H8.8z" fill="currentColor" />,
};

export function Shape({ state }: { state: State | Outcome }) {
  return (
    <svg className={`sign is-${state}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      {SHAPES[state === "waiting" ? "scheduled" : state]}
    </svg>
  );
}

export function Sign({ state, word }: { state: State | Outcome; word?: string }) {
  return (
    <span className={`state is-${state}`}>
      <Shape state={state} />
      <span>{word ?? state}</span>
    </span>
  );
}
