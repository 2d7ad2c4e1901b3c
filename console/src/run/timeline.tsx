/** When each step waited, ran and paused: a bar for each attempt, on one axis that can be looked at closer. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import type { RunEvent, StepOfRun } from "../api/ask";
import { duration, timeOfDay } from "../model/format";
import { visible } from "../model/text";
import { kindsIn, lanes, span, summary, ticks, turns, words, type Bar, type Lane } from "../model/timeline";
import { useNow } from "../ui/now";

const LANE = 28;
const AXIS = 26;
const TICK_PX = 90;
const MARGIN = 24;
const MOST_PX = 4_000_000;
const NEAREST_PX_A_US = 1 / 20;

interface TimelineProps {
  events: readonly RunEvent[];
  steps: readonly StepOfRun[];
  startUs: number;
  endUs: number | undefined;
  chosen: string | null;
  choose: (stepId: string) => void;
}

export function Timeline({ events, steps, startUs, endUs, chosen, choose }: TimelineProps) {
  const now = useNow(500, endUs === undefined);
  const all = useMemo(() => lanes(events, steps), [events, steps]);
  const marks = useMemo(() => turns(events), [events]);
  const [fromUs, toUs] = span(all, startUs, endUs ?? now);
  const [told, setTold] = useState("");
  const { box, names, scale, view, zoom, show, fit } = useZoom(toUs - fromUs);
  const rows = useVirtualizer({ count: all.length, getScrollElement: () => box.current, estimateSize: () => LANE, overscan: 10, paddingStart: AXIS });
  const room = scale * (toUs - fromUs);
  const x = (us: number) => (us - fromUs) * scale;
  const pressed = (event: KeyboardEvent) => {
    const does = ({ "+": () => zoom(2), "=": () => zoom(2), "-": () => zoom(0.5), "0": fit } as Record<string, () => void>)[event.key];
    if (!does) return;
    event.preventDefault();
    event.stopPropagation();
    does();
  };
  return (
    <div className="timeline" onKeyDown={pressed}>
      <div className="timeline-bar">
        <button type="button" className="small" aria-label="Closer" onClick={() => zoom(2)}>+</button>
        <button type="button" className="small" aria-label="Farther" onClick={() => zoom(0.5)}>−</button>
        <button type="button" className="small" aria-label="Fit the timeline" onClick={fit}>Fit</button>
      </div>
      <div className="timeline-box" ref={box} tabIndex={0} role="group" aria-label="Timeline of the steps" onPointerLeave={() => setTold("")}>
        <div className="timeline-sheet" style={{ width: names + room + MARGIN, height: rows.getTotalSize() + MARGIN / 2 }}>
          <div className="axis-lines" style={{ left: names, width: room }} aria-hidden="true">
            {view.us.map((us) => <i key={us} style={{ transform: `translateX(${us * scale}px)` }} />)}
            {marks.map((mark) => <i key={mark.atUs} className="is-turn" style={{ transform: `translateX(${x(mark.atUs)}px)` }} />)}
          </div>
          <div className="axis" style={{ paddingLeft: names }}>
            <div>
              {view.us.map((us) => <span key={us} aria-hidden="true" style={{ transform: `translateX(${us * scale}px)` }}>{us ? duration(us).replace(/\.0+ s$/, " s") : "0"}</span>)}
              {marks.map((mark) => <b key={mark.atUs} style={{ transform: `translateX(${x(mark.atUs)}px)` }} title={`${mark.says}, ${timeOfDay(mark.atUs)}`}>↻<span className="hidden">{mark.says}</span></b>)}
            </div>
          </div>
          {rows.getVirtualItems().map((item) => {
            const lane = all[item.index]!;
            const about = () => setTold(`${lane.stepId}: ${summary(lane, toUs)}`);
            return (
              <div key={lane.stepId} className={`lane ${chosen === lane.stepId ? "is-chosen" : ""}`} style={{ transform: `translateY(${item.start}px)` }}>
                <button type="button" className="lane-name" style={{ width: names }} aria-pressed={chosen === lane.stepId} onFocus={about} onBlur={() => setTold("")} onPointerEnter={about} onClick={() => choose(lane.stepId)}>{visible(lane.stepId)}</button>
                <div className="lane-bars" style={{ width: room }} onClick={() => choose(lane.stepId)}>
                  {lane.bars.map((bar, n) => <BarOf key={n} bar={bar} x={x} endUs={toUs} tell={(says) => setTold(`${lane.stepId}: ${says}`)} show={(from, to) => show(from - fromUs, to - fromUs)} />)}
                </div>
              </div>
            );
          })}
        </div>
      </div>
      <p className="timeline-told" role="status">{told ? visible(told) : <Legend lanes={all} />}</p>
    </div>
  );
}

/** How large a microsecond is: as the window lets it, or as somebody has chosen; what is looked at stays where it is. */
function useZoom(lengthUs: number) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [left, setLeft] = useState(0);
  const [chosen, setChosen] = useState<number | null>(null);
  const anchor = useRef<{ us: number; px: number } | null>(null);
  const atEnd = useRef(false);
  const names = width < 460 ? 96 : 148;
  const inSight = Math.max(60, width - names - MARGIN);
  const fitting = inSight / lengthUs;
  const most = Math.max(fitting, Math.min(NEAREST_PX_A_US, MOST_PX / lengthUs));
  const scale = chosen === null ? fitting : Math.min(most, Math.max(fitting, chosen));
  useLayoutEffect(() => {
    const node = box.current!;
    const seen = new ResizeObserver(([entry]) => setWidth(entry!.contentRect.width));
    seen.observe(node);
    const scrolled = () => {
      setLeft(node.scrollLeft);
      atEnd.current = node.scrollLeft > 0 && node.scrollLeft + node.clientWidth >= node.scrollWidth - 4;
    };
    node.addEventListener("scroll", scrolled, { passive: true });
    return () => (seen.disconnect(), node.removeEventListener("scroll", scrolled));
  }, []);
  useLayoutEffect(() => {
    const node = box.current!;
    if (anchor.current) node.scrollLeft = anchor.current.us * scale - anchor.current.px;
    else if (atEnd.current) node.scrollLeft = node.scrollWidth;
    anchor.current = null;
  }, [scale, lengthUs]);
  const zoom = (by: number, px = inSight / 2) => {
    anchor.current = { us: (left + px) / scale, px };
    setChosen(Math.min(most, Math.max(fitting, scale * by)));
  };
  const show = (from: number, to: number) => {
    const wanted = Math.min(most, Math.max(fitting, (0.6 * inSight) / Math.max(1, to - from)));
    anchor.current = { us: (from + to) / 2, px: inSight / 2 };
    setChosen(wanted);
  };
  useEffect(() => {
    const node = box.current;
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 300), event.clientX - node!.getBoundingClientRect().left - names);
    };
    node?.addEventListener("wheel", wheel, { passive: false });
    return () => node?.removeEventListener("wheel", wheel);
  });
  const last = Math.min(lengthUs, (left + inSight) / scale);
  const us = ticks(left / scale, last, inSight / TICK_PX).filter((each) => each * scale < lengthUs * scale - 8);
  return { box, names, scale, zoom, show, fit: () => setChosen(null), view: { us } };
}

