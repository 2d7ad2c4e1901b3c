/** What somebody else wrote, as it is: nothing in it moves the cursor, turns the line round or hides. */

const ESCAPE = 0x1b;
/** Controls, what turns the line round, and what has no width: fillers, joiners, tags, lone halves of a pair. */
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e007f}]/gu;

/** The text with a visible mark for each character that would show as nothing, or change how others show. */
export function visible(text: string): string {
  return text.replace(/\r\n/g, "\n").replace(HIDDEN, (hidden) => mark(hidden.codePointAt(0)!));
}

function mark(code: number): string {
  if (code === ESCAPE) return "⟨ESC⟩";
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

/** A sentence in pieces: what stands between backticks is code. */
export function quoted(text: string): { text: string; isCode: boolean }[] {
  const parts = text.split("`");
  if (parts.length % 2 === 0) return [{ text, isCode: false }];
  return parts.map((part, n) => ({ text: part, isCode: n % 2 === 1 })).filter((part) => part.text);
}

export function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
