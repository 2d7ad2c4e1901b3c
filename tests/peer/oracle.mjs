// The published peer, answering one JSON line for each JSON line it reads: {ask, cases: [[argument, …], …]} →
// [{value} | {error}, …]. It holds no judgement of its own: every answer is the peer's.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { FileSystemBackend } from "@cascade-flow/backend-filesystem";
import * as peer from "@cascade-flow/backend-interface";

// What a fresh filesystem backend of it answers to these calls ([moment in µs, method, argument, …]), one after the other.
const backend = async (...calls) => {
  const folder = await mkdtemp(join(tmpdir(), "peer-"));
  const readings = [Date.now, performance.now];
  try {
    const store = new FileSystemBackend(folder);
    const answers = [];
    for (const [atUs, method, ...args] of calls) {
      [Date.now, performance.now] = [() => Math.floor(atUs / 1000), () => (atUs % 1000) / 1000];
      answers.push(await answer((...given) => store[method](...given), restored(method, args)));
    }
    return answers;
  } finally {
    [Date.now, performance.now] = readings;
    await rm(folder, { recursive: true, force: true });
  }
};

// JSON has neither sets nor maps.
const restored = (method, args) =>
  method === "copyStepEvents" ? [...args.slice(0, -1), new Set(args.at(-1))] : args;
const jsonable = (_, value) => (value instanceof Map ? Object.fromEntries(value) : value);

const questions = {
  parse: (event) => peer.eventSchema.parse(event),
  stepState: peer.projectStepState,
  stepRecord: peer.projectStepRecord,
  runState: peer.projectRunStateFromEvents,
  logs: peer.extractLogsFromEvents,
  attempts: peer.extractAttemptMetadata,
  currentAttemptNumber: peer.getCurrentAttemptNumber,
  versionId: peer.getVersionIdFromEvents,
  fingerprints: (error) => peer.computeErrorFingerprints(error),
  calculatePercentiles: peer.calculatePercentiles,
  computeErrorAnalysis: peer.computeErrorAnalysis,
  computeRetryAnalysis: peer.computeRetryAnalysis,
  computeSchedulingLatency: peer.computeSchedulingLatency,
  computeStepDuration: peer.computeStepDuration,
  computeWorkflowDuration: peer.computeWorkflowDuration,
  computeWorkerStability: peer.computeWorkerStability,
  computeThroughput: peer.computeThroughput,
  computeSuccessRate: peer.computeSuccessRate,
  backend,
};

const answer = async (question, args) => {
  try {
    return { value: await question(...args) };
  } catch (error) {
    return { error: error.message };
  }
};

for await (const line of createInterface({ input: process.stdin })) {
  const { ask, cases } = JSON.parse(line);
  const answers = [];
  for (const args of cases) answers.push(await answer(questions[ask], args));
  process.stdout.write(`${JSON.stringify(answers, jsonable)}\n`);
}
