import type { Builder } from "../builder.ts";
import type { Graph, Node, Value } from "../ir.ts";
import type { Shape } from "../types.ts";
import type { Pass } from "./pass.ts";
import { rewriteGraph } from "./rewrite.ts";

/** Operators that work element by element and broadcast their inputs. */
const elementwise: ReadonlySet<string> = new Set(["Add", "Sub", "Mul", "Div", "Pow", "Where"]);

/**
 * Gives a single number beside a tensor whose last dimension is 1, as the weights of a 1x1 convolution have,
 * the rank of the tensor. ONNX Runtime's kernels for the CPU take such a tensor as one stretch of memory only
 * where the other input has dimensions of 1 in the same places; else they call a function per element, which
 * takes 40 times as long. The results are the same bits.
 */
export const rankedScalars: Pass = { name: "ranked-scalars", run };

function run(graph: Graph): Graph {
  const known = new Map<Value, Map<number, Value>>();
  const ranked = (g: Builder, value: Value, rank: number): Value => {
    const ranks = known.get(value) ?? new Map<number, Value>();
    known.set(value, ranks);
    const reshaped = ranks.get(rank) ?? g.Reshape(value, g.int64(Array(rank).fill(1)));
    ranks.set(rank, reshaped);
    return reshaped;
  };
  if (!graph.nodes.some((node) => rankWanted(node.opType, node.inputs))) return graph;
  return rewriteGraph(graph, (node, inputs, g) => {
    const rank = rankWanted(node.opType, inputs);
    if (!rank) return undefined;
    const fitted = inputs.map((input) => {
      const shape = shapeIn(input);
      return input && shape && shape.length < rank && isSingle(shape) ? ranked(g, input, rank) : input;
    });
    return g.copy(node, fitted, node.name).outputs;
  });
}

/** The rank that the single numbers among the inputs of an operator should have; undefined where any does. */
function rankWanted(opType: Node["opType"], inputs: readonly (Value | null)[]): number | undefined {
  if (!elementwise.has(opType)) return undefined;
  const shapes = inputs.map(shapeIn);
  const rank = Math.max(...shapes.map((shape) => shape?.length ?? 0));
  const isSlow = shapes.some((shape) => shape?.length === rank && shape.at(-1) === 1 && !isSingle(shape));
  const isShort = shapes.some((shape) => shape && shape.length < rank && isSingle(shape));
  return isSlow && isShort ? rank : undefined;
}

function shapeIn(value: Value | null): Shape | undefined {
  return value?.type.kind === "tensor" ? value.shape : undefined;
}

function isSingle(shape: Shape): boolean {
  return shape.every((dim) => dim === 1);
}
