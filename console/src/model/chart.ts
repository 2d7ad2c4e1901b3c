/** Where what a chart shows lies: numbers in, places out. */

export interface Size {
  width: number;
  height: number;
}

/** The largest value of an axis that begins at zero, and where to put lines: three or four round numbers. */
export function ticks(most: number, round: readonly number[] = [1, 2, 5, 10]): number[] {
  if (most <= 0) return [0];
  const raw = most / 3;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * round.find((each) => each * power >= raw)!;
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, n) => n * step);
}

const SECOND = 1_000_000;
const BELOW_SECONDS = [1, 2, 5, 10, 20, 50, 100, 200, 500];
const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800];
const LENGTHS = [...BELOW_SECONDS, ...BELOW_SECONDS.map((each) => each * 1_000), ...SECONDS.map((each) => each * SECOND)];

/** The same of lengths of time: lines at seconds, minutes and hours that people count in. */
export function timeTicks(mostUs: number): number[] {
  if (mostUs <= 0) return [0];
  const step = LENGTHS.find((each) => each * 4 >= mostUs) ?? 604_800 * SECOND;
  return Array.from({ length: Math.ceil(mostUs / step) + 1 }, (_, n) => n * step);
}

export interface Bar {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Bars on each other, for each place along the axis; one that is not nothing is seen, however small. */
export function stacked(values: readonly (readonly number[])[], most: number, { width, height }: Size): Bar[][] {
  const room = width / values.length;
  return values.map((parts, n) => {
    let top = height;
    return parts.map((value) => {
      const tall = value > 0 ? Math.max(1.5, (value / most) * height) : 0;
      top -= tall;
      return { x: n * room + room * 0.14, y: Math.max(0, top), width: room * 0.72, height: tall };
    });
  });
}

/** A line through what is known; where nothing is, it is broken off. A value alone is a short stroke. */
export function line(values: readonly (number | null)[], most: number, { width, height }: Size): string {
  const room = width / values.length;
  const y = (value: number) => (height - (value / most) * height).toFixed(1);
  const x = (n: number, part = 0.5) => (room * (n + part)).toFixed(1);
  return values.map((value, n) => {
    if (value === null) return "";
    const [before, after] = [values[n - 1] ?? null, values[n + 1] ?? null];
    if (before === null && after === null) return `M${x(n, 0.2)} ${y(value)}H${x(n, 0.8)}`;
    return `${before === null ? "M" : "L"}${x(n)} ${y(value)}`;
  }).join("");
}
