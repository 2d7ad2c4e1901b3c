/** The address is where the page keeps what it shows: a link that is sent opens the same. */

import { useSyncExternalStore, type MouseEvent } from "react";

const watchers = new Set<() => void>();

function changed(): void {
  for (const each of watchers) each();
}

addEventListener("popstate", changed);

function subscribe(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export function go(to: string, how: { replace?: boolean } = {}): void {
  if (to === location.pathname + location.search) return;
  history[how.replace ? "replaceState" : "pushState"](null, "", to);
  changed();
}

/** The same page with other parameters; one without a value is left out. */
export function goWith(parameters: Record<string, string | readonly string[] | null>, how?: { replace?: boolean }): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(parameters)) {
    query.delete(name);
    for (const each of value === null ? [] : [value].flat()) if (each) query.append(name, each);
  }
  const text = query.toString();
  go(location.pathname + (text && `?${text}`), how);
}

export function usePath(): string {
  return useSyncExternalStore(subscribe, () => location.pathname);
}

export function useQueryText(): string {
  return useSyncExternalStore(subscribe, () => location.search);
}

/** What makes a link go on within the page; with a modifier it opens elsewhere, as links do. */
export function within(to: string): { href: string; onClick: (event: MouseEvent) => void } {
  return {
    href: to,
    onClick: (event) => {
      if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      go(to);
    },
  };
}
