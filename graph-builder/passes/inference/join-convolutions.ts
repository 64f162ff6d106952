import { at } from "../../at.ts";
import { type Graph, isOp } from "../../ir.ts";
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
 * Replaces convolutions of the same map, whose outputs a Concat joins along the channels, by one convolution
 * with all their filters. Kernels are padded with zeros until all have the same size and the same pads.
 */
export const joinConvolutions: Pass = { name: "join-convolutions", run: join };

function join(graph: Graph): Graph {
  return transform(graph, (node, inputs, g) => {
    if (!isOp(node, "Concat") || node.attributes.axis !== 1) return undefined;
    const found = inputs.map((input, i) => ownConvolution(graph, node.inputs[i], input));
    const convolutions = found.filter((conv) => conv !== undefined);
    const [first] = convolutions;
    if (!first || convolutions.length < found.length || !isAlike(convolutions)) return undefined;
    const window = commonWindow(convolutions);
    if (!window) return undefined;
    const grown = convolutions.map((conv, i) => growKernel(conv, at(window.front, i), at(window.back, i)));
    return [
      appendConvolution(g, convolutions, first.X, stackFilters(grown), { ...first, pads: window.pads }),
    ];
  });
}

/** Whether convolutions read the same map with the same strides, without groups and dilations. */
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

/**
 * The pads of the window that covers the windows of all convolutions, and the zeros to add before (`front`)
 * and after (`back`) each kernel; undefined where the convolutions would then need different pads at the end.
 */
function commonWindow(convolutions: readonly Convolution[]) {
  const rank = at(convolutions, 0).dims.length - 2;
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  const before = axes.map((axis) => Math.max(...convolutions.map(({ pads }) => at(pads, axis))));
  const front = convolutions.map(({ pads }) => axes.map((axis) => at(before, axis) - at(pads, axis)));
  const reach = ({ dims }: Convolution, i: number, axis: number) =>
    at(at(front, i), axis) + at(dims, axis + 2);
  const kernel = axes.map((axis) => Math.max(...convolutions.map((conv, i) => reach(conv, i, axis))));
  const back = convolutions.map((conv, i) => axes.map((axis) => at(kernel, axis) - reach(conv, i, axis)));
  const after = convolutions.map(({ pads }, i) =>
    axes.map((axis) => at(pads, rank + axis) + at(at(back, i), axis)),
  );
  const end = at(after, 0);
  if (after.some((pads) => pads.join() !== end.join())) return undefined;
  return { front, back, pads: [...before, ...end] };
}

/** The filters of several convolutions, concatenated on axis 0. */
function stackFilters(convolutions: readonly Filters[]): Filters {
  const [, ...rest] = at(convolutions, 0).dims;
  const W = concatenated(convolutions.map((filters) => filters.W));
  const B = concatenated(convolutions.map((filters) => filters.B));
  return { dims: [B.length, ...rest], W, B };
}

function concatenated(rows: readonly Float64Array[]): Float64Array {
  const whole = new Float64Array(rows.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const row of rows) {
    whole.set(row, offset);
    offset += row.length;
  }
  return whole;
}
