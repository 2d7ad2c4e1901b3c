/** A traceback's lines, with those that lie in somebody's own code told from those of what it uses. */

export interface TraceLine {
  text: string;
  own: boolean;
  frame: boolean;
}

const FRAME = /^\s+File "([^"]*)", line \d+/;
const FOREIGN = /site-packages|dist-packages|\/lib\/python|cascade_flow\/|^<frozen|^<string>|\/opt\/python|\/var\/lang/;

export function traceLines(stack: string): TraceLine[] {
  let own = true;
  return stack.split("\n").map((text) => {
    const frame = FRAME.exec(text);
    if (frame) own = !FOREIGN.test(frame[1]!);
    else if (!text.startsWith(" ")) own = true;
    return { text, own, frame: frame !== null };
  });
}

const LEVEL = /^(DEBUG|INFO|WARNING|ERROR|CRITICAL)\b/;

/** The level that a line of `logging` begins with. */
export function levelOf(line: string): string | undefined {
  return LEVEL.exec(line)?.[1];
}
