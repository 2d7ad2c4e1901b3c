/** A docstring as what it is: paragraphs, and what is set in by its author, which keeps its lines. */

export interface Paragraph {
  text: string;
  isDrawn: boolean;
}

const IN = /^( {2,}|\t)/;

export function paragraphs(docstring: string): Paragraph[] {
  const blocks = docstring.replace(/\r\n/g, "\n").split(/\n[ \t]*\n/).map((block) => block.replace(/^\n+|\s+$/g, "")).filter(Boolean);
  return blocks.map(asParagraph).reduce<Paragraph[]>((all, each) => {
    const last = all.at(-1);
    if (each.isDrawn && last?.isDrawn) return [...all.slice(0, -1), { text: `${last.text}\n\n${each.text}`, isDrawn: true }];
    return [...all, each];
  }, []);
}

/** What it is, in a sentence or two. */
export function gist(docstring: string): string {
  return paragraphs(docstring).find((each) => !each.isDrawn)?.text ?? "";
}

function asParagraph(block: string): Paragraph {
  const lines = block.split("\n");
  if (!lines.every((line) => IN.test(line))) return { text: lines.map((line) => line.trim()).join(" "), isDrawn: false };
  const least = Math.min(...lines.map((line) => line.search(/\S/)));
  return { text: lines.map((line) => line.slice(least).trimEnd()).join("\n"), isDrawn: true };
}
