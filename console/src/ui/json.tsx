/** A value as a tree that opens part by part, so that a large one costs what is looked at. All of it is text. */

import { useState } from "react";
import { Exact, spelled } from "../model/exact";
import { shortened, visible } from "../model/text";
import { Copy, download } from "./parts";

const PART = 100;
const LONGEST = 400;
/** How much more of a long text is shown at a time: what a browser lays out at once. */
const PIECE = 50_000;

export function JsonView({ value, name }: { value: unknown; name: string }) {
  const text = () => (typeof value === "string" ? value : spelled(value, 2));
  const file = typeof value === "string" ? `${name}.txt` : `${name}.json`;
  return (
    <div className="json">
      <div className="json-bar">
        <Copy text={text} />
        <button type="button" className="small" onClick={() => download(file, text())}>Download</button>
      </div>
      <div className="json-tree" tabIndex={0} role="group" aria-label={name}><Value value={value} depth={0} /></div>
    </div>
  );
}

function Value({ value, depth }: { value: unknown; depth: number }) {
  if (typeof value === "string") return <LongText text={value} quoted={depth > 0} />;
  if (value instanceof Exact) return <span className="json-number">{value.text}</span>;
  if (value === null || typeof value !== "object") return <span className={`json-${typeof value}`}>{String(value)}</span>;
  return <Branch value={value} depth={depth} />;
}

function Branch({ value, depth }: { value: object; depth: number }) {
  const isList = Array.isArray(value);
  const keys = Object.keys(value);
  const [open, setOpen] = useState(depth === 0 || (depth === 1 && keys.length <= PART));
  const [most, setMost] = useState(PART);
  const [start, end] = isList ? ["[", "]"] : ["{", "}"];
  if (!keys.length) return <span className="json-empty">{start}{end}</span>;
  return (
    <>
      <button type="button" className="json-fold" aria-expanded={open} onClick={() => setOpen(!open)}>
        {start}{!open && <span className="json-more"> {keys.length.toLocaleString("en")} {isList ? "items" : "fields"} </span>}{!open && end}
      </button>
      {open && (
        <>
          <ul>
            {keys.slice(0, most).map((key) => (
              <li key={key}>
                <span className={isList ? "json-index" : "json-key"}>{visible(key)}</span>: <Value value={(value as Record<string, unknown>)[key]} depth={depth + 1} />
              </li>
            ))}
            {keys.length > most && (
              <li><button type="button" className="small" onClick={() => setMost(most + 10 * PART)}>
                {(keys.length - most).toLocaleString("en")} more</button></li>
            )}
          </ul>
          <span>{end}</span>
        </>
      )}
    </>
  );
}

function LongText({ text, quoted }: { text: string; quoted: boolean }) {
  const [most, setMost] = useState(quoted ? LONGEST : 4 * LONGEST);
  const left = text.length - most;
  const shown = visible(shortened(text, most));
  return (
    <>
      <bdi className="json-string">{quoted ? `"${shown}"` : shown}</bdi>
      {left > 0 && <button type="button" className="small" onClick={() => setMost(most + PIECE)}>{left.toLocaleString("en")} more characters</button>}
    </>
  );
}
