import { type Builder, createBuilder } from "./builder.ts";
import { floatLike } from "./composites.ts";
import { Graph, type Value } from "./ir.ts";

/**
 * What the shakenet operators stand for: the bodies of the model-local functions, and how a device without functions runs them.
 * Shake-Shake (Gastaldi 2017) mixes two branches by alpha on the way forward and by an independent beta on the way back.
 */
export const functions = {
  // alpha * branch1 + (1 - alpha) * branch2, one alpha an image
  ShakeForward: (g: Builder, [branch1, branch2, alpha]: readonly [Value, Value, Value]): readonly Value[] => {
    const weight = perImage(g, alpha);
    return [g.Add(g.Mul(branch1, weight), g.Mul(branch2, g.Sub(floatLike(g, weight, 1), weight)))];
  },
  // beta * grad and (1 - beta) * grad, one beta an image
  ShakeBackward: (g: Builder, [grad, beta]: readonly [Value, Value]): readonly Value[] => {
    const weight = perImage(g, beta);
    return [g.Mul(grad, weight), g.Mul(grad, g.Sub(floatLike(g, weight, 1), weight))];
  },
} as const;

export type FunctionType = keyof typeof functions;

/** Whether an op_type is a model-local function of ours. */
export function isFunction(opType: string): opType is FunctionType {
  return Object.hasOwn(functions, opType);
}

/** The body of a model-local function as a graph over `[batch, C, H, W]` branches. */
export function functionGraph(opType: FunctionType): Graph {
  const g = createBuilder(new Graph(opType));
  const image = (name: string) => g.input(name, "float", ["batch", "C", "H", "W"]);
  const weight = (name: string) => g.input(name, "float", ["batch"]);
  if (opType === "ShakeForward") {
    const [mixed] = functions.ShakeForward(g, [image("branch1"), image("branch2"), weight("alpha")]);
    if (mixed) g.output(mixed, "mixed");
  } else {
    const gradients = functions.ShakeBackward(g, [image("grad"), weight("beta")]);
    for (const [i, gradient] of gradients.entries()) g.output(gradient, `branch${i + 1}_grad`);
  }
  return g.graph;
}

/** [batch] to [batch, 1, 1, 1]. */
function perImage(g: Builder, weight: Value): Value {
  return g.Unsqueeze(weight, g.int64([1, 2, 3]));
}
