import { at } from "../at.ts";
import { UserError } from "../errors.ts";
import type { Graph, Value } from "../ir.ts";
import { tensorType, type ValueType } from "../types.ts";
import type { Pass } from "./pass.ts";
import { rewriteGraph } from "./rewrite.ts";

/** Numbers for the dimensions of inputs, by the inputs' names; null keeps a dimension as it is. */
export type InputSizes = Readonly<Record<string, readonly (number | null)[]>>;

/**
 * A pass that gives free dimensions of inputs a size; the shapes of all values follow. Throws UserError where
 * a dimension is fixed at another size.
 */
export function sizedInputs(sizes: InputSizes): Pass {
  return { name: "sized-inputs", run: (graph) => sized(graph, sizes) };
}

function sized(graph: Graph, sizes: InputSizes): Graph {
  return rewriteGraph(
    graph,
    () => undefined,
    (input, g) => g.inputOf(input.name ?? "", typeOf(input, sizes[input.name ?? ""])),
  );
}

function typeOf({ name, type }: Value, size: InputSizes[string] | undefined): ValueType {
  if (!size || type.kind !== "tensor") return type;
  const shape = type.shape.map((dim, axis) => size[axis] ?? dim);
  const isFixed = type.shape.some((dim, axis) => typeof dim === "number" && dim !== at(shape, axis));
  if (!isFixed && size.length === shape.length) return tensorType(type.elemType, shape);
  throw new UserError(
    `The input ${name} is fixed at [${type.shape.join(", ")}], and cannot take [${size.map((dim) => dim ?? "any").join(", ")}].`,
    { code: "input-shape", details: { input: name, shape: type.shape.map(String), wanted: size } },
  );
}
