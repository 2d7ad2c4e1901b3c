/** Whole numbers that JavaScript's own can't hold (ids of 64 bits, say): read, shown and sent as they were written. */

/** Begins the texts that stand for such numbers on their way through JSON: nobody can know it before. */
const TAG = `\uE000${Math.random().toString(36).slice(2)}:`;
/** Where a string begins, which is passed over; or a number that is long enough to be one. */
const PIECES = /"|(?<![\w.+-])-?\d{16,}(?![\d.eE])/g;
/** What may be one in a text at all; times in microseconds are none. */
const LONG = /[\s:,[{]-?(?:[2-9]\d{15}|\d{17})/;
const TAGGED = new RegExp(`"${TAG}(-?\\d+)"`, "g");

export class Exact {
  constructor(readonly text: string) {}

  toJSON(): string {
    return TAG + this.text;
  }
}

/** The value of a JSON text. Raises SyntaxError. */
export function exactly(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!LONG.test(` ${text}`)) return value;
  return JSON.parse(tagged(text), (_, each: unknown) => (typeof each === "string" && each.startsWith(TAG) ? new Exact(each.slice(TAG.length)) : each));
}

/** The text with such numbers as texts. Strings are passed over by hand: a regular expression has no room for one of 10 MB. */
function tagged(text: string): string {
  const parts: string[] = [];
  let from = 0;
  const pieces = new RegExp(PIECES);
  for (let piece = pieces.exec(text); piece; piece = pieces.exec(text)) {
    if (piece[0] === '"') pieces.lastIndex = endOfString(text, piece.index + 1);
    else if (isRounded(piece[0])) {
      parts.push(text.slice(from, piece.index), `"${TAG}${piece[0]}"`);
      from = pieces.lastIndex;
    }
  }
  return parts.join("") + text.slice(from);
}

/** Behind the quote that ends the string; one behind an odd number of backslashes is a part of it. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start); ; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text[end - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return end + 1;
  }
}

/** The value as JSON. */
export function spelled(value: unknown, indent?: number): string {
  return (JSON.stringify(value, null, indent) ?? "").replace(TAGGED, "$1");
}

/** A whole number that is written so: a number where that holds it. */
export function whole(text: string): number | Exact {
  return /^-?\d+$/.test(text) && isRounded(text) ? new Exact(text) : Number(text);
}

function isRounded(text: string): boolean {
  return !Number.isSafeInteger(Number(text)) && String(Number(text)) !== text;
}
