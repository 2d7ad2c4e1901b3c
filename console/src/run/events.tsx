/** All that happened, as it is stored; each event opens. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, useState } from "react";
import type { RunEvent } from "../api/ask";
import { told } from "../model/events";
import { timeOfDay } from "../model/format";
import { shortened, visible } from "../model/text";
import { JsonView } from "../ui/json";
import { Failure, Loading } from "../ui/parts";
import { useEvents, useWholeEvent, type RunWithSteps } from "./data";

export function Events({ run, step }: { run: RunWithSteps; step: string | null }) {
  const [everything, setEverything] = useState(false);
  const query = useEvents(run.run.runId, run, everything);
  const [type, setType] = useState("");
  const [text, setText] = useState("");
  const [only, setOnly] = useState(false);
  const [open, setOpen] = useState<string | null>(null);
  const types = useMemo(() => [...new Set((query.data ?? []).map((event) => event.type))].sort(), [query.data]);
  const events = useMemo(() => (query.data ?? []).filter((event) => passes(event, type, text, only ? step : null)), [query.data, type, text, only, step]);
  const box = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: events.length, getScrollElement: () => box.current, estimateSize: () => 30, getItemKey: (n) => events[n]!.eventId, overscan: 12 });
  if (query.error && !query.data) return <Failure what="The events can't be read." error={query.error} again={() => void query.refetch()} />;
  return (
    <div className="events">
      <div className="logs-bar">
        <select value={type} onChange={(event) => setType(event.target.value)} aria-label="Type of event">
          <option value="">all types</option>
          {types.map((each) => <option key={each}>{each}</option>)}
        </select>
        <input type="search" value={text} onChange={(event) => setText(event.target.value)} placeholder="look for a text" aria-label="Look for a text in the events" />
        {step && <label className="choice"><input type="checkbox" checked={only} onChange={(event) => setOnly(event.target.checked)} /><span>of the chosen step</span></label>}
        <label className="choice"><input type="checkbox" checked={everything} onChange={(event) => setEverything(event.target.checked)} /><span>logs and checkpoints too</span></label>
        <span className="dim" role="status">{events.length.toLocaleString("en")} events</span>
      </div>
      {query.isPending ? <Loading what="Reading the events" /> : (
        <div className="events-box" ref={box} tabIndex={0} role="group" aria-label="Events">
          <div className="logs-sheet" style={{ height: rows.getTotalSize() }}>
            {rows.getVirtualItems().map((item) => {
              const event = events[item.index]!;
              const isOpen = open === event.eventId;
              return (
                <div key={item.key} ref={rows.measureElement} data-index={item.index} className="event" style={{ transform: `translateY(${item.start}px)` }}>
                  <button type="button" className="event-line" aria-expanded={isOpen} onClick={() => setOpen(isOpen ? null : event.eventId)}>
                    <time>{timeOfDay(event.timestampUs)}</time>
                    <span className="event-type">{event.type}</span>
                    <span className="event-step">{"stepId" in event ? visible(event.stepId) : ""}</span>
                    <span className="event-told">{visible(shortened(told(event), 200))}</span>
                  </button>
                  {isOpen && <Whole runId={run.run.runId} event={event} />}
                </div>
              );
            })}
          </div>
        </div>
      )}
    </div>
  );
}

function Whole({ runId, event }: { runId: string; event: RunEvent }) {
  const found = useWholeEvent(runId, event);
  if (found.error) return <Failure what="The event can't be read." error={found.error} again={() => void found.refetch()} />;
  return found.data ? <JsonView value={found.data} name={event.type} /> : <Loading what="Reading the event" />;
}

function passes(event: RunEvent, type: string, text: string, step: string | null): boolean {
  if (type && event.type !== type) return false;
  if (step && !("stepId" in event && event.stepId === step)) return false;
  return !text || JSON.stringify(event).toLowerCase().includes(text.toLowerCase());
}
