/** A first input for a JSON Schema: its defaults and examples, and something of the right kind for all that is required. */

type Schema = Record<string, unknown>;

const DEEPEST = 8;

export function blank(schema: Schema, root: Schema = schema, depth = 0): unknown {
  const found = resolved(schema, root);
  if ("default" in found) return found.default;
  if (Array.isArray(found.examples) && found.examples.length) return found.examples[0];
  if ("const" in found) return found.const;
  if (Array.isArray(found.enum)) return found.enum[0];
  const either = (found.anyOf ?? found.oneOf ?? found.allOf) as Schema[] | undefined;
  if (either?.length) return depth > DEEPEST ? null : blank(either[0]!, root, depth + 1);
  return ofKind(found, root, depth);
}

function ofKind(schema: Schema, root: Schema, depth: number): unknown {
  const kind = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (kind === "object" || schema.properties) return fields(schema, root, depth);
  if (kind === "array") return [];
  if (kind === "string") return "";
  if (kind === "integer" || kind === "number") return (schema.minimum as number | undefined) ?? 0;
  return kind === "boolean" ? false : null;
}

function fields(schema: Schema, root: Schema, depth: number): Schema {
  const properties = (schema.properties ?? {}) as Record<string, Schema>;
  const required = new Set((schema.required ?? []) as string[]);
  const wanted = Object.entries(properties).filter(([name, each]) => required.has(name) || "default" in each);
  return Object.fromEntries(depth > DEEPEST ? [] : wanted.map(([name, each]) => [name, blank(each, root, depth + 1)]));
}

function resolved(schema: Schema, root: Schema): Schema {
  const ref = schema.$ref;
  if (typeof ref !== "string" || !ref.startsWith("#/")) return schema;
  const found = ref.slice(2).split("/").reduce<unknown>((at, name) => (at as Schema | undefined)?.[name.replace(/~1/g, "/").replace(/~0/g, "~")], root);
  return { ...((found as Schema | undefined) ?? {}), ...Object.fromEntries(Object.entries(schema).filter(([name]) => name !== "$ref")) };
}
