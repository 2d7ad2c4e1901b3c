/** What a JSON Schema says of a value: how it is asked for, and what a form for it begins with. */

import { Exact, exactly, whole } from "./exact";

export type Schema = Record<string, unknown>;

export interface Field {
  name: string;
  schema: Schema;
  required: boolean;
}

export type Shape =
  | { kind: "text"; format?: string }
  | { kind: "number"; whole: boolean }
  | { kind: "truth" }
  | { kind: "choice"; options: readonly unknown[] }
  | { kind: "fields"; fields: readonly Field[] }
  | { kind: "list"; items: Schema }
  | { kind: "either"; variants: readonly Schema[] }
  | { kind: "any" };

/** What was typed and can't be sent, with the reason. As JSON it is null. */
export class Unread {
  constructor(
    readonly text: string,
    readonly why: string,
  ) {}

  toJSON(): null {
    return null;
  }
}

const DEEPEST = 8;
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const MOST_IN_A_LIST = 100;

/** How a value of this schema is asked for. Whatever no field fits is `any`: JSON. */
export function shapeOf(schema: Schema, root: Schema): Shape {
  const found = resolved(schema, root);
  if ("const" in found) return { kind: "choice", options: [found.const] };
  if (Array.isArray(found.enum)) return { kind: "choice", options: found.enum };
  const variants = variantsOf(found);
  if (variants.length === 1) return shapeOf(variants[0]!, root);
  if (variants.length) return { kind: "either", variants };
  const kind = kindOf(found);
  if (kind === "string") return { kind: "text", format: textOf(found.format) };
  if (kind === "integer" || kind === "number") return { kind: "number", whole: kind === "integer" };
  if (kind === "boolean") return { kind: "truth" };
  if (kind === "array" && isSchema(found.items)) return { kind: "list", items: found.items };
  return kind === "object" && isSchema(found.properties) ? { kind: "fields", fields: fieldsOf(found, root) } : { kind: "any" };
}

/** Whether the value can be shown by a field of this shape: else it is edited as JSON. */
export function fits(shape: Shape, value: unknown): boolean {
  if (shape.kind === "either") return true;
  if (value instanceof Unread) return shape.kind !== "fields" && shape.kind !== "list" && shape.kind !== "any";
  switch (shape.kind) {
    case "text": return typeof value === "string";
    case "number": return typeof value === "number" || value instanceof Exact;
    case "truth": return typeof value === "boolean";
    case "choice": return shape.options.some((each) => same(each, value));
    case "list": return Array.isArray(value) && value.length <= MOST_IN_A_LIST;
    case "fields": return isSchema(value) && Object.keys(value).every((name) => shape.fields.some((field) => field.name === name));
    case "any": return false;
  }
}

/** Which of the variants a value was made by: the first that takes it, else the first. */
export function variantFor(variants: readonly Schema[], value: unknown, root: Schema): number {
  const found = variants.findIndex((each) => takes(each, value, root));
  return Math.max(0, found);
}

/** A first value: defaults and examples, and something of the right kind for all that is required; what is to decide is open. */
export function blank(schema: Schema, root: Schema = schema, depth = 0): unknown {
  const found = resolved(schema, root);
  if ("default" in found) return found.default;
  if (Array.isArray(found.examples) && found.examples.length) return found.examples[0];
  const shape = shapeOf(found, root);
  switch (shape.kind) {
    case "text": return "";
    case "number": return typeof found.minimum === "number" ? found.minimum : 0;
    case "truth": return new Unread("", "say yes or no");
    case "choice": return shape.options.length === 1 ? shape.options[0] : new Unread("", "choose one");
    case "list": return [];
    case "either": return depth > DEEPEST ? null : blank(shape.variants[0]!, root, depth + 1);
    case "fields": return depth > DEEPEST ? {} : blankFields(shape.fields, root, depth);
    case "any": return kindOf(found) === "object" ? {} : kindOf(found) === "array" ? [] : null;
  }
}

