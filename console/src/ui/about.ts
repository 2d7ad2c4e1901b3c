/** What the page knows of its server. */

import { createContext, use } from "react";
import type { About } from "../api/ask";

export const AboutContext = createContext<About | undefined>(undefined);

/** Whether actions may be offered. */
export function useMayAct(): boolean {
  return use(AboutContext)?.readOnly === false;
}
