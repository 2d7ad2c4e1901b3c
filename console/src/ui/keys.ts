/** What keys do: each page says its own, and the help lists them. */

import { useEffect, useRef } from "react";

export interface Key {
  keys: string;
  does: string;
}

export const KEYS: { where: string; keys: Key[] }[] = [
  {
    where: "Everywhere",
    keys: [
      { keys: "?", does: "show this list" },
      { keys: "g r", does: "go to the runs" },
      { keys: "g w", does: "go to the workflows" },
      { keys: "g h", does: "go to the health" },
      { keys: "t", does: "light, dark, or as the system" },
      { keys: "Esc", does: "close what is open" },
    ],
  },
  {
    where: "Runs",
    keys: [
      { keys: "/", does: "look for an id" },
      { keys: "j k ↓ ↑", does: "next, previous run" },
      { keys: "Enter", does: "open the run" },
      { keys: "x", does: "select the run" },
    ],
  },
  {
    where: "A workflow",
    keys: [
      { keys: "← ↑ → ↓", does: "from step to step in the graph" },
      { keys: "r", does: "to the form that runs it" },
    ],
  },
  {
    where: "Health",
    keys: [
      { keys: "[ ]", does: "a shorter, a longer time" },
      { keys: "← →", does: "through the time of a chart" },
      { keys: "Enter", does: "open the runs of that time" },
    ],
  },
  {
    where: "A run",
    keys: [
      { keys: "← ↑ → ↓", does: "from step to step in the graph" },
      { keys: "Enter", does: "open the step" },
      { keys: "+ − 0", does: "zoom the graph, or the timeline: in, out, to fit" },
    ],
  },
];

/** Calls back for keys that nobody types a text with. A pair is one key after the other, such as `g r`, whatever is drawn between. */
export function useKeys(on: Record<string, () => void>): void {
  const first = useRef("");
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typed(event.target)) return;
      const does = on[`${first.current} ${event.key}`] ?? on[event.key];
      first.current = event.key;
      if (does) {
        event.preventDefault();
        does();
      }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  });
}

function typed(target: EventTarget | null): boolean {
  if (document.querySelector("dialog[open]")) return true;
  return target instanceof HTMLElement && target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");
}
