import { describe, expect, it } from "vitest";
import { Exact } from "../src/model/exact";
import { blank, faultIn, fits, given, jsonIn, numberIn, resolved, shapeOf, titleOf, Unread, variantFor, type Schema } from "../src/model/schema";

/** As pydantic writes it. */
const ORDER: Schema = {
  type: "object", title: "Order", required: ["ok", "price", "at", "lines", "payment", "speed", "next"],
  properties: {
    ok: { type: "boolean", title: "Ok" },
    note: { anyOf: [{ type: "string", maxLength: 5 }, { type: "null" }], default: null, description: "for us" },
    count: { type: "integer", default: 3 },
    price: { anyOf: [{ type: "number" }, { type: "string" }] },
    at: { type: "string", format: "date-time" },
    lines: { type: "array", items: { $ref: "#/$defs/Line" } },
    payment: { oneOf: [{ $ref: "#/$defs/Card" }, { $ref: "#/$defs/Cash" }], discriminator: { propertyName: "kind" } },
    speed: { enum: ["slow", "fast"] },
    words: { type: "object", additionalProperties: { type: "integer" }, default: {} },
    next: { anyOf: [{ $ref: "#" }, { type: "null" }] },
  },
  $defs: {
    Line: { type: "object", title: "Line", properties: { sku: { type: "string" } }, required: ["sku"] },
    Card: { type: "object", title: "Card", properties: { kind: { const: "card", type: "string" }, number: { type: "string" } }, required: ["kind", "number"] },
    Cash: { type: "object", title: "Cash", properties: { kind: { const: "cash", type: "string" } }, required: ["kind"] },
  },
};
const property = (name: string) => (ORDER.properties as Record<string, Schema>)[name]!;
const kindOf = (schema: Schema) => shapeOf(schema, ORDER).kind;

describe("how a value is asked for", () => {
  it.each([
    ["ok", "truth"], ["note", "either"], ["count", "number"], ["price", "either"], ["at", "text"], ["lines", "list"],
    ["payment", "either"], ["speed", "choice"], ["words", "any"],
  ])("%s by a field of the kind %s", (name, kind) => expect(kindOf(property(name))).toBe(kind));

  it.each([[{}, "any"], [{ type: ["string", "null"] }, "either"], [{ allOf: [{ $ref: "#/$defs/Line" }] }, "fields"], [{ $ref: "#/gone" }, "any"], [{ allOf: [{ type: "string" }, { minLength: 1 }] }, "any"]])(
    "%j by %s", (schema, kind) => expect(kindOf(schema)).toBe(kind));

  it("follows a schema that names itself as far as somebody looks", () => {
    const loop = { $defs: { a: { $ref: "#/$defs/a" } }, $ref: "#/$defs/a" };
    expect(shapeOf(loop, loop).kind).toBe("any");
    expect(kindOf(resolved({ $ref: "#" }, ORDER))).toBe("fields");
  });

  it("lets what may be nothing be left out, without asking twice", () => {
    expect(given({ name: "note", schema: property("note"), required: false })).toEqual({ type: "string", maxLength: 5, description: "for us" });
    expect(given({ name: "price", schema: property("price"), required: false })).toBe(property("price"));
  });

  it("leaves to JSON what no field fits, so that nothing is lost", () => {
    const fields = shapeOf(ORDER.$defs ? { $ref: "#/$defs/Line" } : {}, ORDER);
    expect([fits(fields, { sku: "a" }), fits(fields, { sku: "a", more: 1 }), fits(fields, [])]).toEqual([true, false, false]);
    expect(fits(shapeOf(property("lines"), ORDER), Array(101).fill({}))).toBe(false);
  });
});

describe("which variant a value was made by", () => {
  const payment = { variants: property("payment").oneOf as Schema[] };
  it.each([[{ kind: "cash" }, 1], [{ kind: "card", number: "1" }, 0], ["strange", 0]])("%j", (value, at) => expect(variantFor(payment.variants, value, ORDER)).toBe(at));
  it("is named for people", () => expect([...payment.variants, { type: "null" }, { const: 3 }, { type: "string" }].map((each) => titleOf(each, ORDER))).toEqual(["Card", "Cash", "nothing", "3", "string"]));
});

describe("a first value", () => {
  const first = blank(ORDER) as Schema;
  it("has what is required and what has a default, and decides nothing for anybody", () => {
    expect(first).toMatchObject({ count: 3, price: 0, at: "", lines: [], payment: { kind: "card", number: "" }, words: {} });
    expect("note" in first).toBe(false);
    expect([first.ok, first.speed].every((each) => each instanceof Unread)).toBe(true);
  });
  it("ends, though the schema holds itself", () => expect(JSON.stringify(first).length).toBeLessThan(2_000));
  it("can't be sent before it is decided, and says where", () => {
    expect(faultIn(first)).toEqual({ path: ["ok"], why: "say yes or no" });
    expect(faultIn({ a: [1, { b: "x" }], c: null })).toBeNull();
  });
});

describe("what is typed", () => {
  it.each([["3", 3], [" -2 ", -2], ["9007199254740991", 9007199254740991], ["1e3", 1000]])("%j is the whole number %d", (text, value) => expect(numberIn(text, true)).toBe(value));
  it.each([["", "missing"], ["3.5", "whole"], ["1e", "no number"], ["0x10", "no number"]])(
    "%j is none: %s", (text, why) => expect(numberIn(text, true)).toMatchObject({ text, why: expect.stringContaining(why) }));
  it("may have a fraction where it may", () => expect([numberIn("3.5", false), numberIn("1e-3", false)]).toEqual([3.5, 0.001]));
  it("is JSON, or says why it is none", () => {
    expect(jsonIn('{"a": [1]}')).toEqual({ a: [1] });
    expect(jsonIn("{")).toMatchObject({ text: "{", why: expect.stringContaining("no JSON") });
    expect(jsonIn('{"id": 9007199254740993}')).toEqual({ id: new Exact("9007199254740993") });
  });
});
