/** A form made of a JSON Schema: a field for each part that one fits, JSON for the rest, and for all of it on demand. */

import { useId, useState, type ReactNode } from "react";
import { Exact, spelled } from "../model/exact";
import { visible } from "../model/text";
import { blank, fits, given, jsonIn, numberIn, resolved, shapeOf, titleOf, Unread, variantFor, type Field, type Schema, type Shape } from "../model/schema";

export interface Issue {
  path: string;
  message: string;
}

interface SchemaFormProps {
  /** None: anything is taken, as JSON. */
  schema: Schema | undefined;
  value: unknown;
  change: (value: unknown) => void;
  /** What the API calls the whole: `input`, `data`. Its issues begin with it. */
  root: string;
  label: string;
  issues?: readonly Issue[];
}

/** What it gives may hold an Unread: `faultIn` says whether it can be sent. */
export function SchemaForm({ schema, value, change, root, label, issues = [] }: SchemaFormProps) {
  const [asText, setAsText] = useState(false);
  const hasFields = schema !== undefined && fits(shapeOf(schema, schema), value);
  const way = { root: schema ?? {}, path: root, issues, depth: 0 };
  return (
    <fieldset className="form">
      <legend>{label}</legend>
      {hasFields && <button type="button" className="small form-way" aria-pressed={asText} onClick={() => setAsText(!asText)}>as JSON</button>}
      {hasFields && !asText
        ? <Value schema={schema} name={label} value={value} change={change} way={way} />
        : <JsonText name={hasFields || schema === undefined ? label : `${label}, as JSON`} rows={10} value={value} change={change} way={way} hidesName />}
    </fieldset>
  );
}

interface Way {
  root: Schema;
  path: string;
  issues: readonly Issue[];
  depth: number;
}

interface ValueProps {
  name: string;
  value: unknown;
  change: (value: unknown) => void;
  way: Way;
  note?: string;
}

const DEEPEST = 6;

function Value({ schema, ...props }: ValueProps & { schema: Schema }) {
  const { way, value } = props;
  const found = resolved(schema, way.root);
  const shape = shapeOf(found, way.root);
  const told = { ...props, note: noteOf(props.name, found, shape) };
  if (!fits(shape, value) || way.depth > DEEPEST) return <JsonText {...told} rows={3} />;
  switch (shape.kind) {
    case "text": return <Text {...told} format={shape.format} />;
    case "number": return <NumberText {...told} whole={shape.whole} />;
    case "truth": return <Truth {...told} />;
    case "choice": return <Choice {...told} options={shape.options} />;
    case "fields": return <Fields {...told} fields={shape.fields} />;
    case "list": return <List {...told} items={shape.items} />;
    case "either": return <Either {...told} variants={shape.variants} />;
    case "any": return <JsonText {...told} rows={3} />;
  }
}

function Text({ format, ...props }: ValueProps & { format?: string }) {
  const text = typeof props.value === "string" ? props.value : "";
  return (
    <Labelled {...props}>{(about) => format === "date"
      ? <input {...about} type="date" value={text} onChange={(event) => props.change(event.target.value)} />
      : <textarea {...about} className="is-text" rows={1} value={text} onChange={(event) => props.change(event.target.value)} placeholder={EXAMPLES[format ?? ""]} />}
    </Labelled>
  );
}

const EXAMPLES: Record<string, string> = { "date-time": "2026-11-27T14:05:00Z", time: "14:05:00", email: "mila@example.org", uri: "https://example.org/" };

function NumberText({ whole, ...props }: ValueProps & { whole: boolean }) {
  const { text, type } = useTyped(props, (value) => (value instanceof Exact ? value.text : String(value)), (typed) => numberIn(typed, whole));
  return <Labelled {...props}>{(about) => <input {...about} type="text" inputMode={whole ? "numeric" : "decimal"} value={text} onChange={(event) => type(event.target.value)} />}</Labelled>;
}

