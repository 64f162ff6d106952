import { at } from "../../at.ts";
import type { Builder } from "../../builder.ts";
import { castLike, floatLike } from "../../composites.ts";
import { type Dim, sameDim } from "../../dims.ts";
import type { Value } from "../../ir.ts";
import { constantNumbers, dimAt, knownNumbers, normalAxis, staticDim } from "../../operators/inference.ts";
import type { tensors as operators } from "../../operators/tensors.ts";
import { movedBack } from "./moved-back.ts";
import type { Gradients } from "./rule.ts";

/** The gradients of operators that compute shapes and move elements. */
export const tensors: Gradients<typeof operators> = {
  Shape: "zero",
  Size: "zero",
  ConstantOfShape: "zero",
  // Y_i = start + i delta
  Range: (g, { dY }) => [
    () => g.ReduceSum(dY, null, { keepdims: 0 }),
    () => floatLike(g, dY, 0),
    () => {
      const steps = castLike(g, g.Range(g.int64(0), g.Size(dY), g.int64(1)), dY);
      return g.ReduceSum(g.Mul(dY, steps), null, { keepdims: 0 });
    },
  ],
  EyeLike: "zero",
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
    const sizes = node.inputs.map((_, i) => dimAt(I(i).shape, at));
    const known = sizes.filter((size) => typeof size === "number");
    const lengths = () => node.inputs.map((_, i) => g.Shape(I(i), { start: at, end: at + 1 }));
    const split = known.length === sizes.length ? g.int64(known) : g.Concat(...lengths(), { axis: 0 });
    return g.Split(dY, split, { axis: at });
  },
  Split: (g, { node, dO, attributes: { axis } }) => [
    g.Concat(...node.outputs.map((_, i) => dO(i)), { axis }),
    null,
  ],
  Slice: (g, { I, optional, dY }) => {
    const range = [I(1), I(2), optional(3), optional(4)] as const;
    if (isKnownSlice(I(0), range)) return [g.SliceGrad(dY, g.Shape(I(0)), ...range)];
    return [movedBack(g, I(0), dY, (places) => g.Slice(places, ...range))];
  },
  Pad: (g, { I, optional, dY, attributes: { mode } }) => {
    if (mode !== "constant") {
      const isKnown = knownNumbers(I(1)) && I(0).shape.every((dim) => typeof dim === "number");
      if (isKnown) return [unpadded(g, I(0), dY, I(1), mode), null, null];
      return [movedBack(g, I(0), dY, (places) => g.Pad(places, I(1), null, { mode })), null, null];
    }
    const known = I(1).constant?.numbers();
    // Pad with negative pads crops
    const dX = g.Pad(dY, known ? g.int64(known.map((pad) => -pad)) : g.Neg(I(1)));
    const value = optional(2);
    const total = (gradient: Value) => g.ReduceSum(gradient, null, { keepdims: 0 });
    return [dX, null, value && (() => likeInput(g, value, g.Sub(total(dY), total(dX))))];
  },
  Trilu: (g, { optional, dY, attributes }) => [g.Trilu(dY, optional(1), attributes), null],
  DepthToSpace: (g, { I, dY, attributes: { blocksize, mode } }) => {
    const depths = g.SpaceToDepth(dY, { blocksize });
    if (mode === "DCR") return [depths];
    // SpaceToDepth has the places of a block outermost; CRD has them innermost
    const blocks = blocksize * blocksize;
    const channels = staticDim(I(0).shape, 1) / blocks;
    const order = Array.from(
      { length: channels * blocks },
      (_, i) => (i % blocks) * channels + Math.floor(i / blocks),
    );
    return [g.Gather(depths, g.int64(order), { axis: 1 })];
  },
  SpaceToDepth: (g, { dY, attributes }) => [g.DepthToSpace(dY, attributes)],
  ReverseSequence: (g, { I, dY, attributes }) => [g.ReverseSequence(dY, I(1), attributes), null],
  Expand: (_, { dY }) => [dY, null],
  // dY reshaped to [r0, d0, r1, d1, ...], r the repeats and d X's dimensions; dX is the sum over the r axes
  Tile: (g, { I, dY }) => {
    const columns = [I(1), g.Shape(I(0))].map((dims) => g.Unsqueeze(dims, g.int64([1])));
    const apart = g.Reshape(dY, g.Reshape(g.Concat(...columns, { axis: 1 }), g.int64([-1])));
    const repeats = I(0).shape.map((_, axis) => 2 * axis);
    return [likeInput(g, I(0), g.ReduceSum(apart, g.int64(repeats), { keepdims: 0 })), null];
  },
};

/**
 * Whether SliceGrad can place the elements of a slice: it is known where each lies, or where the first does.
 */
function isKnownSlice(X: Value, [starts, ends, axes, steps]: readonly (Value | null)[]): boolean {
  const along = axes ? knownNumbers(axes) : starts?.contents?.map((_, i) => i);
  if (!along || !starts?.contents || !ends?.contents) return false;
  const by = steps ? knownNumbers(steps) : along.map(() => 1);
  return along.every((axis, i) => {
    const isStatic = [
      dimAt(X.shape, normalAxis(axis, X.shape.length)),
      starts.contents?.[i],
      ends.contents?.[i],
    ];
    return by?.[i] === 1 || (by !== undefined && isStatic.every((dim) => typeof dim === "number"));
  });
}

/** dY in the shape of X, where a size that is 0 in a run is no copy of the size that dY has at its place. */
function likeInput(g: Builder, X: Value, dY: Value): Value {
  const isCopy = (dim: Dim, i: number) => dY.shape[i] !== undefined && sameDim(dY.shape[i], dim);
  const mayBeEmpty = X.shape.some((dim, i) => (typeof dim !== "number" || dim === 0) && !isCopy(dim, i));
  return g.Reshape(dY, g.Shape(X), mayBeEmpty ? { allowzero: 1 } : {});
}

/**
 * dX of a Pad that repeats elements of X: every element of dY is added where its element came from. Negative
 * pads crop before the others repeat.
 */
function unpadded(g: Builder, X: Value, dY: Value, pads: Value, mode: string): Value {
  const amounts = constantNumbers(pads, "pads");
  const rank = X.shape.length;
  let dX = dY;
  for (const axis of X.shape.keys()) {
    const [before, after] = [at(amounts, axis), at(amounts, axis + rank)];
    if (before === 0 && after === 0) continue;
    const [first, last] = [Math.max(0, -before), Math.max(0, -after)];
    const size = staticDim(X.shape, axis) - first - last;
    const sources = Array.from(
      { length: Math.max(0, before) + size + Math.max(0, after) },
      (_, i) => first + sourceOf(mode, size, i - Math.max(0, before)),
    );
    const parts = [g.Shape(X, { end: axis + 1 }), g.Shape(dX, { start: axis + 1 })];
    dX = g.GatherGrad(g.Concat(...parts, { axis: 0 }), g.int64(sources), dX, { axis });
  }
  return dX;
}

/** The element of an axis of `size` that Pad repeats at `place`, which is outside of it or in it. */
function sourceOf(mode: string, size: number, place: number): number {
  const within = (period: number) => ((place % period) + period) % period;
  if (mode === "wrap") return within(size);
  if (mode === "edge") return Math.min(Math.max(place, 0), size - 1);
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  return Math.min(within(period), period - within(period));
}
