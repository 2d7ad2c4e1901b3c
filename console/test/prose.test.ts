import { describe, expect, it } from "vitest";
import { gist, paragraphs } from "../src/model/prose";

const DOCSTRING = "An order, from the\nbasket to the door.\n\n    a ── b\n         └─ c\n\n      and so on\n\nIt is tried again.\n";

describe("a docstring", () => {
  it("has paragraphs, and drawings that keep their lines", () => {
    expect(paragraphs(DOCSTRING)).toEqual([
      { text: "An order, from the basket to the door.", isDrawn: false },
      { text: "a ── b\n     └─ c\n\nand so on", isDrawn: true },
      { text: "It is tried again.", isDrawn: false },
    ]);
  });
  it("says what it is in its first words, whatever is drawn before", () => {
    expect([gist(DOCSTRING), gist("    drawn\n\nSaid."), gist("")]).toEqual(["An order, from the basket to the door.", "Said.", ""]);
  });
});