function Truth({ name, value, change, way, note }: ValueProps) {
  const group = useId();
  return (
    <fieldset className="form-group is-inline">
      <legend>{visible(name)}</legend>
      {[true, false].map((each) => (
        <label key={String(each)} className="choice"><input type="radio" name={group} checked={value === each} onChange={() => change(each)} /><span>{each ? "yes" : "no"}</span></label>
      ))}
      <Notes note={note} faults={faultsAt(way, value)} />
    </fieldset>
  );
}

function Choice({ options, ...props }: ValueProps & { options: readonly unknown[] }) {
  const chosen = options.findIndex((each) => JSON.stringify(each) === JSON.stringify(props.value));
  return (
    <Labelled {...props}>{(about) => (
      <select {...about} value={chosen} onChange={(event) => props.change(options[Number(event.target.value)])}>
        {chosen < 0 && <option value={-1}>choose…</option>}
        {options.map((each, n) => <option key={n} value={n}>{visible(typeof each === "string" ? each : JSON.stringify(each))}</option>)}
      </select>
    )}</Labelled>
  );
}

function Fields({ fields, value, change, way, name, note }: ValueProps & { fields: readonly Field[] }) {
  const held = value as Schema;
  const put = (field: string, each: unknown) => change(Object.fromEntries(Object.entries({ ...held, [field]: each }).filter(([, kept]) => kept !== undefined)));
  const content = fields.map((field) => (
    <OneField key={field.name} field={field} value={held[field.name]} change={(each) => put(field.name, each)} way={below(way, field.name)} />
  ));
  if (!way.depth) return <div className="form-fields">{content}{!fields.length && <p className="dim">It takes no field.</p>}</div>;
  return <Group name={name} note={note} way={way}>{content}</Group>;
}

/** An optional field is there or left out, and its box says which. */
function OneField({ field, value, change, way }: { field: Field; value: unknown; change: (value: unknown) => void; way: Way }) {
  const schema = given(field);
  const shown = value !== undefined && <Value schema={schema} name={field.name} value={value} change={change} way={way} />;
  if (field.required) return shown || <Value schema={schema} name={field.name} value={blank(schema, way.root)} change={change} way={way} />;
  const fallback = field.schema.default ?? undefined;
  return (
    <div className="form-optional">
      <input type="checkbox" checked={value !== undefined} aria-label={`give ${visible(field.name)}`} title="optional: given, or left out"
        onChange={(event) => change(event.target.checked ? first(schema, way.root) : undefined)} />
      {shown || <p><span>{visible(field.name)}</span> <span className="dim">left out{fallback !== undefined && `: ${visible(JSON.stringify(fallback)).slice(0, 60)}`}</span></p>}
    </div>
  );
}

/** What an optional field begins with: never nothing, which would be to leave it out. */
function first(schema: Schema, root: Schema): unknown {
  return blank(schema, root) ?? null;
}

function List({ items, value, change, way, name, note }: ValueProps & { items: Schema }) {
  const held = value as unknown[];
  return (
    <Group name={name} note={note} way={way}>
      {held.map((each, n) => (
        <div key={n} className="form-item">
          <Value schema={items} name={String(n + 1)} value={each} change={(to) => change(held.with(n, to))} way={below(way, String(n))} />
          <button type="button" className="plain icon" aria-label={`Remove item ${n + 1} of ${visible(name)}`} onClick={() => change(held.toSpliced(n, 1))}>✕</button>
        </div>
      ))}
      <button type="button" className="small" onClick={() => change([...held, blank(items, way.root)])}>{held.length ? "Add another" : "Add one"}</button>
    </Group>
  );
}

