import { at } from "../../at.ts";
import { differenceOf } from "../../dims.ts";
import type { Graph, Value } from "../../ir.ts";
import { sameShape } from "../../types.ts";
import type { Pass } from "../pass.ts";
import { appendConvolution, convolutionOf, growKernel } from "./convolution.ts";
import { transform } from "./transform.ts";

/**
 * Folds a Slice that drops the last rows or columns of a map into the Conv that reads it. The kernel gets one
 * zero at its end for every dropped row or column, so the Conv has the same windows on the whole map. A Conv
 * with padding at the end stays, because it would read the dropped pixels instead of the padding.
 */
export const foldCrop: Pass = { name: "fold-crop", run: fold };

function fold(graph: Graph): Graph {
  return transform(graph, (node, inputs, g) => {
    const conv = node.opType === "Conv" ? convolutionOf(node.output(0)) : undefined;
    const cropped = inputs[0]?.producer;
    const dropped =
      cropped?.opType === "Slice" ? droppedAtEnd(cropped.output(0), cropped.input(0)) : undefined;
    if (!conv || !cropped || !dropped) return undefined;
    const rank = dropped.length;
    const isUnpadded = conv.pads.slice(rank).every((pad) => pad === 0);
    if (!isUnpadded || conv.dilations.some((step) => step !== 1)) return undefined;
    const filters = growKernel(
      conv,
      dropped.map(() => 0),
      dropped,
    );
    return [appendConvolution(g, [conv], cropped.input(0), filters, conv)];
  });
}

/**
 * The number of entries that a Slice drops at the end of each spatial axis; undefined for any other Slice,
 * and where only a run tells the number.
 */
function droppedAtEnd(slice: Value, whole: Value): number[] | undefined {
  const [starts, , , steps] = (slice.producer?.inputs ?? [])
    .slice(1)
    .map((input) => input?.constant?.numbers());
  if (!starts || starts.some((start) => start !== 0) || steps?.some((step) => step !== 1)) return undefined;
  if (!sameShape(slice.shape.slice(0, 2), whole.shape.slice(0, 2))) return undefined;
  const dropped = slice.shape.slice(2).map((dim, i) => differenceOf(at(whole.shape, i + 2), dim));
  return dropped.every((dim) => typeof dim === "number") ? dropped : undefined;
}