/** The number that a text is, or why it is none that can be sent. */
export function numberIn(text: string, isWhole: boolean): number | Exact | Unread {
  const trimmed = text.trim();
  if (!NUMBER.test(trimmed)) return new Unread(text, trimmed ? "this is no number" : "a number is missing");
  if (isWhole && !Number.isInteger(Number(trimmed))) return new Unread(text, "this is no whole number");
  return whole(trimmed);
}

/** The value that a text is as JSON, or why it is none that can be sent. */
export function jsonIn(text: string): unknown {
  try {
    return exactly(text);
  } catch (error) {
    return new Unread(text, `this is no JSON: ${(error as Error).message}`);
  }
}

/** What keeps a value from being sent, and where; null where nothing does. */
export function faultIn(value: unknown, path: readonly string[] = []): { path: readonly string[]; why: string } | null {
  if (value instanceof Unread) return { path, why: value.why };
  if (value === null || typeof value !== "object") return null;
  for (const [name, each] of Object.entries(value)) {
    const found = faultIn(each, [...path, name]);
    if (found) return found;
  }
  return null;
}

/** What an optional field is asked for with: leaving it out is as good as saying null. */
export function given(field: Field): Schema {
  const variants = variantsOf(field.schema);
  if (field.required || !variants.length || (field.schema.default ?? null) !== null) return field.schema;
  const left = variants.filter((each) => each.type !== "null");
  const { default: _, anyOf: __, oneOf: ___, ...rest } = field.schema;
  return left.length === 1 ? { ...rest, ...left[0] } : field.schema;
}

/** What a variant, or a field, is called. */
export function titleOf(schema: Schema, root: Schema): string {
  const found = resolved(schema, root);
  if (found.type === "null") return "nothing";
  return textOf(found.title) ?? ("const" in found ? JSON.stringify(found.const) : (textOf(kindOf(found)) ?? "anything"));
}

export function resolved(schema: Schema, root: Schema, depth = 0): Schema {
  const { $ref: ref, ...rest } = schema;
  if (typeof ref !== "string" || depth > DEEPEST) return schema;
  const path = ref.startsWith("#/") ? ref.slice(2).split("/") : [];
  if (!path.length && ref !== "#") return rest;
  const found = path.reduce<unknown>((at, name) => (at as Schema | undefined)?.[name.replace(/~1/g, "/").replace(/~0/g, "~")], root);
  return isSchema(found) ? resolved({ ...found, ...rest }, root, depth + 1) : rest;
}

function variantsOf(schema: Schema): Schema[] {
  if (Array.isArray(schema.type)) return schema.type.map((type) => ({ ...schema, type }));
  const all = [schema.anyOf, schema.oneOf, schema.allOf].find(Array.isArray) as unknown[] | undefined;
  return Array.isArray(schema.allOf) && schema.allOf.length > 1 ? [] : (all ?? []).filter(isSchema);
}

function kindOf(schema: Schema): unknown {
  return schema.type ?? (schema.properties ? "object" : undefined);
}

function fieldsOf(schema: Schema, root: Schema): Field[] {
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  const properties = Object.entries(schema.properties as Schema).filter((entry): entry is [string, Schema] => isSchema(entry[1]));
  return properties.map(([name, each]) => ({ name, schema: resolved(each, root), required: required.has(name) }));
}

function blankFields(fields: readonly Field[], root: Schema, depth: number): Schema {
  const wanted = fields.filter((field) => field.required || (field.schema.default ?? null) !== null);
  return Object.fromEntries(wanted.map((field) => [field.name, blank(field.schema, root, depth + 1)]));
}

function takes(schema: Schema, value: unknown, root: Schema): boolean {
  const found = resolved(schema, root);
  if (found.type === "null") return value === null;
  const shape = shapeOf(found, root);
  if (shape.kind !== "fields") return shape.kind === "any" || (shape.kind !== "either" && fits(shape, value));
  return fits(shape, value) && shape.fields.every((field) => takesField(field, (value as Schema)[field.name], root));
}

function takesField(field: Field, value: unknown, root: Schema): boolean {
  if (value === undefined) return !field.required;
  return !("const" in field.schema) || takes(field.schema, value, root);
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function isSchema(value: unknown): value is Schema {
  return value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof Exact);
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
