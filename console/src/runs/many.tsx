/** One action on many runs: it asks, tells how far it is, and what was refused. */

import { useRef, useState } from "react";
import { part, post, Problem, type Run, type Schemas } from "../api/ask";
import { count } from "../model/format";
import { visible } from "../model/text";
import { nowUs } from "../ui/now";
import { Dialog, Failure } from "../ui/parts";
import { askedOfMany, type Filter } from "./filter";

export type Verb = "cancel" | "retry";

const WORDS = {
  cancel: { title: "Cancel runs", does: "Cancel", done: "cancelled", fits: ["pending", "claimed", "running"], says: "What is under way is told to stop." },
  retry: { title: "Retry runs", does: "Retry", done: "tried again", fits: ["failed", "cancelled"], says: "They go on from where they stopped." },
};
const AT_A_TIME = 4;

interface Progress {
  done: number;
  refused: { runId: string; detail: string }[];
  over: boolean;
  error?: unknown;
}

interface ManyProps {
  verb: Verb;
  runs: Run[];
  filter: Filter;
  close: () => void;
  done: () => void;
}

export function Many({ verb, runs, filter, close, done }: ManyProps) {
  const words = WORDS[verb];
  // What was selected when it was asked; the list goes on changing below.
  const [picked] = useState(runs);
  const [all, setAll] = useState(false);
  const [reason, setReason] = useState("");
  const [progress, setProgress] = useState<Progress | null>(null);
  const stopped = useRef(false);
  const fitting = picked.filter((run) => words.fits.includes(run.status));
  const begin = async () => {
    const tell = (change: Partial<Progress>) => setProgress((now) => ({ ...(now ?? { done: 0, refused: [], over: false }), ...change }));
    tell({ done: 0, refused: [], over: false, error: undefined });
    try {
      await (all ? matching(verb, filter, reason, tell, stopped) : each(verb, fitting, reason, tell, stopped));
    } catch (error) {
      tell({ error });
    }
    tell({ over: true });
    done();
  };
  return (
    <Dialog title={words.title} close={() => ((stopped.current = true), close())}>
      {!progress ? (
        <form onSubmit={(event) => (event.preventDefault(), void begin())}>
          <fieldset>
            <legend className="hidden">Which runs</legend>
            <label className="choice"><input type="radio" checked={!all} onChange={() => setAll(false)} />
              <span>The {count(fitting.length, "selected run")} that {fitting.length === 1 ? "is" : "are"} {words.fits.filter((fit) => fit !== "claimed").join(" or ")}
                {picked.length > fitting.length && <small> ({picked.length - fitting.length} more can't be: left alone)</small>}</span></label>
            <label className="choice"><input type="radio" checked={all} onChange={() => setAll(true)} />
              <span>Every run that passes the filter, shown or not <small>(text of the id is no part of it)</small></span></label>
          </fieldset>
          <p>{words.says}</p>
          <label className="field"><span>Reason, kept with each run</span><input value={reason} onChange={(event) => setReason(event.target.value)} maxLength={500} /></label>
          <footer>
            <button type="button" onClick={close}>Leave them</button>
            <button type="submit" className={verb === "cancel" ? "danger" : "primary"} disabled={!all && !fitting.length}>{words.does} {all ? "all" : count(fitting.length, "run")}</button>
          </footer>
        </form>
      ) : (
        <div>
          <progress max={all ? undefined : fitting.length} value={progress.over ? (all ? 1 : fitting.length) : all ? undefined : progress.done + progress.refused.length} aria-label="How far it is" />
          <p role="status">{count(progress.done, "run")} {words.done}{progress.refused.length > 0 && `, ${progress.refused.length} refused`}{progress.over ? "." : "…"}</p>
          {progress.error !== undefined && <Failure what="It stopped here." error={progress.error} />}
          {progress.refused.length > 0 && <ul className="refused">{progress.refused.slice(0, 50).map((each) => <li key={each.runId}><code>{visible(each.runId)}</code> {visible(each.detail)}</li>)}</ul>}
          <footer><button type="button" className="primary" onClick={close}>{progress.over ? "Close" : "Stop here"}</button></footer>
        </div>
      )}
    </Dialog>
  );
}

type Tell = (change: Partial<Progress>) => void;
type Stopped = { current: boolean };

async function each(verb: Verb, runs: Run[], reason: string, tell: Tell, stopped: Stopped): Promise<void> {
  const waiting = [...runs];
  const refused: Progress["refused"] = [];
  let done = 0;
  const work = async () => {
    for (let run = waiting.shift(); run && !stopped.current; run = waiting.shift()) {
      try {
        await post(`/api/runs/${part(run.runId)}/${verb}`, reason ? { reason } : {});
        done += 1;
      } catch (error) {
        if (!(error instanceof Problem) || error.passes) throw error;
        refused.push({ runId: run.runId, detail: error.message });
      }
      tell({ done, refused: [...refused] });
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
}

async function matching(verb: Verb, filter: Filter, reason: string, tell: Tell, stopped: Stopped): Promise<void> {
  const wish = { ...askedOfMany(filter, nowUs()), ...(reason ? { reason } : {}) };
  let cursor: string | undefined;
  let done = 0;
  const refused: Progress["refused"] = [];
  do {
    const piece: Schemas["Piece"] = await post(`/api/runs/${verb}`, { ...wish, ...(cursor ? { cursor } : {}) });
    done += piece.count;
    refused.push(...piece.refused);
    cursor = piece.nextCursor;
    tell({ done, refused: [...refused] });
  } while (cursor && !stopped.current);
}
