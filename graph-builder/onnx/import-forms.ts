import type { Builder } from "../builder.ts";
import { averagePoolGradient } from "../composites.ts";
import type { Value } from "../ir.ts";
import { averagePoolAttributes } from "../operators/neural.ts";
import { completeAttributes, ShapeError } from "../operators/schema.ts";
import type { Tensor } from "../tensor.ts";
import type { ValueType } from "../types.ts";

/** A node as a file has it, where that form is not ours. */
export interface ForeignNode {
  readonly inputs: readonly (Value | null)[];
  readonly attributes: Readonly<Record<string, unknown>>;
  /** The types that the file declares for the outputs, as many as the node has. */
  readonly declared: readonly (ValueType | undefined)[];
}

/** How such a node is written in our operators; undefined where its form is ours after all. */
type Adapter = (g: Builder, node: ForeignNode) => readonly Value[] | undefined;

/** A reduction whose axes are an input, as from opset 18 on. */
function axesAsInput(opType: "ReduceMean" | "ReduceL2" | "ReduceLogSumExp"): Adapter {
  return (g, { inputs: [data, axes], attributes: { keepdims } }) => {
    if (!data || !axes) return undefined;
    return [g[opType](data, { axes: axes.contents?.map(Number), keepdims: Number(keepdims ?? 1) })];
  };
}

/** Operators of files that have no counterpart here, or another form in some opset. */
export const adapters: Readonly<Record<string, Adapter>> = {
  Constant: (g, { attributes }) => {
    const { value, value_int, value_ints, value_float, value_floats } = attributes;
    if (value !== undefined) return [g.constant(value as Tensor)];
    const [whole, real] = [value_int ?? value_ints, value_float ?? value_floats];
    if (whole !== undefined) return [g.int64(whole as number | number[])];
    if (real !== undefined) return [g.float(real as number | number[])];
    throw new ShapeError("has a value that is no tensor of numbers");
  },

  // only the file knows the size of what was pooled
  AveragePoolGrad: (g, { inputs: [dY], attributes, declared: [dX] }) => {
    if (!dY || dX?.kind !== "tensor") throw new ShapeError("needs the declared shape of its output");
    return [averagePoolGradient(g, dY, dX.shape, completeAttributes(averagePoolAttributes, attributes))];
  },

  ReduceMean: axesAsInput("ReduceMean"),
  ReduceL2: axesAsInput("ReduceL2"),
  ReduceLogSumExp: axesAsInput("ReduceLogSumExp"),

  // without sizes the parts are equal
  Split: (g, { inputs: [data, sizes], attributes, declared }) => {
    if (!data || sizes) return undefined;
    const axis = Number(attributes.axis ?? 0);
    const size = Math.ceil(Number(data.shape.at(axis)) / declared.length);
    const last = Number(data.shape.at(axis)) - size * (declared.length - 1);
    return g.Split(data, g.int64([...Array(declared.length - 1).fill(size), last]), { axis });
  },
};
