/** Light or dark: as the system has it, or as it was chosen. */

import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";
const THEMES: Theme[] = ["system", "light", "dark"];
const NAME = "cascade-console-theme";
const watchers = new Set<() => void>();

function chosen(): Theme {
  const found = localStorage.getItem(NAME) as Theme | null;
  return found && THEMES.includes(found) ? found : "system";
}

export function applyTheme(theme: Theme = chosen()): void {
  document.documentElement.dataset.theme = theme;
}

export function nextTheme(): void {
  const next = THEMES[(THEMES.indexOf(chosen()) + 1) % THEMES.length]!;
  localStorage.setItem(NAME, next);
  applyTheme(next);
  for (const each of watchers) each();
}

export function useTheme(): Theme {
  return useSyncExternalStore((watcher) => (watchers.add(watcher), () => watchers.delete(watcher)), chosen);
}
