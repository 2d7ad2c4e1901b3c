/** When each step waited, ran and paused: a bar for each attempt, on one axis that can be looked at closer. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { useLayoutEffect, useMemo, useRef, useState } from "react";
import type { RunEvent } from "../api/ask";
import { duration, timeOfDay } from "../model/format";
import { visible } from "../model/text";
import { lanes, span, ticks, type Bar } from "../model/timeline";
import { useNow } from "../ui/now";

const LANE = 28;
const TICK_PX = 90;
const LABEL_PX = 30;

interface TimelineProps {
  events: readonly RunEvent[];
  startUs: number;
  endUs: number | undefined;
  chosen: string | null;
  choose: (stepId: string) => void;
}

export function Timeline({ events, startUs, endUs, chosen, choose }: TimelineProps) {
  const now = useNow(500, endUs === undefined);
  const all = useMemo(() => lanes(events), [events]);
  const [fromUs, toUs] = span(all, startUs, endUs ?? now);
  const [zoom, setZoom] = useState(1);
  const [width, setWidth] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const seen = new ResizeObserver(([entry]) => setWidth(entry!.contentRect.width));
    if (box.current) seen.observe(box.current);
    return () => seen.disconnect();
  }, []);
  const rows = useVirtualizer({ count: all.length, getScrollElement: () => box.current, estimateSize: () => LANE, overscan: 10 });
  const names = width < 460 ? 96 : 148;
  const room = Math.max(60, (width - names - 20) * zoom);
  const lengthUs = toUs - fromUs;
  const x = (us: number) => ((us - fromUs) / lengthUs) * room;
  return (
    <div className="timeline">
      <div className="timeline-bar">
        <Legend />
        <button type="button" className="small" aria-label="Closer" onClick={() => setZoom(Math.min(64, zoom * 2))}>+</button>
        <button type="button" className="small" aria-label="Farther" disabled={zoom === 1} onClick={() => setZoom(Math.max(1, zoom / 2))}>−</button>
      </div>
      <div className="timeline-box" ref={box} tabIndex={0} role="group" aria-label="Timeline of the steps">
        <div className="timeline-sheet" style={{ width: names + room + 20, height: rows.getTotalSize() + 30 }}>
          <div className="axis" style={{ left: names, width: room }} aria-hidden="true">
            {ticks(lengthUs, room / TICK_PX).filter((us) => (us / lengthUs) * room < room - LABEL_PX).map((us) => (
              <span key={us} className="tick" style={{ transform: `translateX(${(us / lengthUs) * room}px)` }}><i>{us ? duration(us).replace(/\.0+ s$/, " s") : "0"}</i></span>
            ))}
          </div>
          {rows.getVirtualItems().map((item) => {
            const lane = all[item.index]!;
            return (
              <div key={lane.stepId} className={`lane ${chosen === lane.stepId ? "is-chosen" : ""}`} style={{ transform: `translateY(${item.start + 26}px)` }}>
                <button type="button" className="lane-name" style={{ width: names }} aria-pressed={chosen === lane.stepId} onClick={() => choose(lane.stepId)} title={visible(lane.stepId)}>{visible(lane.stepId)}</button>
                <div className="lane-bars" style={{ width: room }} onClick={() => choose(lane.stepId)}>
                  {lane.bars.map((bar, n) => <BarOf key={n} bar={bar} x={x} nowUs={Math.max(now, toUs)} endUs={toUs} />)}
                </div>
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

function BarOf({ bar, x, endUs }: { bar: Bar; x: (us: number) => number; nowUs: number; endUs: number }) {
  const to = Math.min(bar.toUs ?? endUs, Math.max(endUs, bar.fromUs));
  const left = x(bar.fromUs);
  const width = Math.max(bar.kind === "running" ? 4 : 2, x(to) - left);
  const told = `${words(bar)}, ${duration(to - bar.fromUs)}, from ${timeOfDay(bar.fromUs)}${bar.worker ? `, by ${bar.worker}` : ""}`;
  return (
    <span className={`bar is-${bar.kind} is-${bar.outcome}`} style={{ transform: `translateX(${left}px)`, width }} title={visible(told)}>
      {bar.kind === "running" && bar.outcome === "failed" && width > 14 && <i aria-hidden="true">✕</i>}
      {bar.kind === "running" && bar.outcome === "reclaimed" && width > 14 && <i aria-hidden="true">↯</i>}
    </span>
  );
}

function words(bar: Bar): string {
  if (bar.kind === "waiting") return `attempt ${bar.attempt} waits for a worker`;
  if (bar.kind === "pause") return `pause before attempt ${bar.attempt}`;
  return bar.outcome === "postponed" ? `attempt ${bar.attempt} handed back: not ready, or its worker had to go` : `attempt ${bar.attempt} ${bar.outcome}`;
}

function Legend() {
  const entries = [["is-waiting", "waits"], ["is-running is-completed", "ran"], ["is-running is-failed", "failed"], ["is-running is-reclaimed", "reclaimed"], ["is-pause", "retry pause"]];
  return <span className="legend" aria-hidden="true">{entries.map(([kind, word]) => <span key={word}><span className={`bar ${kind}`} />{word}</span>)}</span>;
}
