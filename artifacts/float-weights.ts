import {
  type Builder,
  dataTypeNumbers,
  type Graph,
  isHalfType,
  type Pass,
  rewriteGraph,
  Tensor,
  type Value,
} from "../graph-builder/index.ts";
import { parametersOf } from "./model-parameters.ts";

/**
 * Makes floats of the weights of float16 and bfloat16, which are then cast where they are read: a step
 * changes a weight by less than what 16 bits can say, and a checkpoint holds no float16 (Micikevicius et al.
 * 2018, "Mixed precision training"). The activations keep their types, and the graph computes what it did. A
 * graph without such weights is returned as it is.
 */
export const floatWeights: Pass = { name: "float-weights", run: widen };

function widen(graph: Graph): Graph {
  const halves = graph.initializers.filter(isHalf);
  if (halves.length === 0) return graph;
  const parameters = new Set(parametersOf(widened(graph, new Set(halves))).map(({ name }) => name));
  const weights = halves.filter(({ name = "" }) => parameters.has(name));
  return weights.length === 0 ? graph : widened(graph, new Set(weights));
}

function isHalf({ name, constant }: Value): boolean {
  return name !== undefined && constant !== undefined && isHalfType(constant.elemType);
}

function widened(graph: Graph, weights: ReadonlySet<Value>): Graph {
  const casts = new Map<Value, Value>();
  const castOf = (g: Builder, value: Value): Value => {
    const known = casts.get(value);
    if (known || !value.constant) return known ?? value;
    const { dims, elemType } = value.constant;
    const float = new Tensor("float", dims, Float32Array.from(value.constant.numbers()));
    const cast = g.Cast(g.constant(float, value.name), { to: dataTypeNumbers[elemType] });
    casts.set(value, cast);
    return cast;
  };
  return rewriteGraph(graph, (node, inputs, g) => {
    if (!node.inputs.some((input) => input && weights.has(input))) return undefined;
    const read = node.inputs.map((input, i) =>
      input && weights.has(input) ? castOf(g, input) : (inputs[i] ?? null),
    );
    return g.copy(node, read, node.name).outputs;
  });
}
