import type { Tensor } from "onnxruntime-common";
import { at } from "../../graph-builder/at.ts";
import { type Dim, DimSymbol, didYouMean, UserError, type ValueType } from "../../graph-builder/index.ts";
import { ortType } from "../device/tensors.ts";

/** An input of a graph. */
export interface GraphInput {
  readonly name: string;
  /** Undefined where the type is not known; then it is not checked. */
  readonly type: ValueType | undefined;
}

/**
 * Checks the feeds of a graph against its inputs. Throws UserError, with the input's name, where one is
 * missing, of another type or shape, or empty, and where two inputs disagree about the size that a symbol
 * such as `batch` stands for.
 */
export function checkFeeds(inputs: readonly GraphInput[], feeds: Readonly<Record<string, Tensor>>): void {
  const sizes = new Map<string, { readonly size: number; readonly input: string }>();
  for (const { name, type } of inputs) {
    const tensor = feeds[name];
    if (!tensor) {
      throw new UserError(`The input ${name} is missing.${didYouMean(name, Object.keys(feeds))}`, {
        code: "input-missing",
        details: { input: name, given: Object.keys(feeds) },
      });
    }
    if (type?.kind !== "tensor") continue;
    const wanted = ortType(type.elemType);
    if (tensor.type !== wanted) {
      throw new UserError(`The input ${name} is ${tensor.type}, and must be ${wanted}.`, {
        code: "input-type",
        details: { input: name, type: tensor.type, wanted },
      });
    }
    checkShape(name, tensor.dims, type.shape);
    for (const [axis, dim] of type.shape.entries()) {
      if (!(dim instanceof DimSymbol)) continue;
      const size = at(tensor.dims, axis);
      const known = sizes.get(dim.name);
      if (known && known.size !== size) {
        throw new UserError(
          `The inputs disagree about ${dim}: it is ${known.size} in ${known.input}, and ${size} in ${name}.`,
          {
            code: "input-shape",
            details: { input: name, symbol: dim.name, size, other: known.input, otherSize: known.size },
          },
        );
      }
      sizes.set(dim.name, { size, input: name });
    }
  }
}

function checkShape(input: string, dims: readonly number[], wanted: readonly Dim[]): void {
  const fits =
    dims.length === wanted.length &&
    wanted.every((dim, axis) => typeof dim !== "number" || dim === dims[axis]);
  const named = wanted.map((dim) => (typeof dim === "number" ? dim : String(dim)));
  const details = { input, shape: dims, wanted: named };
  if (!fits) {
    throw new UserError(
      `The input ${input} has the shape [${dims.join(", ")}], and must have [${wanted.join(", ")}].`,
      { code: "input-shape", details },
    );
  }
  if (dims.every((dim, axis) => dim > 0 || wanted[axis] === 0)) return;
  throw new UserError(`The input ${input} is empty: its shape is [${dims.join(", ")}].`, {
    code: "input-shape",
    details,
  });
}
