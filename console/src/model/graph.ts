/**
 * A layered drawing of a run's steps: each below what it waits for, with few crossings, near to what it is joined with.
 * Long edges go through places of their own. Written here, since what libraries need for 1,000 steps is seconds.
 */

export interface Vertex {
  id: string;
  dependencies: readonly string[];
}

export interface Placed {
  id: string;
  x: number;
  y: number;
}

export interface Edge {
  from: string;
  to: string;
  points: [number, number][];
}

export interface Drawing {
  width: number;
  height: number;
  nodes: Placed[];
  edges: Edge[];
}

export const NODE = { width: 160, height: 40, gapX: 16, gapY: 40 };
const BEND_WIDTH = 12;
const SWEEPS = 6;

interface Cell {
  id: string | null;
  layer: number;
  above: Cell[];
  below: Cell[];
  width: number;
  x: number;
}

/** Where each step goes, and the way of each edge. */
export function drawn(vertices: readonly Vertex[]): Drawing {
  const cells = cellsOf(vertices);
  const { layers, ways } = layered(vertices, cells);
  ordered(layers);
  placed(layers);
  const left = Math.min(0, ...layers.flat().map((cell) => cell.x - cell.width / 2));
  for (const cell of layers.flat()) cell.x -= left;
  return {
    width: Math.max(0, ...layers.flat().map((cell) => cell.x + cell.width / 2)),
    height: Math.max(0, layers.length * (NODE.height + NODE.gapY) - NODE.gapY),
    nodes: [...cells.values()].map((cell) => ({ id: cell.id!, x: cell.x - NODE.width / 2, y: top(cell) })),
    edges: ways.map(({ from, to, way }) => ({ from, to, points: pointsOf(way) })),
  };
}

/** How many layers stand above each step; of a circle, which no version has, the edges that close it count nothing. */
export function depths(vertices: readonly Vertex[]): Map<string, number> {
  const byId = new Map(vertices.map((each) => [each.id, each]));
  const found = new Map<string, number>();
  const waiting = vertices.map((each) => each.id).reverse();
  const entered = new Set<string>();
  while (waiting.length) {
    const id = waiting[waiting.length - 1]!;
    const above = byId.get(id)!.dependencies.filter((each) => byId.has(each));
    const unknown = above.filter((each) => !found.has(each) && !entered.has(each));
    if (!entered.has(id) && unknown.length) {
      entered.add(id);
      waiting.push(...unknown);
      continue;
    }
    waiting.pop();
    if (!found.has(id)) found.set(id, Math.max(-1, ...above.map((each) => found.get(each) ?? -1)) + 1);
  }
  return found;
}

function cellsOf(vertices: readonly Vertex[]): Map<string, Cell> {
  const depth = depths(vertices);
  const width = NODE.width;
  return new Map(
    vertices.map(({ id }) => [id, { id, layer: depth.get(id)!, above: [], below: [], width, x: 0 } satisfies Cell]),
  );
}

function layered(vertices: readonly Vertex[], cells: Map<string, Cell>) {
  const layers: Cell[][] = [];
  const ways: { from: string; to: string; way: Cell[] }[] = [];
  const put = (cell: Cell) => (layers[cell.layer] ??= []).push(cell);
  for (const cell of cells.values()) put(cell);
  for (const { id, dependencies } of vertices) {
    for (const from of dependencies) {
      const start = cells.get(from);
      const end = cells.get(id)!;
      if (!start || start.layer >= end.layer) continue;
      const bends = Array.from({ length: end.layer - start.layer - 1 }, (_, n): Cell => {
        return { id: null, layer: start.layer + n + 1, above: [], below: [], width: BEND_WIDTH, x: 0 };
      });
      bends.forEach(put);
      const way = [start, ...bends, end];
      way.slice(1).forEach((cell, n) => (cell.above.push(way[n]!), way[n]!.below.push(cell)));
      ways.push({ from, to: id, way });
    }
  }
  return { layers, ways };
}

