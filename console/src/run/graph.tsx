/** The run's steps as a graph: moved with the pointer, walked through with the arrow keys. */

import { useEffect, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import type { StepOfRun } from "../api/ask";
import { drawn, folded, NODE, type Placed } from "../model/graph";
import { sharesOf } from "../model/family";
import { count } from "../model/format";
import { visible } from "../model/text";
import { Shape, type State } from "../ui/signs";

const LEAST_TO_FOLD = 9;
const SCALES = { least: 0.08, most: 1.6, readable: 0.6 };
const MARGIN = 24;

interface View {
  x: number;
  y: number;
  scale: number;
}

interface GraphProps {
  steps: readonly StepOfRun[];
  chosen: string | null;
  choose: (stepId: string) => void;
  words: (step: StepOfRun) => string;
}

export function Graph({ steps, chosen, choose, words }: GraphProps) {
  const [unfolded, setUnfolded] = useState(false);
  const shape = steps.map((step) => [step.stepId, ...step.dependencies].join("\u0000")).join("\u0001");
  const { drawing, members } = useMemo(() => {
    const vertices = steps.map((step) => ({ id: step.stepId, dependencies: step.dependencies }));
    const group = folded(vertices, unfolded ? Infinity : LEAST_TO_FOLD);
    return { drawing: drawn(group.vertices), members: group.members };
    // eslint-disable-next-line: the shape says all that the drawing depends on
  }, [shape, unfolded]);
  const byId = useMemo(() => new Map(steps.map((step) => [step.stepId, step])), [steps]);
  const box = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [view, setView] = useState<View | null>(null);
  const [focused, setFocused] = useState(drawing.nodes[0]?.id ?? "");
  const drag = useRef<{ x: number; y: number; view: View } | null>(null);

  useLayoutEffect(() => {
    const seen = new ResizeObserver(([entry]) => setSize({ width: entry!.contentRect.width, height: entry!.contentRect.height }));
    if (box.current) seen.observe(box.current);
    return () => seen.disconnect();
  }, []);
  const shown = view ?? fitting(drawing, size);
  const zoom = (by: number, at = { x: size.width / 2, y: size.height / 2 }) => setView(zoomed(shown, by, at));

  useEffect(() => {
    const node = box.current;
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const at = node!.getBoundingClientRect();
      zoom(Math.exp(-event.deltaY / 300), { x: event.clientX - at.left, y: event.clientY - at.top });
    };
    node?.addEventListener("wheel", wheel, { passive: false });
    return () => node?.removeEventListener("wheel", wheel);
  });

  const moved = (event: PointerEvent) => {
    if (drag.current) setView({ ...drag.current.view, x: drag.current.view.x + event.clientX - drag.current.x, y: drag.current.view.y + event.clientY - drag.current.y });
  };
  const pressed = (event: KeyboardEvent) => {
    const zooms: Record<string, () => void> = { "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), "0": () => setView(null) };
    const next = ARROWS[event.key] && neighbour(drawing.nodes, focused, ARROWS[event.key]!);
    if (!zooms[event.key] && !ARROWS[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    zooms[event.key]?.();
    if (next) {
      setFocused(next.id);
      setView(brought(shown, next, size));
      requestAnimationFrame(() => box.current?.querySelector<HTMLElement>(`[data-step="${CSS.escape(next.id)}"]`)?.focus({ preventScroll: true }));
    }
  };
  const inSight = drawing.nodes.length < 120 ? drawing.nodes : drawing.nodes.filter((node) => isInSight(node, shown, size) || node.id === focused);
  const edges = drawing.edges.length < 400 ? drawing.edges : drawing.edges.filter((edge) => edge.points.some(([x, y]) => isInSight({ id: "", x: x - NODE.width / 2, y }, shown, size)));
  return (
    <div className="graph">
      <div className="graph-bar">
        {(members.size > 0 || unfolded) && <button type="button" className="small" onClick={() => (setUnfolded(!unfolded), setView(null))}>{unfolded ? "Fold alike steps" : "Unfold"}</button>}
        <button type="button" className="small" aria-label="Zoom in" onClick={() => zoom(1.25)}>+</button>
        <button type="button" className="small" aria-label="Zoom out" onClick={() => zoom(0.8)}>−</button>
        <button type="button" className="small" onClick={() => setView(null)}>Fit</button>
      </div>
      <div className="graph-box" ref={box} role="group" aria-label="Graph of the steps" onKeyDown={pressed} onPointerMove={moved}
        onPointerDown={(event) => {
          if ((event.target as HTMLElement).closest("button")) return;
          drag.current = { x: event.clientX, y: event.clientY, view: shown };
          event.currentTarget.setPointerCapture(event.pointerId);
        }}
        onPointerUp={() => (drag.current = null)} onPointerCancel={() => (drag.current = null)}>
        <div className="graph-sheet" style={{ transform: `translate(${shown.x}px, ${shown.y}px) scale(${shown.scale})`, width: drawing.width, height: drawing.height }}>
          <svg width={drawing.width} height={drawing.height} aria-hidden="true">
            {edges.map((edge) => (
              <path key={`${edge.from}\u0000${edge.to}`} d={curve(edge.points)} className={edgeClass(byId.get(edge.from), chosen === edge.from || chosen === edge.to)} />
            ))}
          </svg>
          {inSight.map((node) => {
            const group = members.get(node.id);
            const step = byId.get(node.id);
            if (!step) return null;
            const props = { node, tabbable: node.id === focused, onFocus: () => setFocused(node.id) };
            return group
              ? <FoldedNode key={node.id} {...props} steps={group.map((id) => byId.get(id)!)} unfold={() => (setUnfolded(true), setView(null))} />
              : <Node key={node.id} {...props} step={step} word={words(step)} chosen={chosen === node.id} choose={() => choose(node.id)} />;
          })}
        </div>
      </div>
    </div>
  );
}

interface NodeProps {
  node: Placed;
  tabbable: boolean;
  onFocus: () => void;
}

function Node({ node, step, word, chosen, choose, tabbable, onFocus }: NodeProps & { step: StepOfRun; word: string; chosen: boolean; choose: () => void }) {
  const shares = sharesOf(step);
  return (
    <button type="button" className={`node ${step.children ? "is-family" : ""} is-${step.status} ${step.event ? "is-event" : ""} ${step.event?.waits ? "is-waits" : ""}`} style={placeOf(node)} data-step={node.id} aria-pressed={chosen} tabIndex={tabbable ? 0 : -1}
      onFocus={onFocus} onClick={choose} title={visible(step.stepId)}>
      <Shape state={step.event?.waits ? "waiting" : (step.status as State)} />
      <span className="node-name">{visible(step.name || step.stepId)}</span>
      {shares && <span className="node-share" aria-hidden="true"><i style={{ width: `${shares.over * 100}%` }} /><b style={{ width: `${shares.failed * 100}%` }} /></span>}
      <span className="node-word">{word}{!step.children && step.attemptNumber > 1 && <b> ×{step.attemptNumber}</b>}</span>
    </button>
  );
}

function FoldedNode({ node, steps, unfold, tabbable, onFocus }: NodeProps & { steps: StepOfRun[]; unfold: () => void }) {
  const states = new Map<string, number>();
  for (const step of steps) states.set(step.status, (states.get(step.status) ?? 0) + 1);
  const worst = ["failed", "running", "scheduled", "pending", "completed", "skipped"].find((state) => states.has(state))!;
  const told = [...states].map(([state, number]) => `${number} ${state}`).join(", ");
  return (
    <button type="button" className={`node is-folded is-${worst}`} style={placeOf(node)} data-step={node.id} tabIndex={tabbable ? 0 : -1} onFocus={onFocus} onClick={unfold}
      title={`${told}: unfold`}>
      <span className="node-name">{count(steps.length, "step")} alike</span>
      <span className="node-word">{[...states].map(([state, number]) => <span key={state} className={`state is-${state}`}><Shape state={state as State} />{number}<span className="hidden">{state}</span></span>)}</span>
    </button>
  );
}

/** More than a drawing is wide. */
const FAR = 1e6;
const ARROWS: Record<string, [number, number]> = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

/** The nearest node in a direction: up and down of the next layer, to the sides of the same. */
function neighbour(nodes: readonly Placed[], from: string, [dx, dy]: [number, number]): Placed | undefined {
  const here = nodes.find((node) => node.id === from);
  if (!here) return nodes[0];
  const far = (node: Placed) => {
    const [x, y] = [node.x - here.x, node.y - here.y];
    const along = x * dx + y * dy;
    return along <= 1 ? Infinity : Math.abs(y) * FAR + Math.abs(x);
  };
  const best = nodes.reduce<Placed | undefined>((least, node) => (far(node) < (least ? far(least) : Infinity) ? node : least), undefined);
  return best ?? here;
}

function placeOf(node: Placed) {
  return { transform: `translate(${node.x}px, ${node.y}px)`, width: NODE.width, height: NODE.height };
}

function fitting(drawing: { width: number; height: number }, size: { width: number; height: number }): View {
  if (!size.width || !drawing.width) return { x: 0, y: 0, scale: 1 };
  const whole = Math.min(1, (size.width - 2 * MARGIN) / drawing.width, (size.height - 2 * MARGIN) / drawing.height);
  // What would be too small to read begins at its top instead.
  const scale = Math.max(Math.min(SCALES.readable, (size.width - 2 * MARGIN) / Math.min(drawing.width, 3 * NODE.width)), whole);
  const fitsDown = drawing.height * scale <= size.height - 2 * MARGIN;
  const y = fitsDown ? (size.height - drawing.height * scale) / 2 : MARGIN;
  return { x: (size.width - drawing.width * scale) / 2, y, scale };
}

function zoomed(view: View, by: number, at: { x: number; y: number }): View {
  const scale = Math.min(SCALES.most, Math.max(SCALES.least, view.scale * by));
  const ratio = scale / view.scale;
  return { scale, x: at.x - (at.x - view.x) * ratio, y: at.y - (at.y - view.y) * ratio };
}

/** The view, moved so far that a node is seen. */
function brought(view: View, node: Placed, size: { width: number; height: number }): View {
  const [left, top] = [view.x + node.x * view.scale, view.y + node.y * view.scale];
  const [right, bottom] = [left + NODE.width * view.scale, top + NODE.height * view.scale];
  const by = (start: number, end: number, room: number) => (start < MARGIN ? MARGIN - start : end > room - MARGIN ? room - MARGIN - end : 0);
  return { ...view, x: view.x + by(left, right, size.width), y: view.y + by(top, bottom, size.height) };
}

function isInSight(node: Placed, view: View, size: { width: number; height: number }): boolean {
  const [x, y] = [view.x + node.x * view.scale, view.y + node.y * view.scale];
  const room = NODE.width * view.scale + 100;
  return x > -room && y > -room && x < size.width + room && y < size.height + room;
}

function curve(points: [number, number][]): string {
  const [[x, y], ...rest] = points as [[number, number], ...[number, number][]];
  let [fromX, fromY] = [x, y];
  let path = `M${x} ${y}`;
  for (const [toX, toY] of rest) {
    const middle = (fromY + toY) / 2;
    path += fromX === toX ? `V${toY}` : `C${fromX} ${middle} ${toX} ${middle} ${toX} ${toY}`;
    [fromX, fromY] = [toX, toY];
  }
  return path;
}

function edgeClass(from: StepOfRun | undefined, lit: boolean): string {
  const passed = from && (from.status === "completed" || from.status === "skipped");
  return `edge ${passed ? "is-passed" : ""} ${lit ? "is-lit" : ""}`;
}
