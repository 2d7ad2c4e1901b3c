/** One way to ask: this console's server, which passes calls on to the API. What is refused is thrown as a Problem. */

import { exactly, spelled } from "../model/exact";
import type { components } from "./schema";

export type Schemas = components["schemas"];
export type Run = Schemas["Run"];
export type RunDetails = Schemas["RunDetails"];
export type StepOfRun = Schemas["StepOfRun"];
export type StepFiles = Schemas["StepFiles"];
export type AttemptOfStep = Schemas["AttemptOfStep"];
export type RunEvent = Schemas["EventPage"]["events"][number];
export type LogLine = Schemas["LogLine"];
export type Finding = Schemas["Finding"];
export type Workflow = Schemas["Workflow"];

export interface About {
  readOnly: boolean;
  where: "local" | "aws";
  name: string;
  env?: string | null;
  region: string;
  apiUrl: string;
  version: string;
}

type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

const KEY = "cascade-console-key";

/** A refusal, or an answer that never came. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly issues: readonly { path: string; message: string }[] = [],
  ) {
    super(detail);
  }

  /** Whether the same request may go well later. */
  get passes(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** Take the key that the link has brought, and leave an address without it. */
export function takeKey(): void {
  const found = /^#key=([\w-]+)$/.exec(location.hash);
  if (!found) return;
  localStorage.setItem(KEY, found[1]!);
  history.replaceState(null, "", location.pathname + location.search);
}

export function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return ask<T>("GET", path + queryText(query), undefined, signal);
}

export function post<T>(path: string, body: unknown): Promise<T> {
  return ask<T>("POST", path, body);
}

/** A part of a path; a step's id may hold slashes, and keeps them. */
export function part(text: string): string {
  return encodeURIComponent(text).replace(/%2F/g, "/");
}

function queryText(query: Query): string {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === "") continue;
    for (const each of Array.isArray(value) ? value : [value]) pairs.append(name, String(each));
  }
  const text = pairs.toString().replace(/\+/g, "%20");
  return text && `?${text}`;
}

async function ask<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = { "x-cascade-console": localStorage.getItem(KEY) ?? "" };
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await sent(path, { method, headers, body: body === undefined ? undefined : spelled(body), signal });
  const value = await readOf(answer);
  if (!answer.ok) throw problemOf(answer.status, value);
  return value as T;
}

async function sent(path: string, how: RequestInit): Promise<Response> {
  try {
    return await fetch(path, how);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "console-away", "The console has ended: start it again with `cascade console`, and open its link.");
  }
}

async function readOf(answer: Response): Promise<unknown> {
  const text = await answer.text();
  try {
    return text ? exactly(text) : {};
  } catch {
    return { detail: text.slice(0, 200) };
  }
}

function problemOf(status: number, value: unknown): Problem {
  const told = value as { code?: string; detail?: string; message?: string; issues?: Problem["issues"] };
  const forbidden = "AWS refused the request: your credentials may not do this (execute-api:Invoke).";
  const said = told.detail ?? (status === 403 ? forbidden : (told.message ?? `The API answered ${status}.`));
  return new Problem(status, told.code ?? `http-${status}`, said, told.issues ?? []);
}