/** Puts the cells of each layer into the order of their neighbours' middles, down and up again. */
function ordered(layers: Cell[][]): void {
  const number = () => layers.forEach((layer) => layer.forEach((cell, n) => (cell.x = n)));
  number();
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) {
      const middle = new Map(layer.map((cell) => [cell, mean(down ? cell.above : cell.below) ?? cell.x]));
      layer.sort((a, b) => middle.get(a)! - middle.get(b)! || a.x - b.x);
      layer.forEach((cell, n) => (cell.x = n));
    }
  }
}

/** Gives each cell a place as near to its neighbours' as the cells beside it let it. */
function placed(layers: Cell[][]): void {
  for (const layer of layers) pushed(layer, layer.map((_, n) => n * (NODE.width + NODE.gapX)));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) {
      pushed(layer, layer.map((cell) => mean(down ? cell.above : cell.below) ?? cell.x));
    }
  }
}

/** The places nearest to what is wished (least squares) that keep order and distance: blocks are merged while they clash. */
function pushed(layer: Cell[], wished: number[]): void {
  const offsets: number[] = [];
  layer.forEach((cell, n) => {
    const before = layer[n - 1];
    offsets.push(before ? offsets[n - 1]! + (before.width + cell.width) / 2 + NODE.gapX : 0);
  });
  const blocks: { sum: number; count: number }[] = [];
  wished.forEach((wish, n) => {
    let block = { sum: wish - offsets[n]!, count: 1 };
    while (blocks.length && blocks.at(-1)!.sum / blocks.at(-1)!.count > block.sum / block.count) {
      const last = blocks.pop()!;
      block = { sum: last.sum + block.sum, count: last.count + block.count };
    }
    blocks.push(block);
  });
  let n = 0;
  for (const { sum, count } of blocks) for (let k = 0; k < count; k++, n++) layer[n]!.x = sum / count + offsets[n]!;
}

function mean(cells: readonly Cell[]): number | undefined {
  return cells.length ? cells.reduce((sum, cell) => sum + cell.x, 0) / cells.length : undefined;
}

function top(cell: Cell): number {
  return cell.layer * (NODE.height + NODE.gapY);
}

function pointsOf(way: Cell[]): [number, number][] {
  return way.flatMap((cell, n): [number, number][] => {
    const first = n === 0;
    const last = n === way.length - 1;
    if (first) return [[cell.x, top(cell) + NODE.height]];
    return last ? [[cell.x, top(cell)]] : [[cell.x, top(cell)], [cell.x, top(cell) + NODE.height]];
  });
}

/** Steps that wait for the same and are waited for by the same, if they are many, stand for one: a map's. */
export interface Folded {
  vertices: Vertex[];
  members: Map<string, string[]>;
}

export function folded(vertices: readonly Vertex[], least: number): Folded {
  const kin = new Map<string, Vertex[]>();
  const below = belowOf(vertices);
  for (const each of vertices) {
    const key = JSON.stringify([[...each.dependencies].sort(), (below.get(each.id) ?? []).sort()]);
    kin.set(key, [...(kin.get(key) ?? []), each]);
  }
  const members = new Map<string, string[]>();
  const standsFor = new Map<string, string>();
  for (const group of kin.values()) {
    if (group.length < least) continue;
    members.set(group[0]!.id, group.map((each) => each.id));
    for (const each of group) standsFor.set(each.id, group[0]!.id);
  }
  const left = vertices.filter((each) => (standsFor.get(each.id) ?? each.id) === each.id);
  const led = (ids: readonly string[]) => [...new Set(ids.map((id) => standsFor.get(id) ?? id))];
  return { vertices: left.map((each) => ({ id: each.id, dependencies: led(each.dependencies) })), members };
}

function belowOf(vertices: readonly Vertex[]): Map<string, string[]> {
  const below = new Map<string, string[]>();
  for (const { id, dependencies } of vertices)
    for (const from of dependencies) (below.get(from) ?? below.set(from, []).get(from)!).push(id);
  return below;
}
