import type { Graph } from "../../ir.ts";
import type { Pass } from "../pass.ts";
import { appendConvolution, ownConvolution, scaleFilters } from "./convolution.ts";
import { transform } from "./transform.ts";

/** Folds the multiplication of a Conv by a constant number into the Conv's filters. */
export const foldScale: Pass = { name: "fold-scale", run: fold };

function fold(graph: Graph): Graph {
  return transform(graph, (node, inputs, g) => {
    if (node.opType !== "Mul") return undefined;
    for (const [index, other] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const conv = ownConvolution(graph, node.inputs[index], inputs[index]);
      const { constant } = inputs[other] ?? {};
      if (!conv || constant?.data.length !== 1 || constant.dims.length > conv.dims.length) continue;
      const factor = Number(constant.data[0]);
      const filters = scaleFilters(conv, () => factor);
      return [appendConvolution(g, [conv], conv.X, filters, conv)];
    }
    return undefined;
  });
}
