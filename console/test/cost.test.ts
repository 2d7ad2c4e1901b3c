import { describe, expect, it } from "vitest";
import type { StepOfRun } from "../src/api/ask";
import { costOf, dollars, GIGABYTE_SECOND, PRICES } from "../src/model/cost";
import type { Bar, Lane } from "../src/model/timeline";
import COUNTED from "../../docs/costs.md?raw";

const S = 1_000_000;
const step = (stepId: string, ...dependencies: string[]) => ({ stepId, dependencies }) as unknown as StepOfRun;
const bar = (worker: string, fromUs: number, toUs: number | undefined, outcome: Bar["outcome"] = "completed"): Bar => ({ kind: "running", attempt: 1, fromUs, toUs, outcome, worker });
const lane = (stepId: string, ...bars: Bar[]): Lane => ({ stepId, bars });
const WORKERS = { memoryMb: 512, heartbeatUs: 20 * S };
const count = (all: Lane[], steps: StepOfRun[], nowUs = 0) => Object.fromEntries(costOf(all, steps, WORKERS, nowUs).map((post) => [post.what, post.number]));

describe("the prices", () => {
  it.each(Object.entries(PRICES))("of %s is what is counted", (what, price) => {
    const row = COUNTED.split("\n").find((line) => line.startsWith(`| ${what} |`));
    expect(row?.split("|").at(-2)?.trim()).toBe(price.toFixed(2));
  });
  it("of a GB-second is the page's", () => expect(COUNTED).toContain(`own work x ${GIGABYTE_SECOND}`));
});

describe("what a run has cost", () => {
  it("tells a chain from what came through the queue, and a fork that meets again", () => {
    const steps = [step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c")];
    const all = [lane("a", bar("w", 0, S)), lane("b", bar("w", S + 4, 2 * S + 4)), lane("c", bar("v", 2 * S, 3 * S)), lane("d", bar("u", 3 * S, 4 * S))];
    expect(count(all, steps)).toEqual({
      "a run of one branch, without its steps": 1, "a step chained in the same worker": 1, "a step through the queue": 2,
      "a parallel step of a wide fan-out, to its join": 1, "workers' time, at 512 MB": 2,
    });
  });

  it("counts each attempt, and heartbeats of long ones", () => {
    const tries = [bar("w", 0, 50 * S, "failed"), bar("w", 60 * S, 61 * S, "postponed"), bar("w", 70 * S, undefined, "running")];
    expect(count([lane("a", ...tries)], [step("a")], 111 * S)).toMatchObject({ "a retry": 1, "an attempt that was not ready": 1, "a heartbeat": 4, "workers' time, at 512 MB": 46 });
  });

  it("takes no time of Lambda for steps on somebody's own machines, and nothing for what was only kept", () => {
    const own = { ...step("a"), executor: "gpu" } as StepOfRun;
    expect(count([lane("a", bar("w", 0, S))], [own, step("b")])).toEqual({ "a run of one branch, without its steps": 1, "a step through the queue": 1 });
  });

  it("begins with what is dearest", () => {
    expect(costOf([lane("a", bar("w", 0, 100 * S))], [step("a")], WORKERS, 0)[0]).toMatchObject({ what: "workers' time, at 512 MB", dollars: (50 * GIGABYTE_SECOND) / S });
  });
});

it.each([[0, "$0.00"], [0.0000142, "$0.000014"], [0.0342, "$0.034"], [0.5, "$0.50"], [12.345, "$12.35"], [9.96e-7, "$0.0000010"]])("%d is told as %s", (amount, told) => expect(dollars(amount)).toBe(told));
