// The published peer, answering one JSON line for each JSON line it reads: {ask, cases: [[argument, …], …]} →
// [{value} | {error}, …]. It holds no judgement of its own: every answer is the peer's.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { FileSystemBackend } from "@cascade-flow/backend-filesystem";
import * as peer from "@cascade-flow/backend-interface";

// What its filesystem backend answers to these calls ([method, argument, …]) at that time, with these events stored.
const backend = async (nowUs, registrations, events, calls) => {
  const folder = await mkdtemp(join(tmpdir(), "peer-"));
  const readings = [Date.now, performance.now];
  try {
    [Date.now, performance.now] = [() => nowUs / 1000, () => 0];
    const store = new FileSystemBackend(folder);
    for (const registration of registrations) await store.registerWorkflow(registration);
    for (const event of events) await store.appendEvent(event.workflowSlug, event.runId, event);
    const answers = [];
    for (const [method, ...args] of calls) answers.push(await store[method](...args));
    return answers;
  } finally {
    [Date.now, performance.now] = readings;
    await rm(folder, { recursive: true, force: true });
  }
};

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
  process.stdout.write(`${JSON.stringify(answers)}\n`);
}
