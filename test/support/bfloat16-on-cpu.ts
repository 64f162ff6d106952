import {
  type Builder,
  dataTypeNumbers,
  type Graph,
  isOp,
  rewriteGraph,
  type Value,
} from "../../graph-builder/index.ts";
import { tensorOf } from "../../graph-builder/tensor.ts";

/**
 * The graph without arithmetic of bfloat16, which the CPU lacks: a node that computes in bfloat16 computes in
 * float32 and its results are rounded to bfloat16, as kernels do that keep their sums in float32.
 */
export function bfloat16OnCpu(graph: Graph): Graph {
  return rewriteGraph(graph, (node, inputs, g) => {
    const types = [...inputs, ...node.outputs].map((value) => value?.elemType);
    if (isOp(node, "Cast") || !types.includes("bfloat16")) return undefined;
    const wide = inputs.map((value) => value && inFloat(g, value));
    const { outputs } = g.copy(node, wide, node.name);
    return outputs.map((value, i) =>
      node.outputs[i]?.elemType === "bfloat16" ? g.Cast(value, { to: dataTypeNumbers.bfloat16 }) : value,
    );
  });
}

function inFloat(g: Builder, value: Value): Value {
  const { constant, elemType } = value;
  if (elemType !== "bfloat16") return value;
  if (constant) return g.constant(tensorOf("float", constant.numbers(), constant.dims));
  return g.Cast(value, { to: dataTypeNumbers.float });
}
