import { type Builder, floats, type Value } from "../../graph-builder/index.ts";
import { gradientCases } from "./gradient-cases.ts";
import { type Input, integers, normal } from "./random-tensor.ts";

/** A graph of one operator, or of a few. */
export interface ShapeCase {
  readonly label: string;
  readonly inputs: Readonly<Record<string, Input>>;
  readonly build: (g: Builder, values: Readonly<Record<string, Value>>) => Value | readonly Value[];
}

function of<K extends string>(
  label: string,
  inputs: Readonly<Record<K, Input>>,
  build: (g: Builder, values: Readonly<Record<K, Value>>) => Value | readonly Value[],
): ShapeCase {
  return { label, inputs, build: build as ShapeCase["build"] };
}

const image = { X: normal(["batch", 2, 7, 6]) };
const matrix = { X: normal(["batch", 4]) };

/** Operators without a gradient rule, and shapes that no gradient needs. */
const more: readonly ShapeCase[] = [
  of("Not, And, Equal, Greater, Less, GreaterOrEqual, LessOrEqual", matrix, (g, { X }) => {
    const zero = g.float(0);
    const all = [
      g.Equal(X, zero),
      g.Greater(X, zero),
      g.Less(X, zero),
      g.GreaterOrEqual(X, zero),
      g.LessOrEqual(X, zero),
    ];
    return [g.Not(all[0] ?? X), ...all, g.And(g.Less(X, zero), g.Greater(zero, g.float([1, 2, 3, 4])))];
  }),
  of("Or, Xor", matrix, (g, { X }) => {
    const [isLow, isHigh] = [g.Less(X, g.float(-0.5)), g.Greater(X, g.float([0.5, 1, 0, 2]))];
    return [g.Or(isLow, isHigh), g.Xor(isLow, g.Not(isHigh))];
  }),
  of("IsNaN, IsInf, Ceil, Floor, Hardmax", matrix, (g, { X }) => [
    g.IsNaN(g.Sqrt(X)),
    g.IsInf(g.Div(X, g.float(0)), { detect_negative: 0 }),
    g.Ceil(X),
    g.Floor(X),
    g.Hardmax(X),
  ]),
  of(
    "BitwiseNot, BitwiseAnd, BitwiseOr, BitwiseXor, BitShift",
    { i: integers([6, 1, 3], ["batch"]) },
    (g, { i }) => {
      const unsigned = g.Cast(i, { to: 13 });
      return [
        g.BitwiseNot(i),
        g.BitwiseAnd(i, g.int64([2])),
        g.BitwiseOr(i, g.int64(8)),
        g.BitwiseXor(i, i),
        g.BitShift(unsigned, unsigned, { direction: "LEFT" }),
      ];
    },
  ),
  of("ArgMin, EyeLike, Det", { X: normal([3, 3]) }, (g, { X }) => [
    g.ArgMin(X, { axis: 1, keepdims: 0 }),
    g.EyeLike(X, { k: 1, dtype: 7 }),
    g.Det(X),
  ]),
  of("random numbers", matrix, (g, { X }) => [
    g.RandomNormalLike(X, { dtype: 11 }),
    g.RandomUniformLike(X),
    g.Bernoulli(g.RandomUniformLike(X), { dtype: 7 }),
    g.RandomNormal({ shape: [2, 3], seed: 4 }),
    g.RandomUniform({ shape: [4], dtype: 11, low: 2, high: 3 }),
  ]),
  of("BitCast", matrix, (g, { X }) => g.BitCast(g.BitCast(X, { to: 6 }), { to: 12 })),
  of("Unique", { X: integers([2, 1, 1, 3, 4, 3], ["batch", 2]) }, (g, { X }) => [
    ...g.Unique(X),
    ...g.Unique(X, { axis: -1, sorted: 0 }),
  ]),
  of("NonMaxSuppression", { boxes: normal([2, 6, 4]), scores: normal([2, 3, 6]) }, (g, { boxes, scores }) =>
    g.NonMaxSuppression(boxes, scores, g.int64([2]), g.float([0.5]), null),
  ),
  of("NonZero", matrix, (g, { X }) => g.NonZero(g.Round(X))),
  of("Shape", image, (g, { X }) => [g.Shape(X), g.Shape(X, { start: 1, end: -1 })]),
  of("Size", image, (g, { X }) => g.Size(X)),
  of("Sign, Mod", matrix, (g, { X }) => [g.Sign(X), g.Mod(g.Shape(X), g.int64([2, 3]))]),
  of("Range", image, (g, { X }) => [
    g.Range(g.int64(0), g.Gather(g.Shape(X), g.int64(0)), g.int64(1)),
    g.Range(g.int64(7), g.int64(2), g.int64(-2)),
    g.Range(g.int64(0), g.int64(-3), g.int64(1)),
  ]),
  of("Pad by numbers of the shape", image, (g, { X }) => {
    const images = g.Gather(g.Shape(X), g.int64([0]));
    const fours = g.Mul(g.Div(g.Add(images, g.int64(3)), g.int64(4)), g.int64(4));
    const before = g.int64([0, 0, 1, 0]);
    return g.Pad(X, g.Concat(before, g.Sub(fours, images), g.int64([0, 0, 2]), { axis: 0 }));
  }),
  of("ArgMax", image, (g, { X }) => [g.ArgMax(X, { axis: 1 }), g.ArgMax(X, { axis: -1, keepdims: 0 })]),
  of("OneHot", { i: integers([0, 2, 1], ["batch"]) }, (g, { i }) => [
    g.OneHot(i, g.int64([3]), g.float([0, 1])),
    g.OneHot(i, g.int64([3]), g.float([0, 1]), { axis: 0 }),
  ]),
  of("ConstantOfShape", matrix, (g, { X }) => g.ConstantOfShape(g.Shape(X), { value: floats([1]) })),
  of("ScatterElements", { X: normal([3, 4]) }, (g, { X }) =>
    g.ScatterElements(X, g.constant(integers([0, 2], [1, 2]).tensor), g.float([5, 6], [1, 2])),
  ),
  of("MaxPool, ceil_mode", image, (g, { X }) =>
    g.MaxPool(X, { kernel_shape: [2, 2], strides: [2, 4], ceil_mode: 1 }),
  ),
  of(
    "MaxPool, ceil_mode, a window that would start in the padding",
    image,
    (g, { X }) =>
      g.MaxPool(X, { kernel_shape: [2, 2], strides: [3, 3], pads: [1, 1, 1, 1], ceil_mode: 1 })[0],
  ),
  of("AveragePool, ceil_mode", image, (g, { X }) =>
    g.AveragePool(X, { kernel_shape: [3, 2], strides: [2, 3], ceil_mode: 1 }),
  ),
  of("Round", matrix, (g, { X }) => g.Round(X)),
  of("Flatten, every axis", image, (g, { X }) => [0, 1, 2, 3, 4, -1].map((axis) => g.Flatten(X, { axis }))),
  of("Slice, beyond both ends", { X: normal([5]) }, (g, { X }) => [
    g.Slice(X, g.int64([-100]), g.int64([100])),
    g.Slice(X, g.int64([100]), g.int64([-100]), null, g.int64([-1])),
    g.Slice(X, g.int64([3]), g.int64([1])),
    g.Slice(X, g.int64([1]), g.int64([2 ** 31 - 1]), null, g.int64([3])),
  ]),
  of("ReduceSum and ReduceMean, empty axes", matrix, (g, { X }) => [
    g.ReduceSum(X, g.int64([]), { keepdims: 0 }),
    g.ReduceSum(X, g.int64([]), { noop_with_empty_axes: 1 }),
    g.ReduceSum(X, null, { noop_with_empty_axes: 1 }),
    g.ReduceMean(X, { axes: [], keepdims: 0 }),
    g.ReduceMean(X, null, { noop_with_empty_axes: 1 }),
  ]),
  of("QuantizeLinear, DequantizeLinear, one scale and one a channel", image, (g, { X }) => {
    const scales = [g.float(0.1), g.float([0.1, 0.2])];
    return scales.flatMap((scale) => {
      const whole = g.QuantizeLinear(X, scale);
      return [whole, g.DequantizeLinear(whole, scale)];
    });
  }),
  of("Reshape, a symbol merged", image, (g, { X }) => g.Reshape(X, g.int64([-1, 6]))),
  of(
    "MatMul, stacks that broadcast",
    { A: normal(["batch", 1, 2, 3]), B: normal([4, 3, 5]) },
    (g, { A, B }) => g.MatMul(A, B),
  ),
];

/** A graph or several of every operator of ai.onnx, and of ONNX Runtime's that have a gradient. */
export const shapeCases: readonly ShapeCase[] = [
  ...gradientCases.map(({ opType, title, test: { inputs, build } }) => ({
    label: `${opType} ${title}`.trim(),
    inputs,
    build,
  })),
  ...more,
];
