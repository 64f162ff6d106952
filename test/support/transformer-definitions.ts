import { at, type Builder, floats, Tensor, type Value } from "../../graph-builder/index.ts";
import type { Definition } from "./definitions.ts";
import { apart, type Input, normal, positive, uniform } from "./random-tensor.ts";
import { Grid, indicesOf } from "./reference.ts";

const bool = (value: number) => new Tensor("bool", [], Uint8Array.of(value));

/** The error function, by its Taylor series. */
function erf(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; n < 60; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

const smooth: Readonly<Record<"Gelu" | "FastGelu" | "QuickGelu", (x: number) => number>> = {
  Gelu: (x) => (x * (1 + erf(x / Math.SQRT2))) / 2,
  FastGelu: (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  QuickGelu: (x) => x / (1 + Math.exp(-1.5 * x)),
};

/** The derivative of a function of one number, by central differences in double precision. */
function slopeOf(f: (x: number) => number): (x: number) => number {
  return (x) => (f(x + 1e-5) - f(x - 1e-5)) / 2e-5;
}

const shape = ["batch", 2, 3];

function activation(
  opType: keyof typeof smooth,
  build: (g: Builder, X: Value, bias: Value | null) => Value,
  buildGrad: (g: Builder, dY: Value, X: Value, bias: Value | null) => Value,
  bias?: Input,
): Definition[] {
  const f = smooth[opType];
  const title = bias ? "bias" : "";
  const inputs = { X: normal(shape), ...(bias ? { bias } : {}) };
  const biased = (grid: (name: string) => Grid) =>
    grid("X").data.map((x, i) => x + (bias ? grid("bias").at(i % 3) : 0));
  const given = (I: (name: string) => Value) => (bias ? I("bias") : null);
  return [
    {
      opType,
      title,
      inputs,
      build: (g, I) => [build(g, I("X"), given(I))],
      expected: (grid) => [biased(grid).map(f)],
    },
    {
      opType: `${opType}Grad`,
      title,
      inputs: { ...inputs, dY: normal(shape) },
      build: (g, I) => [buildGrad(g, I("dY"), I("X"), given(I))],
      expected: (grid) => [biased(grid).map((x, i) => at(grid("dY").data, i) * slopeOf(f)(x))],
    },
  ];
}

/** The slices of a tensor that are normalised, and the mean and the 1 / standard deviation of each. */
function slicesOf(X: Grid, axis: number, epsilon: number) {
  const size = X.dims.slice(axis).reduce((product, dim) => product * dim, 1);
  return Array.from({ length: X.data.length / size }, (_, slice) => {
    const row = X.data.slice(slice * size, (slice + 1) * size);
    const mean = row.reduce((sum, x) => sum + x, 0) / size;
    const variance = row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / size;
    return { row, mean, invStd: 1 / Math.sqrt(variance + epsilon) };
  });
}

function layerNorm(
  title: string,
  dims: readonly (number | string)[],
  axis: number,
  hasBias = true,
): Definition[] {
  const epsilon = 1e-2;
  const first = axis < 0 ? axis + dims.length : axis;
  const size = dims.slice(first).map(Number);
  const inputs = { X: normal(dims), scale: normal(size), ...(hasBias ? { B: normal(size) } : {}) };
  return [
    {
      opType: "LayerNormalization",
      title,
      inputs,
      build: (g, I) => g.LayerNormalization(I("X"), I("scale"), hasBias ? I("B") : null, { axis, epsilon }),
      expected: (grid) => {
        const slices = slicesOf(grid("X"), first, epsilon);
        const Y = slices.flatMap(({ row, mean, invStd }) =>
          row.map(
            (x, i) => (x - mean) * invStd * at(grid("scale").data, i) + (hasBias ? at(grid("B").data, i) : 0),
          ),
        );
        return [Y, slices.map(({ mean }) => mean), slices.map(({ invStd }) => invStd)];
      },
    },
    {
      opType: "LayerNormalizationGrad",
      title,
      inputs: { ...inputs, dY: normal(dims) },
      build: (g, I) => {
        const [, mean, invStd] = g.LayerNormalization(I("X"), I("scale"), null, { axis, epsilon });
        return g.LayerNormalizationGrad(I("dY"), I("X"), I("scale"), mean, invStd, { axis, epsilon });
      },
      expected: (grid) => {
        const [X, dY, scale] = [grid("X"), grid("dY"), grid("scale")];
        const slices = slicesOf(X, first, epsilon);
        const count = scale.data.length;
        const [dX, dScale, dB] = [new Grid(X.dims), new Grid([count]), new Grid([count])];
        for (const [s, { row, mean, invStd }] of slices.entries()) {
          const normalised = row.map((x) => (x - mean) * invStd);
          for (const [i, x] of normalised.entries()) {
            const d = at(dY.data, s * count + i);
            dScale.add([i], d * x);
            dB.add([i], d);
            // dx_j / dX_i = invStd (1[i = j] - 1/n - x_i x_j / n)
            for (const [j, other] of normalised.entries()) {
              const jacobian = invStd * ((i === j ? 1 : 0) - 1 / count - (x * other) / count);
              dX.data[s * count + j] = at(dX.data, s * count + j) + d * at(scale.data, i) * jacobian;
            }
          }
        }
        return [dX.data, dScale.data, dB.data];
      },
    },
  ];
}

function matMul(
  title: string,
  A: Input,
  B: Input,
  attributes: {
    alpha?: number;
    transA?: number;
    transB?: number;
    transBatchA?: number;
    transBatchB?: number;
  },
  /** The indices in A and B of term `k` of the sum at an index of Y. */
  terms: (index: readonly number[], k: number) => readonly [number[], number[]],
  [dims, inner]: readonly [number[], number],
): Definition {
  return {
    opType: "FusedMatMul",
    title,
    inputs: { A, B },
    build: (g, I) => [g.FusedMatMul(I("A"), I("B"), attributes)],
    expected: (grid) => [
      [...indicesOf(dims)].map((index) => {
        let sum = 0;
        for (let k = 0; k < inner; k++) {
          const [a, b] = terms(index, k);
          sum += grid("A").at(...a) * grid("B").at(...b);
        }
        return sum * (attributes.alpha ?? 1);
      }),
    ],
  };
}

function scale(title: string, scale_down: number, factor: (g: Builder) => Value, by: number): Definition {
  return {
    opType: "Scale",
    title,
    inputs: { X: normal(shape) },
    build: (g, I) => [g.Scale(I("X"), factor(g), { scale_down })],
    expected: (grid) => [grid("X").data.map((x) => x * by)],
  };
}

/** The sum of a gradient over the broadcast axes of a value, as ONNX Runtime's autodiff writes it. */
function broadcastSum(
  title: string,
  dims: readonly (number | string)[],
  sums: (dY: Grid) => number[],
): Definition[] {
  const inputs = { dY: normal(["batch", 2, 3]), X: normal(dims) };
  return (["BroadcastGradientArgs", "ReduceSumTraining"] as const).map((opType) => ({
    opType,
    title,
    inputs,
    build: (g, I) => {
      const [axes] = g.BroadcastGradientArgs(g.Shape(I("X")), g.Shape(I("dY")));
      const sum = g.ReduceSumTraining(I("dY"), axes, { keepdims: 1, noop_with_empty_axes: 1 });
      return opType === "ReduceSumTraining" ? [g.Reshape(sum, g.Shape(I("X")))] : [axes];
    },
    expected: (grid) => {
      const missing = 3 - dims.length;
      const axes = [0, 1, 2].filter((axis) => axis < missing || dims[axis - missing] === 1);
      return [opType === "ReduceSumTraining" ? sums(grid("dY")) : axes];
    },
  }));
}

const dropout = (title: string, ratio: number | null, isTraining: number | null): Definition => ({
  opType: "DropoutGrad",
  title,
  inputs: { dY: normal(shape), chance: uniform(shape) },
  build: (g, I) => {
    const mask = g.Greater(I("chance"), g.float(0.4));
    const mode = isTraining === null ? null : g.constant(bool(isTraining));
    return [g.DropoutGrad(I("dY"), mask, ratio === null ? null : g.float(ratio), mode)];
  },
  expected: (grid) => {
    const kept = isTraining === 0 ? 1 : 1 - (ratio ?? 0.5);
    return [
      grid("dY").data.map((d, i) =>
        Math.fround(at(grid("chance").data, i)) > Math.fround(0.4) ? d / kept : 0,
      ),
    ];
  },
});

/** Definitions of the operators in transformers and in models of other programs. */
export const transformerDefinitions: readonly Definition[] = [
  ...activation(
    "Gelu",
    (g, X) => g.Gelu(X),
    (g, dY, X) => g.GeluGrad(dY, X),
  ),
  ...[undefined, normal([3])].flatMap((bias) =>
    activation(
      "FastGelu",
      (g, X, b) => g.FastGelu(X, b),
      (g, dY, X, b) => g.FastGeluGrad(dY, X, b),
      bias,
    ),
  ),
  {
    opType: "FastGeluGrad",
    title: "of numbers whose squares are infinite",
    inputs: { X: { shape: [3], tensor: floats([1e20, -1e20, 3e38]) }, dY: normal([3]) },
    build: (g, I) => [g.FastGeluGrad(I("dY"), I("X"))],
    expected: (grid) => [grid("dY").data.map((d, i) => (i === 1 ? 0 : d))],
  },
  ...activation(
    "QuickGelu",
    (g, X) => g.QuickGelu(X, { alpha: 1.5 }),
    (g, dY, X) => g.QuickGeluGrad(dY, X, { alpha: 1.5 }),
  ),
  {
    opType: "LeakyReluGrad",
    title: "alpha 0.3",
    inputs: { dY: normal(shape), Y: apart(shape) },
    build: (g, I) => [g.LeakyReluGrad(I("dY"), I("Y"), { alpha: 0.3 })],
    expected: (grid) => [grid("dY").data.map((d, i) => (at(grid("Y").data, i) > 0 ? d : 0.3 * d))],
  },
  ...layerNorm("the last axis", ["batch", 2, 5], -1),
  ...layerNorm("two axes, no bias", ["batch", 2, 3], 1, false),
  ...layerNorm("all axes", [2, 3], 0),
  dropout("ratio 0.25", 0.25, 1),
  dropout("defaults", null, null),
  dropout("not training", 0.25, 0),
  matMul(
    "plain, alpha",
    normal([2, 3]),
    normal([3, 4]),
    { alpha: 0.5 },
    ([i = 0, j = 0], k) => [
      [i, k],
      [k, j],
    ],
    [[2, 4], 3],
  ),
  matMul(
    "both turned, batches broadcast",
    normal(["batch", 2, 3, 2]),
    normal([1, 4, 3]),
    { transA: 1, transB: 1 },
    ([n = 0, m = 0, i = 0, j = 0], k) => [
      [n, m, k, i],
      [0, j, k],
    ],
    [[3, 2, 2, 4], 3],
  ),
  matMul(
    "batch axes turned",
    normal([2, "batch", 4]),
    normal([4, "batch", 5]),
    { transBatchA: 1, transBatchB: 1 },
    ([n = 0, i = 0, j = 0], k) => [
      [i, n, k],
      [k, n, j],
    ],
    [[3, 2, 5], 4],
  ),
  {
    opType: "DivGrad",
    title: "broadcast",
    inputs: { dY: normal(["batch", 2]), A: normal(["batch", 2]), B: positive([2]) },
    build: (g, I) => g.DivGrad(I("dY"), I("A"), I("B")),
    expected: (grid) => {
      const [dY, A, B] = [grid("dY"), grid("A"), grid("B")];
      const dB = [0, 1].map((c) =>
        [0, 1, 2].reduce((sum, n) => sum - (dY.at(n, c) * A.at(n, c)) / B.at(c) ** 2, 0),
      );
      return [dY.data.map((d, i) => d / B.at(i % 2)), dB];
    },
  },
  scale("by a float", 0, (g) => g.float(2.5), 2.5),
  scale("down by a size", 1, (g) => g.Size(g.float([1, 2, 3, 4])), 0.25),
  scale("down by a vector of one", 1, (g) => g.float([5]), 0.2),
  ...broadcastSum("a leading axis and a 1", [1, 3], (dY) =>
    [0, 1, 2].map((c) => [...indicesOf(dY.dims)].reduce((sum, i) => sum + (i[2] === c ? dY.at(...i) : 0), 0)),
  ),
  ...broadcastSum("nothing", ["batch", 2, 3], (dY) => dY.data),
  {
    opType: "ConcatTraining",
    title: "with lengths",
    inputs: { A: normal(["batch", 2]), B: normal(["batch", 3]) },
    build: (g, I) => g.ConcatTraining(I("A"), I("B"), { axis: -1 }),
    expected: (grid) => {
      const joined = [0, 1, 2].flatMap((n) => [
        ...[0, 1].map((i) => grid("A").at(n, i)),
        ...[0, 1, 2].map((i) => grid("B").at(n, i)),
      ]);
      return [joined, [2, 3]];
    },
  },
  {
    opType: "SplitTraining",
    title: "",
    inputs: { X: normal(["batch", 5]) },
    build: (g, I) => g.SplitTraining(I("X"), g.int64([2, 3]), { axis: 1 }),
    expected: (grid) =>
      [
        [0, 1],
        [2, 3, 4],
      ].map((columns) => [0, 1, 2].flatMap((n) => columns.map((i) => grid("X").at(n, i)))),
  },
  {
    opType: "PassThrough",
    title: "",
    inputs: { A: positive([2]), B: normal([3]) },
    build: (g, I) => g.PassThrough(I("A"), I("B")).map((value) => g.Neg(value)),
    expected: (grid) => [grid("A").data.map((x) => -x), grid("B").data.map((x) => -x)],
  },
];
