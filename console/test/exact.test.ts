import { describe, expect, it } from "vitest";
import { differences } from "../src/model/diff";
import { Exact, exactly, spelled } from "../src/model/exact";
import { fits, numberIn } from "../src/model/schema";

describe("a number that JavaScript's own can't hold", () => {
  it.each(["9007199254740993", "-9007199254740993", "18446744073709551615", "123456789012345678901234567890"])("%s comes back as it was written", (text) => {
    for (const around of [text, `{"id":${text}}`, `[1, ${text}]`, `{"a": {"b": [${text}, ${text}]}}`]) expect(spelled(exactly(around))).toBe(around.replace(/\s/g, ""));
    expect(numberIn(text, true)).toEqual(new Exact(text));
    expect(fits({ kind: "number", whole: true }, new Exact(text))).toBe(true);
  });

  it.each(["9007199254740991", "1795725080884864", "1e300", "0.1", "[0.12345678901234567, 1.5e10, 12345678901234567.5]", "1.7976931348623157e308", '"9007199254740993"', '{"a":"x 12345678901234567"}', "100000000000000000000"])("%s is none", (text) =>
    expect(exactly(text)).toEqual(JSON.parse(text)));

  it.each([["x".repeat(10_000_000), "long"], ["\\\n".repeat(1_000_000), "full of escapes"], ['\\"'.repeat(1_000_000), "full of quotes"]])("is found beside a text of 10 MB", (text) => {
    const found = exactly(`{"id": 9007199254740993, "text": ${JSON.stringify(text)}, "last": 9007199254740995}`) as Record<string, unknown>;
    expect([found.id, found.last]).toEqual([new Exact("9007199254740993"), new Exact("9007199254740995")]);
    expect(found.text === text).toBe(true);
  });

  it("is compared by what it is", () => {
    const [one, other] = ["9007199254740993", "9007199254740992"].map((text) => ({ id: exactly(text) }));
    expect(differences(one, { id: exactly("9007199254740993") })).toEqual([]);
    expect(differences(one, other)).toHaveLength(1);
  });

  it("costs nothing where there is none", () => {
    const text = JSON.stringify(Array.from({ length: 200_000 }, (_, n) => ({ timestampUs: 1_795_725_080_884_864, eventId: `179572508088486400${n}` })));
    const [plain, careful] = [JSON.parse, exactly].map((read) => {
      const began = performance.now();
      read(text);
      return performance.now() - began;
    });
    expect(careful!).toBeLessThan(5 * plain! + 50);
  });
});
