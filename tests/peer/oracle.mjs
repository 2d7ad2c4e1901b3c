// The published peer, answering one JSON line for each JSON line it reads: {ask, cases: [[argument, …], …]} →
// [{value} | {error}, …]. It holds no judgement of its own: every answer is the peer's.
import { createInterface } from "node:readline";
import * as peer from "@cascade-flow/backend-interface";

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
};

const answer = (question, args) => {
  try {
    return { value: question(...args) };
  } catch (error) {
    return { error: error.message };
  }
};

for await (const line of createInterface({ input: process.stdin })) {
  const { ask, cases } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(cases.map((args) => answer(questions[ask], args)))}\n`);
}
