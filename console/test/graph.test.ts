import { describe, expect, it } from "vitest";
import { depths, drawn, folded, NODE, type Vertex } from "../src/model/graph";

const vertex = (id: string, ...dependencies: string[]): Vertex => ({ id, dependencies });
const DIAMOND = [vertex("a"), vertex("b", "a"), vertex("c", "a"), vertex("d", "b", "c")];

function overlaps(vertices: readonly Vertex[]): number {
  const { nodes } = drawn(vertices);
  const rows = new Map<number, number[]>();
  for (const { x, y } of nodes) rows.set(y, [...(rows.get(y) ?? []), x]);
  return [...rows.values()].flatMap((xs) => xs.sort((a, b) => a - b).slice(1).filter((x, n) => x - xs[n]! < NODE.width)).length;
}

/** Layers of some steps, each of which waits for two of the layer above, by a fixed rule. */
function woven(layers: number, width: number): Vertex[] {
  const name = (layer: number, n: number) => `${layer}-${n % width}`;
  return Array.from({ length: layers * width }, (_, n) => {
    const [layer, at] = [Math.floor(n / width), n % width];
    return layer ? vertex(name(layer, at), name(layer - 1, at * 7), name(layer - 1, at * 3 + 1)) : vertex(name(layer, at));
  });
}

describe("the drawing of a graph", () => {
  it("puts each step below all that it waits for", () => {
    const vertices = [...woven(6, 5), vertex("late", "0-0", "5-1")];
    const { nodes } = drawn(vertices);
    const y = new Map(nodes.map((node) => [node.id, node.y]));
    for (const { id, dependencies } of vertices) for (const above of dependencies) expect(y.get(id)!).toBeGreaterThan(y.get(above)!);
  });

  it("lets no two steps overlap, nor any stand left of the edge", () => {
    expect(overlaps(woven(8, 9))).toBe(0);
    expect(Math.min(...drawn(woven(8, 9)).nodes.map((node) => node.x))).toBeGreaterThanOrEqual(-0.001);
  });

  it("puts a join in the middle of what it joins", () => {
    const at = new Map(drawn(DIAMOND).nodes.map((node) => [node.id, node.x]));
    expect(at.get("d")).toBeCloseTo((at.get("b")! + at.get("c")!) / 2);
    expect(at.get("a")).toBeCloseTo(at.get("d")!);
  });

  it("uncrosses what can be uncrossed", () => {
    const at = new Map(drawn([vertex("a"), vertex("b"), vertex("c", "b"), vertex("d", "a")]).nodes.map((node) => [node.id, node.x]));
    expect(at.get("a")! < at.get("b")!).toBe(at.get("d")! < at.get("c")!);
  });

  it("leads an edge over several layers past the steps between", () => {
    const { edges, nodes } = drawn([vertex("a"), vertex("b", "a"), vertex("c", "b"), vertex("d", "a", "c")]);
    const long = edges.find((edge) => edge.from === "a" && edge.to === "d")!;
    const between = nodes.filter((node) => node.id === "b" || node.id === "c");
    for (const node of between)
      for (const [x, y] of long.points) expect(y >= node.y && y <= node.y + NODE.height && x > node.x && x < node.x + NODE.width).toBe(false);
    expect(long.points).toHaveLength(6);
  });

  it("draws nothing of nothing, passes over what isn't there, and ends in a circle", () => {
    expect(drawn([])).toEqual({ width: 0, height: 0, nodes: [], edges: [] });
    expect(drawn([vertex("a", "gone")]).edges).toEqual([]);
    expect([...depths([vertex("a", "b"), vertex("b", "a")]).keys()].sort()).toEqual(["a", "b"]);
  });

  it("counts depth without recursion, however long a chain is", () => {
    const chain = Array.from({ length: 20_000 }, (_, n) => (n ? vertex(`${n}`, `${n - 1}`) : vertex("0")));
    expect(depths([...chain].reverse()).get("19999")).toBe(19_999);
  });

  it("draws a thousand steps in a part of a second", () => {
    // The best of some: what else the machine does is no part of it.
    const took = Array.from({ length: 5 }, () => {
      const began = performance.now();
      expect(drawn(woven(50, 20)).nodes).toHaveLength(1_000);
      return performance.now() - began;
    });
    expect(Math.min(...took)).toBeLessThan(500);
  });
});

describe("folding", () => {
  const map = [vertex("list"), ...Array.from({ length: 12 }, (_, n) => vertex(`part-${n}`, "list")), vertex("sum", ...Array.from({ length: 12 }, (_, n) => `part-${n}`))];

  it("lets many steps alike stand for one, and keeps what is joined", () => {
    const { vertices, members } = folded(map, 9);
    expect(vertices).toEqual([vertex("list"), vertex("part-0", "list"), vertex("sum", "part-0")]);
    expect(members.get("part-0")).toHaveLength(12);
  });

  it("leaves few as they are", () => {
    expect(folded(map, 13).vertices).toHaveLength(14);
    expect(folded(map, 13).members.size).toBe(0);
  });
});
