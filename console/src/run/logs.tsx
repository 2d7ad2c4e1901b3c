/** What a step has written: live, looked through, by level. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { timeOfDay } from "../model/format";
import { visible } from "../model/text";
import { levelOf } from "../model/traceback";
import { download, Failure, Loading } from "../ui/parts";
import { useLogs, type NumberedLine } from "./data";

const LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

export function Logs({ runId, stepId, live }: { runId: string; stepId: string; live: boolean }) {
  const query = useLogs(runId, stepId, live);
  const [text, setText] = useState("");
  const [least, setLeast] = useState("");
  const [follow, setFollow] = useState(true);
  const lines = useMemo(() => passing(query.data ?? [], text, least), [query.data, text, least]);
  const box = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: lines.length, getScrollElement: () => box.current, estimateSize: () => 22, overscan: 20 });
  useEffect(() => {
    if (follow && live && lines.length) rows.scrollToIndex(lines.length - 1);
  }, [lines.length, follow, live, rows]);
  if (query.isPending) return <Loading what="Reading the log" />;
  if (query.error && !query.data) return <Failure what="The log can't be read." error={query.error} again={() => void query.refetch()} />;
  return (
    <div className="logs">
      <div className="logs-bar">
        <input type="search" value={text} onChange={(event) => setText(event.target.value)} placeholder="look for a text" aria-label="Look for a text in the log" />
        <select value={least} onChange={(event) => setLeast(event.target.value)} aria-label="Least level">
          <option value="">all levels</option>
          {LEVELS.map((level) => <option key={level} value={level}>{level.toLowerCase()} and above</option>)}
        </select>
        {live && <label className="choice"><input type="checkbox" checked={follow} onChange={(event) => setFollow(event.target.checked)} /><span>follow</span></label>}
        <button type="button" className="small" disabled={!lines.length} onClick={() => download(`${stepId}.log`, lines.map((line) => line.message).join("\n"), "text/plain")}>Download</button>
      </div>
      {!lines.length ? <p className="dim pad">{query.data?.length ? "No line passes." : live ? "Nothing was written yet." : "The step has written nothing."}</p> : (
        <div className="logs-box" ref={box} tabIndex={0} role="log" aria-label={`Log of ${stepId}`}>
          <div style={{ height: rows.getTotalSize() }} className="logs-sheet">
            {rows.getVirtualItems().map((item) => {
              const line = lines[item.index]!;
              const level = levelOf(line.message);
              return (
                <div key={line.eventId + item.index} ref={rows.measureElement} data-index={item.index} className={`line is-${level ?? line.stream}`} style={{ transform: `translateY(${item.start}px)` }}>
                  <time>{timeOfDay(line.timestampUs)}</time>
                  <span className="line-attempt" title={`attempt ${line.attemptNumber}, ${line.stream}`}>{line.attemptNumber}</span>
                  <bdi>{visible(line.message)}</bdi>
                </div>
              );
            })}
          </div>
        </div>
      )}
      <p className="dim small-print" role="status">{lines.length.toLocaleString("en")} lines{live ? ", live" : ""}</p>
    </div>
  );
}

function passing(lines: NumberedLine[], text: string, least: string): NumberedLine[] {
  const wanted = text.toLowerCase();
  const from = LEVELS.indexOf(least);
  return lines.filter((line) => {
    const level = LEVELS.indexOf(levelOf(line.message) ?? "INFO");
    return (from < 0 || level >= from) && (!wanted || line.message.toLowerCase().includes(wanted));
  });
}
