import { describe, expect, it } from "vitest";
import { line, stacked, ticks, timeTicks } from "../src/model/chart";

const SIZE = { width: 100, height: 50 };

describe("an axis", () => {
  it.each([[0, [0]], [1, [0, 0.5, 1]], [7, [0, 5, 10]], [12, [0, 5, 10, 15]], [100, [0, 50, 100]], [0.04, [0, 0.02, 0.04]]])(
    "up to %d has lines at %j", (most, lines) => expect(ticks(most).map((each) => Number(each.toFixed(6)))).toEqual(lines));
  it("of time has them where people count", () => {
    expect(timeTicks(150_000_000)).toEqual([0, 60, 120, 180].map((each) => each * 1_000_000));
    expect(timeTicks(3_000)).toEqual([0, 1_000, 2_000, 3_000]);
    expect(timeTicks(0)).toEqual([0]);
  });
  it("always reaches the largest value, in few lines", () => {
    for (let most = 1; most < 1e14; most *= 1.7) {
      for (const lines of [ticks(most), timeTicks(most)]) expect(lines.at(-1)! >= most && (lines.length <= 6 || most > 2e12), `${most}: ${lines}`).toBe(true);
    }
  });
});

describe("bars", () => {
  it("stand on each other and fill their place", () => {
    expect(stacked([[2, 3]], 10, SIZE)[0]!.map(({ y, height }) => [y, height])).toEqual([[40, 10], [25, 15]]);
  });
  it("are seen however small they are, unless they are nothing", () => {
    expect(stacked([[1, 0]], 1_000_000, SIZE)[0]!.map(({ height }) => height)).toEqual([1.5, 0]);
  });
});

it("a line breaks off where nothing is known, and what stands alone is seen", () => {
  expect(line([10, 20, null, 0, null], 20, SIZE)).toBe("M10.0 25.0L30.0 0.0M64.0 50.0H76.0");
});