function Either({ variants, ...props }: ValueProps & { variants: readonly Schema[] }) {
  const { value, change, way, name, note } = props;
  const [chosen, setChosen] = useState(() => variantFor(variants, value, way.root));
  const variant = variants[chosen]!;
  const choose = (n: number) => (setChosen(n), change(blank(variants[n]!, way.root)));
  return (
    <Group name={name} note={note} way={way}>
      <select aria-label={`Kind of ${visible(name)}`} value={chosen} onChange={(event) => choose(Number(event.target.value))}>
        {variants.map((each, n) => <option key={n} value={n}>{visible(titleOf(each, way.root))}</option>)}
      </select>
      {resolved(variant, way.root).type !== "null" && <Value schema={variant} name={titleOf(variant, way.root)} value={value} change={change} way={{ ...way, depth: way.depth + 1 }} />}
    </Group>
  );
}

function JsonText({ rows, hidesName, ...props }: ValueProps & { rows: number; hidesName?: boolean }) {
  const { text, type } = useTyped(props, (value) => spelled(value, 2), jsonIn);
  return <Labelled {...props} hidesName={hidesName}>{(about) => <textarea {...about} rows={rows} spellCheck={false} value={text} onChange={(event) => type(event.target.value)} />}</Labelled>;
}

/** What somebody types, kept as it was typed as long as it means what the value is. */
function useTyped(props: ValueProps, write: (value: unknown) => string, read: (text: string) => unknown) {
  const [typed, setTyped] = useState<{ text: string; value: unknown } | null>(null);
  const fresh = props.value instanceof Unread ? props.value.text : write(props.value);
  const type = (text: string) => {
    const value = read(text);
    setTyped({ text, value });
    props.change(value);
  };
  return { text: typed && Object.is(typed.value, props.value) ? typed.text : fresh, type };
}

interface Described {
  id: string;
  "aria-describedby": string;
  "aria-invalid": boolean;
}

function Labelled({ name, value, way, note, hidesName, children }: ValueProps & { hidesName?: boolean; children: (about: Described) => ReactNode }) {
  const id = useId();
  const faults = faultsAt(way, value);
  return (
    <div className="form-field">
      <label htmlFor={id} className={hidesName ? "hidden" : undefined}>{visible(name)}</label>
      {children({ id, "aria-describedby": `${id}-notes`, "aria-invalid": faults.length > 0 })}
      <Notes id={`${id}-notes`} note={note} faults={faults} />
    </div>
  );
}

function Group({ name, note, way, children }: { name: string; note?: string; way: Way; children: ReactNode }) {
  return <fieldset className="form-group"><legend>{visible(name)}</legend><Notes note={note} faults={faultsAt(way, null)} />{children}</fieldset>;
}

function Notes({ id, note, faults }: { id?: string; note?: string; faults: readonly string[] }) {
  return <div id={id} className="form-notes">{note && <small>{visible(note)}</small>}{faults.map((each) => <p key={each} className="wrong" role="alert">{visible(each)}</p>)}</div>;
}

/** What was typed and can't be read counts before what the API said of what was sent before. */
function faultsAt(way: Way, value: unknown): string[] {
  if (value instanceof Unread) return value.text ? [value.why] : [];
  return way.issues.filter((issue) => issue.path === way.path).map((issue) => issue.message);
}

function below(way: Way, name: string): Way {
  return { ...way, path: `${way.path}.${name}`, depth: way.depth + 1 };
}

/** The schema's own words, where they say more than the name does. */
function noteOf(name: string, schema: Schema, shape: Shape): string | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[_\s-]+/g, " ");
  const title = typeof schema.title === "string" && plain(schema.title) !== plain(name) && shape.kind !== "fields" ? schema.title : "";
  const bounds = [["minimum", "at least"], ["exclusiveMinimum", "more than"], ["maximum", "at most"], ["exclusiveMaximum", "less than"], ["maxLength", "characters at most:"], ["pattern", "pattern"]];
  const said = bounds.filter(([key]) => schema[key!] !== undefined).map(([key, words]) => `${words} ${String(schema[key!])}`);
  const description = typeof schema.description === "string" ? schema.description : "";
  return [title, description, said.join(", ")].filter(Boolean).join(" · ") || undefined;
}
