import type { Builder } from "../../builder.ts";
import type { Value } from "../../ir.ts";
import { constantNumbers, staticDim } from "../../operators/inference.ts";
import type { tensors as operators } from "../../operators/tensors.ts";
import type { Gradients } from "./rule.ts";

const fromLowering = { none: "only lowerings emit it" } as const;

/** The gradients of operators that compute shapes and move elements. */
export const tensors: Gradients<typeof operators> = {
  Shape: "zero",
  Size: "zero",
  ConstantOfShape: "zero",
  Range: "zero",
  OneHot: { none: "its values are taken to be constants" },
  Reshape: (g, { I, dY }) => [likeInput(g, I(0), dY), null],
  Flatten: (g, { I, dY }) => [likeInput(g, I(0), dY)],
  Squeeze: (g, { I, dY }) => [likeInput(g, I(0), dY), null],
  Unsqueeze: (g, { I, dY }) => [likeInput(g, I(0), dY), null],
  // dX = dY under the inverse permutation
  Transpose: (g, { I, dY, attributes: { perm } }) => [
    g.Transpose(dY, perm ? { perm: I(0).shape.map((_, axis) => perm.indexOf(axis)) } : {}),
  ],
  Concat: (g, { node, I, dY, attributes: { axis } }) => {
    const at = axis < 0 ? axis + dY.shape.length : axis;
    const sizes = node.inputs.map((_, i) => staticDim(I(i).shape, at));
    return g.Split(dY, g.int64(sizes), { axis: at });
  },
  Split: (g, { node, dO, attributes: { axis } }) => [
    g.Concat(...node.outputs.map((_, i) => dO(i)), { axis }),
    null,
  ],
  Slice: (g, { I, optional, dY }) => [g.SliceGrad(dY, g.Shape(I(0)), I(1), I(2), optional(3), optional(4))],
  // Pad with negative pads crops
  Pad: (g, { I, dY, attributes: { mode } }) => {
    if (mode !== "constant") throw new Error(`the gradient of Pad in mode ${mode} is not known`);
    const pads = constantNumbers(I(1), "pads");
    return [g.Pad(dY, g.int64(pads.map((pad) => -pad))), null, null];
  },
  Expand: (_, { dY }) => [dY, null],
  // dY reshaped to [r0, d0, r1, d1, ...], r the repeats and d X's dimensions; dX is the sum over the r axes
  Tile: (g, { I, dY }) => {
    const columns = [I(1), g.Shape(I(0))].map((dims) => g.Unsqueeze(dims, g.int64([1])));
    const apart = g.Reshape(dY, g.Reshape(g.Concat(...columns, { axis: 1 }), g.int64([-1])));
    const repeats = I(0).shape.map((_, axis) => 2 * axis);
    return [g.ReduceSum(apart, g.int64(repeats), { keepdims: 0 }), null];
  },
  Gather: (g, { I, dY, attributes }) => [g.GatherGrad(g.Shape(I(0)), I(1), dY, attributes), null],
  ScatterElements: fromLowering,
};

/** dY in the shape of X. */
function likeInput(g: Builder, X: Value, dY: Value): Value {
  return g.Reshape(dY, g.Shape(X));
}
