import { at } from "../../at.ts";
import { type Graph, isOp } from "../../ir.ts";
import type { Pass } from "../pass.ts";
import { appendConvolution, ownConvolution, scaleFilters } from "./convolution.ts";
import { transform } from "./transform.ts";

/**
 * Folds every BatchNormalization behind a Conv into the Conv's filters: with gain = scale / sqrt(var +
 * epsilon), W' = gain W and B' = gain (B - mean) + bias. A BatchNormalization stays where it is in training
 * mode, or where other nodes read the Conv too.
 */
export const foldBatchNormalization: Pass = { name: "fold-batch-normalization", run: fold };

function fold(graph: Graph): Graph {
  return transform(graph, (node, inputs, g) => {
    if (!isOp(node, "BatchNormalization")) return undefined;
    const { epsilon, training_mode } = node.attributes;
    const conv = ownConvolution(graph, node.inputs[0], inputs[0]);
    const [scale, bias, mean, variance] = inputs.slice(1).map((input) => input?.constant?.numbers());
    if (!conv || training_mode || !scale || !bias || !mean || !variance) return undefined;
    const gain = (i: number) => at(scale, i) / Math.sqrt(at(variance, i) + epsilon);
    const shift = (i: number) => at(bias, i) - at(mean, i) * gain(i);
    return [appendConvolution(g, [conv], conv.X, scaleFilters(conv, gain, shift), conv)];
  });
}
