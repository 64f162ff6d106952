import type { Graph, Node, Phase } from "./ir.ts";

const order: readonly Phase[] = ["forward", "backward", "update"];

/**
 * Sets the phase of every node of a file, which says none: autodiff names nodes of the backward pass `<node>_Grad/...`, the nodes of an
 * update are `update/...` or an optimizer of ONNX Runtime, and what reads a value of a later phase belongs to that phase too.
 */
export function derivePhases(graph: Graph): void {
  for (const node of graph.nodes) {
    const before = node.inputs.map((input) => input?.producer?.phase ?? "forward");
    node.phase = [phaseByName(node), ...before].reduce(later);
  }
}

function later(a: Phase, b: Phase): Phase {
  return order.indexOf(a) > order.indexOf(b) ? a : b;
}

function phaseByName({ opType, name }: Node): Phase {
  if (name.startsWith("update/") || optimizers.includes(opType)) return "update";
  return /_grad\//i.test(name) ? "backward" : "forward";
}

const optimizers: readonly string[] = [
  "SGDOptimizerV2",
  "AdamWOptimizer",
  "InplaceClipGradNorm",
  "PassThrough",
];
