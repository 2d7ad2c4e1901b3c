/** Numbers along a range of time. Pointer and arrow keys go through it, and open what is behind a place. */

import { useEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { go } from "../address";
import type { Size } from "../model/chart";
import { onAxis, toTheMinute } from "../model/format";
import { nowUs } from "./now";

const MARGIN = { left: 52, top: 8, bottom: 22, right: 4 };
const HEIGHT = 120;
const ROOM_OF_A_TIME = 76;

export interface Stretch {
  startUs: number;
  endUs: number;
}

interface ChartProps<T extends Stretch> {
  label: string;
  parts: readonly T[];
  /** Where the lines of the axis are; the last is the top. */
  axis: readonly number[];
  unit: (value: number) => string;
  draw: (size: Size) => ReactNode;
  /** What is said of a part; and of all, while none is looked at. */
  told: (part: T) => ReactNode;
  legend: ReactNode;
  to: (part: T) => string;
}

export function Chart<T extends Stretch>({ label, parts, axis, unit, draw, told, legend, to }: ChartProps<T>) {
  const [box, width] = useWidth();
  const [at, setAt] = useState<number | null>(null);
  const size = { width: Math.max(60, width - MARGIN.left - MARGIN.right), height: HEIGHT };
  const top = axis.at(-1) || 1;
  const room = size.width / parts.length;
  const here = at === null ? undefined : parts[at];
  const pressed = (event: KeyboardEvent) => {
    const to_ = { ArrowRight: at === null ? 0 : at + 1, ArrowLeft: at === null ? parts.length - 1 : at - 1, Home: 0, End: parts.length - 1 }[event.key];
    if (to_ !== undefined) setAt(Math.max(0, Math.min(parts.length - 1, to_)));
    else if (event.key === "Enter" && here) go(to(here));
    else return;
    event.preventDefault();
  };
  return (
    <div className="chart" ref={box} tabIndex={0} role="group" aria-label={`${label}. Arrow keys go through the time, Enter opens its runs.`}
      onKeyDown={pressed} onBlur={() => setAt(null)} onPointerLeave={() => setAt(null)}>
      <p className="chart-told" aria-live="polite">{here ? <><b>{toTheMinute(here.startUs, nowUs())}–{onAxis(here.endUs, 0)}</b> {told(here)}</> : legend}</p>
      <svg width="100%" height={HEIGHT + MARGIN.top + MARGIN.bottom} aria-hidden="true">
        <g transform={`translate(${MARGIN.left} ${MARGIN.top})`}>
          {axis.map((value) => {
            const y = size.height - (value / top) * size.height;
            return <g key={value}><line className="chart-line" x1={0} x2={size.width} y1={y} y2={y} /><text className="chart-text is-value" x={-8} y={y + 4}>{unit(value)}</text></g>;
          })}
          {at !== null && <rect className="chart-at" x={at * room} y={0} width={room} height={size.height} />}
          {draw(size)}
          {times(parts, size.width).map((n) => <text key={n} className="chart-text" x={(n + 0.5) * room} y={size.height + 17}>{onAxis(parts[n]!.startUs, parts.at(-1)!.endUs - parts[0]!.startUs)}</text>)}
          {parts.map((part, n) => <rect key={part.startUs} className="chart-column" x={n * room} y={0} width={room} height={size.height} onPointerEnter={() => setAt(n)} onClick={() => go(to(part))} />)}
        </g>
      </svg>
    </div>
  );
}

/** Which parts are named below the axis, as far as there is room. */
function times(parts: readonly Stretch[], width: number): number[] {
  const many = Math.max(2, Math.min(7, Math.floor(width / ROOM_OF_A_TIME)));
  return Array.from({ length: many }, (_, n) => Math.floor(((n + 0.5) * parts.length) / many));
}

function useWidth() {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const seen = new ResizeObserver(([entry]) => setWidth(entry!.contentRect.width));
    if (box.current) seen.observe(box.current);
    return () => seen.disconnect();
  }, []);
  return [box, width] as const;
}