interface BarProps {
  bar: Bar;
  x: (us: number) => number;
  endUs: number;
  tell: (says: string) => void;
  show: (fromUs: number, toUs: number) => void;
}

const GLYPHS: Record<string, string> = { failed: "✕", reclaimed: "↯", released: "↩", postponed: "…", cancelled: "–" };
const ROOM_FOR_A_GLYPH = 14;

function BarOf({ bar, x, endUs, tell, show }: BarProps) {
  const to = Math.min(bar.toUs ?? endUs, Math.max(endUs, bar.fromUs));
  const left = x(bar.fromUs);
  const width = Math.max(bar.kind === "running" ? 4 : 2, x(to) - left);
  const within = (us: number) => Math.min(width - 2, Math.max(0, x(us) - left));
  const says = () => tell(`${words(bar)}, ${duration(to - bar.fromUs)}, from ${timeOfDay(bar.fromUs)}${bar.worker ? `, by ${bar.worker}` : ""}`);
  return (
    <span className={`bar is-${bar.kind} is-${bar.outcome} ${bar.reason ? `is-${bar.reason}` : ""}`} style={{ transform: `translateX(${left}px)`, width }}
      onPointerEnter={says} onDoubleClick={(event) => (event.stopPropagation(), show(bar.fromUs, to))}>
      {bar.silentUs !== undefined && <i className="bar-silent" style={{ left: within(bar.silentUs) }} />}
      {width > ROOM_FOR_A_GLYPH && bar.beatsUs?.map((us) => <i key={us} className="bar-beat" style={{ left: within(us) }} />)}
      {bar.kind === "running" && GLYPHS[bar.outcome] && width > ROOM_FOR_A_GLYPH && <b aria-hidden="true">{GLYPHS[bar.outcome]}</b>}
    </span>
  );
}

/** Only of what is drawn. */
function Legend({ lanes: all }: { lanes: readonly Lane[] }) {
  if (!all.length) return <span className="dim">Nothing has begun yet.</span>;
  return <span className="legend" aria-hidden="true">{kindsIn(all).map(({ look, word }) => <span key={word}><span className={`bar ${look}`} />{word}</span>)}</span>;
}
