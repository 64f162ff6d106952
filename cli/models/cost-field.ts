import { type Cost, DimSymbol, type Shape, type Value } from "../../graph-builder/index.ts";
import { formatLarge } from "../format.ts";

/** What the costs of a graph are for: an image, another example, or a step where the batch is fixed. */
export function costUnit(inputs: readonly Pick<Value, "type">[]): "an image" | "an example" | "a step" {
  const [[batch, ...rest] = []] = shapesOf(inputs);
  if (batch === undefined || rest.length === 0 || (typeof batch === "number" && batch !== 1)) return "a step";
  return rest.length === 3 ? "an image" : "an example";
}

/** The FLOPs of a graph with these inputs, and the free sizes beside the batch, which count as 1. */
export function describeCost(
  inputs: readonly Pick<Value, "type">[],
  { forwardFlops, backwardFlops }: Pick<Cost, "forwardFlops" | "backwardFlops">,
): string {
  const [[batch] = []] = shapesOf(inputs);
  const symbols = shapesOf(inputs).flatMap((shape) => shape.filter((dim) => dim instanceof DimSymbol));
  const others = [...new Set(symbols.map(String))].filter((name) => name !== String(batch));
  const sizes =
    others.length > 0 ? `, where ${others.join(" and ")} ${others.length > 1 ? "are" : "is"} 1` : "";
  return `${formatLarge(forwardFlops)} forward, ${formatLarge(backwardFlops)} backward${sizes}`;
}

function shapesOf(inputs: readonly Pick<Value, "type">[]): Shape[] {
  return inputs.flatMap(({ type }) => (type.kind === "tensor" ? [type.shape] : []));
}
