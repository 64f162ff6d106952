import type { Graph, Node } from "../../ir.ts";
import { appendConvolution, ownConvolution, scaleFilters } from "./convolution.ts";
import { transform } from "./transform.ts";

/**
 * A graph in which every BatchNormalization behind a Conv is part of its filters: with gain = scale / sqrt(var + epsilon),
 * W' = gain W and B' = gain (B - mean) + bias. One that trains, or whose Conv is read elsewhere too, stays.
 */
export function foldBatchNormalization(graph: Graph): Graph {
  return transform(graph, (node, inputs, g) => {
    if (node.opType !== "BatchNormalization") return undefined;
    const { epsilon, training_mode } = (node as Node<"BatchNormalization">).attributes;
    const conv = ownConvolution(graph, node.inputs[0], inputs[0]);
    const [scale, bias, mean, variance] = inputs.slice(1).map((input) => input?.constant?.numbers());
    if (!conv || training_mode || !scale || !bias || !mean || !variance) return undefined;
    const gain = (i: number) => (scale[i] ?? 0) / Math.sqrt((variance[i] ?? 0) + epsilon);
    const shift = (i: number) => (bias[i] ?? 0) - (mean[i] ?? 0) * gain(i);
    return [appendConvolution(g, [conv], conv.X, scaleFilters(conv, gain, shift), conv)];
  });
}
