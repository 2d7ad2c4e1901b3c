/** A value as a tree that opens part by part, so that a large one costs what is looked at. All of it is text. */

import { useState } from "react";
import { Exact, spelled } from "../model/exact";
import { shortened, visible } from "../model/text";
import { Copy, download } from "./parts";

const PART = 100;
const LONGEST = 400;

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
  const entries = Object.entries(value);
  const [open, setOpen] = useState(depth === 0 || (depth === 1 && entries.length <= PART));
  const [most, setMost] = useState(PART);
  const [start, end] = isList ? ["[", "]"] : ["{", "}"];
  if (!entries.length) return <span className="json-empty">{start}{end}</span>;
  return (
    <>
      <button type="button" className="json-fold" aria-expanded={open} onClick={() => setOpen(!open)}>
        {start}{!open && <span className="json-more"> {entries.length.toLocaleString("en")} {isList ? "items" : "fields"} </span>}{!open && end}
      </button>
      {open && (
        <>
          <ul>
            {entries.slice(0, most).map(([key, each]) => (
              <li key={key}>
                <span className={isList ? "json-index" : "json-key"}>{visible(key)}</span>: <Value value={each} depth={depth + 1} />
              </li>
            ))}
            {entries.length > most && (
              <li><button type="button" className="small" onClick={() => setMost(most + 10 * PART)}>
                {(entries.length - most).toLocaleString("en")} more</button></li>
            )}
          </ul>
          <span>{end}</span>
        </>
      )}
    </>
  );
}

function LongText({ text, quoted }: { text: string; quoted: boolean }) {
  const [whole, setWhole] = useState(false);
  const shown = visible(whole ? text.slice(0, 200_000) : shortened(text, quoted ? LONGEST : 4 * LONGEST));
  const cut = !whole && text.length > (quoted ? LONGEST : 4 * LONGEST);
  return (
    <>
      <bdi className="json-string">{quoted ? `"${shown}"` : shown}</bdi>
      {cut && <button type="button" className="small" onClick={() => setWhole(true)}>{text.length.toLocaleString("en")} characters</button>}
    </>
  );
}
