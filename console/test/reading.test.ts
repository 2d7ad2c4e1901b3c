import { describe, expect, it } from "vitest";
import type { Run } from "../src/api/ask";
import { merged } from "../src/model/events";
import { ago, bytes, count, duration } from "../src/model/format";
import { allRuns, pageOf, withPage, type Page } from "../src/model/paging";
import { visible } from "../src/model/text";
import { levelOf, traceLines } from "../src/model/traceback";
import { asked, filterOf } from "../src/runs/filter";

describe("what somebody else wrote", () => {
  it.each([
    ["\u001b[31mred", "⟨ESC⟩[31mred"],
    ["a\u202egpj.exe", "a⟨U+202E⟩gpj.exe"],
    ["zero\u200bwidth\ufeff", "zero⟨U+200B⟩width⟨U+FEFF⟩"],
    ["\u0000\u007f\u0085", "⟨U+0000⟩⟨U+007F⟩⟨U+0085⟩"],
    ["pay\u00adpal\u3164\u{e0041}", "pay⟨U+00AD⟩pal⟨U+3164⟩⟨U+E0041⟩"],
    ["half a pair \ud83c", "half a pair ⟨U+D83C⟩"],
    ["two\r\nlines\tand a tab", "two\nlines\tand a tab"],
    ["<b>Ünïcode 🎉</b>", "<b>Ünïcode 🎉</b>"],
  ])("%j is shown as what it is", (written, shown) => expect(visible(written)).toBe(shown));
});

describe("numbers", () => {
  it.each([[0, "0 µs"], [1_500, "2 ms"], [999_400, "999 ms"], [1_250_000, "1.25 s"], [59_940_000, "59.9 s"], [61_000_000, "1 m 1 s"], [3_600_000_000, "1 h"], [90_000_000_000, "1 d 1 h"]])(
    "%d µs is %s", (us, words) => expect(duration(us)).toBe(words));
  it("tells how long ago, and how soon", () => {
    expect([ago(0, 4_000_000), ago(0, 90_000_000), ago(8_000_000, 0), ago(900_000, 0)]).toEqual(["just now", "1 m ago", "in 8 s", "just now"]);
  });
  it("counts", () => expect([count(1, "run"), count(1_200, "run"), bytes(999), bytes(2_500_000)]).toEqual(["1 run", "1,200 runs", "999 B", "2.5 MB"]));
});

const run = (number: number, status = "running") => ({ runId: `r${number}`, createdAtUs: number, status }) as Run;
const page = (cursor: string | undefined, nextCursor: string | undefined, ...numbers: number[]): Page => ({ cursor, nextCursor, runs: numbers.map((n) => run(n)) });

describe("pages of runs", () => {
  const two = [page(undefined, "c8", 10, 9, 8), page("c8", "c6", 7, 6)];

  it("go on where the last one ended", () => {
    expect(allRuns(withPage(two, page("c6", undefined, 5))).map((each) => each.createdAtUs)).toEqual([10, 9, 8, 7, 6, 5]);
  });
  it("take new runs at the top, and lose none that they push down", () => {
    expect(allRuns(withPage(two, page(undefined, "c10", 12, 11, 10))).map((each) => each.createdAtUs)).toEqual([12, 11, 10, 9, 8, 7, 6]);
  });
  it("lose what has left the filter", () => {
    expect(allRuns(withPage(two, page(undefined, "c8", 10, 8))).map((each) => each.createdAtUs)).toEqual([10, 8, 7, 6]);
  });
  it("begin anew where more came than a page holds", () => {
    expect(allRuns(withPage(two, page(undefined, "c18", 20, 19, 18))).map((each) => each.createdAtUs)).toEqual([20, 19, 18]);
  });
  it("are told by the number of a run in them", () => {
    expect([pageOf(two, 0)?.cursor, pageOf(two, 2)?.cursor, pageOf(two, 3)?.cursor, pageOf(two, 99)?.cursor]).toEqual([undefined, undefined, "c8", "c8"]);
  });
});

describe("events that are asked for again", () => {
  const event = (eventId: string, timestampUs: number) => ({ eventId, timestampUs });
  it("are put in order, once each", () => {
    expect(merged([event("a", 1), event("c", 3)], [event("c", 3), event("b", 2)]).map((each) => each.eventId)).toEqual(["a", "b", "c"]);
  });
  it("are the same list where nothing is new", () => {
    const known = [event("a", 1)];
    expect(merged(known, [event("a", 1)])).toBe(known);
  });
});

describe("a traceback", () => {
  const STACK = 'Traceback (most recent call last):\n  File "shop/orders.py", line 3, in pay\n    charge()\n  File "/opt/python/lib/python3.12/site-packages/x/y.py", line 9, in charge\n    raise E\nE: no';
  it("tells own lines from others'", () => expect(traceLines(STACK).map((line) => line.own)).toEqual([true, true, true, false, false, true]));
});

it("knows a line's level", () => expect([levelOf("ERROR it broke"), levelOf("INFORMATION"), levelOf("plain")]).toEqual(["ERROR", undefined, undefined]));

describe("the address", () => {
  it("says which runs, and nothing else gets in", () => {
    const filter = filterOf("?status=failed&status=evil&tag=a&tag=b&since=24h&workflow=w&id=3f");
    expect(filter).toEqual({ workflow: "w", status: ["failed"], tags: ["a", "b"], since: "24h", id: "3f" });
    expect(filterOf("?since=constructor").since).toBe("");
  });
  it("asks for a range from a full minute on", () => {
    expect(asked(filterOf("?since=15m"), 1_000_000_000_000)).toMatchObject({ createdAfterUs: 999_060_000_000 });
  });
});

describe("a stretch of time in the address", () => {
  it("stands in the place of a range, its end excluded", () => {
    const filter = filterOf("?since=24h&from=100&until=200");
    expect([filter.since, filter.from, filter.until]).toEqual(["", 100, 200]);
    expect(asked(filter, 1_000)).toMatchObject({ createdAfterUs: 99, createdBeforeUs: 200 });
  });
  it("is none where it is no number", () => expect(filterOf("?from=now&until=-1")).not.toHaveProperty("from"));
});
