/** Numbers as people read them. Times come as microseconds since 1970, lengths as microseconds. */

const SECOND = 1_000_000;
const UNITS: [number, string][] = [
  [86_400 * SECOND, "d"],
  [3_600 * SECOND, "h"],
  [60 * SECOND, "m"],
];

export function duration(us: number): string {
  if (us < 1_000) return `${Math.max(0, Math.round(us))} µs`;
  if (us < SECOND) return `${Math.round(us / 1_000)} ms`;
  if (us < 60 * SECOND) return `${(us / SECOND).toFixed(us < 10 * SECOND ? 2 : 1)} s`;
  const largest = UNITS.findIndex(([size]) => us >= size);
  const [size, name] = UNITS[largest]!;
  const [below, belowName] = UNITS[largest + 1] ?? [SECOND, "s"];
  const rest = Math.floor((us % size) / below);
  return rest ? `${Math.floor(us / size)} ${name} ${rest} ${belowName}` : `${Math.floor(us / size)} ${name}`;
}

/** A length that somebody chose, as round as they did. */
export function chosen(us: number): string {
  return duration(us).replace(/(\.\d*?)0+ s$/, "$1 s").replace(". s", " s");
}

export function ago(us: number, nowUs: number): string {
  const passed = nowUs - us;
  if (passed <= -SECOND) return `in ${roughly(-passed)}`; // what is nearer was told by another clock
  return passed < 5 * SECOND ? "just now" : `${roughly(passed)} ago`;
}

function roughly(us: number): string {
  const [size, name] = UNITS.find(([unit]) => us >= unit) ?? [SECOND, "s"];
  return `${Math.floor(us / size)} ${name}`;
}

export function instant(us: number): string {
  const at = new Date(us / 1_000);
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${timeOfDay(us)}`;
}

export function timeOfDay(us: number): string {
  const at = new Date(us / 1_000);
  const millis = String(at.getMilliseconds()).padStart(3, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${millis}`;
}

/** An instant on an axis that is so long. */
export function onAxis(us: number, rangeUs: number): string {
  const at = new Date(us / 1_000);
  if (rangeUs <= 36 * 3_600 * SECOND) return `${two(at.getHours())}:${two(at.getMinutes())}`;
  return `${at.getDate()} ${at.toLocaleString("en", { month: "short" })}`;
}

/** An instant to the minute, with the day where that isn't today. */
export function toTheMinute(us: number, nowUs: number): string {
  const time = onAxis(us, 0);
  return instant(us).slice(0, 10) === instant(nowUs).slice(0, 10) ? time : `${onAxis(us, Infinity)}, ${time}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

export function bytes(count: number): string {
  if (count < 1_000) return `${count} B`;
  if (count < 1_000_000) return `${(count / 1_000).toFixed(1)} KB`;
  return `${(count / 1_000_000).toFixed(1)} MB`;
}

export function count(value: number, noun: string): string {
  return `${value.toLocaleString("en")} ${noun}${value === 1 ? "" : "s"}`;
}
