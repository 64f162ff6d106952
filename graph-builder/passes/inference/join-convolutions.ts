import type { Graph, Node } from "../../ir.ts";
import type { Pass } from "../pass.ts";
import {
  appendConvolution,
  type Convolution,
  type Filters,
  growKernel,
  ownConvolution,
} from "./convolution.ts";
import { transform } from "./transform.ts";

/**
 * Makes one convolution of convolutions of one map that a Concat joins on the channels; it has all their filters. Kernels of other sizes
 * or places grow by taps of zero until their windows agree.
 */
export const joinConvolutions: Pass = { name: "join-convolutions", run: join };

function join(graph: Graph): Graph {
  return transform(graph, (node, inputs, g) => {
    if (node.opType !== "Concat" || (node as Node<"Concat">).attributes.axis !== 1) return undefined;
    const found = inputs.map((input, i) => ownConvolution(graph, node.inputs[i], input));
    const convolutions = found.filter((conv) => conv !== undefined);
    const [first] = convolutions;
    if (!first || convolutions.length < found.length || !isAlike(convolutions)) return undefined;
    const window = commonWindow(convolutions);
    if (!window) return undefined;
    const grown = convolutions.map((conv, i) =>
      growKernel(conv, window.front[i] ?? [], window.back[i] ?? []),
    );
    return [
      appendConvolution(g, convolutions, first.X, stackFilters(grown), { ...first, pads: window.pads }),
    ];
  });
}

/** Whether convolutions read the same map in the same steps. */
function isAlike([first, ...others]: readonly Convolution[]): boolean {
  const isPlain = ({ group, dilations }: Convolution) => group === 1 && dilations.every((step) => step === 1);
  return [first, ...others].every(
    (conv) =>
      conv !== undefined &&
      isPlain(conv) &&
      conv.X === first?.X &&
      conv.strides.join() === first.strides.join(),
  );
}

/** The window that spans those of all convolutions, and the taps of zero that each lacks; undefined where their ends differ. */
function commonWindow(convolutions: readonly Convolution[]) {
  const rank = (convolutions[0]?.dims.length ?? 2) - 2;
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  const before = axes.map((axis) => Math.max(...convolutions.map(({ pads }) => pads[axis] ?? 0)));
  const front = convolutions.map(({ pads }) => axes.map((axis) => (before[axis] ?? 0) - (pads[axis] ?? 0)));
  const reach = ({ dims }: Convolution, i: number, axis: number) =>
    (front[i]?.[axis] ?? 0) + (dims[axis + 2] ?? 0);
  const kernel = axes.map((axis) => Math.max(...convolutions.map((conv, i) => reach(conv, i, axis))));
  const back = convolutions.map((conv, i) => axes.map((axis) => (kernel[axis] ?? 0) - reach(conv, i, axis)));
  const after = convolutions.map(({ pads }, i) =>
    axes.map((axis) => (pads[rank + axis] ?? 0) + (back[i]?.[axis] ?? 0)),
  );
  if (after.some((pads) => pads.join() !== after[0]?.join())) return undefined;
  return { front, back, pads: [...before, ...(after[0] ?? [])] };
}

/** The filters of several convolutions behind each other. */
function stackFilters(convolutions: readonly Filters[]): Filters {
  const [, ...rest] = convolutions[0]?.dims ?? [];
  const W = behindEachOther(convolutions.map((filters) => filters.W));
  const B = behindEachOther(convolutions.map((filters) => filters.B));
  return { dims: [B.length, ...rest], W, B };
}

function behindEachOther(rows: readonly Float64Array[]): Float64Array {
  const whole = new Float64Array(rows.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const row of rows) {
    whole.set(row, offset);
    offset += row.length;
  }
  return whole;
}
