/** The time, told anew once in a while, as long as somebody looks. */

import { useEffect, useState } from "react";

export const nowUs = () => Date.now() * 1_000;

export function useNow(everyMs: number, moves = true): number {
  const [now, setNow] = useState(nowUs);
  useEffect(() => {
    if (!moves) return;
    setNow(nowUs());
    const timer = setInterval(() => document.hidden || setNow(nowUs()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, moves]);
  return now;
}
