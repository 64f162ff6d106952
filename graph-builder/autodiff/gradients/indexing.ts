import type { Builder } from "../../builder.ts";
import { castLike, filled, wide } from "../../composites.ts";
import type { Value } from "../../ir.ts";
import type { indexing as operators } from "../../operators/indexing.ts";
import { tensorOf } from "../../tensor.ts";
import { otherFactors } from "./factors.ts";
import { movedBack } from "./moved-back.ts";
import type { Gradients } from "./rule.ts";

/** The gradients of operators that take and put elements at places that are inputs. */
export const indexing: Gradients<typeof operators> = {
  Gather: (g, { I, dY, attributes }) => [g.GatherGrad(g.Shape(I(0)), I(1), dY, attributes), null],
  GatherElements: (g, { I, dY, attributes: { axis } }) => [
    g.ScatterElements(filled(g, I(0), 0), I(1), dY, { axis, reduction: "add" }),
    null,
  ],
  GatherND: (g, { I, dY, attributes: { batch_dims } }) => [
    g.ScatterND(filled(g, I(0), 0), wholeIndices(g, I(1), batch_dims), dY, { reduction: "add" }),
    null,
  ],
  ScatterElements: (g, { I, O, dY, attributes: { axis, reduction } }) =>
    scatterGradient(
      g,
      { data: I(0), updates: I(2), Y: O(0), dY, reduction },
      {
        gather: (data) => g.GatherElements(data, I(1), { axis }),
        scatter: (data, updates, how) => g.ScatterElements(data, I(1), updates, { axis, reduction: how }),
      },
    ),
  ScatterND: (g, { I, O, dY, attributes: { reduction } }) =>
    scatterGradient(
      g,
      { data: I(0), updates: I(2), Y: O(0), dY, reduction },
      {
        gather: (data) => g.GatherND(data, I(1)),
        scatter: (data, updates, how) => g.ScatterND(data, I(1), updates, { reduction: how }),
      },
    ),
  // values = [off, on]: d on is the sum of dY where the output is on, d off the sum elsewhere
  OneHot: (g, { I, dY, attributes }) => [
    () => filled(g, I(0), 0),
    () => filled(g, I(1), 0),
    () => {
      const zeroOne = g.constant(tensorOf(dY.elemType, [0, 1]));
      const isOn = g.OneHot(I(0), I(1), zeroOne, attributes);
      const total = (each: Value) => g.ReduceSum(g.Reshape(each, g.int64([-1])), g.int64([0]));
      const on = total(g.Mul(dY, isOn));
      return g.Concat(g.Sub(total(dY), on), on, { axis: 0 });
    },
  ],
  NonZero: "zero",
  // an element that is there several times has the gradient at its first place
  Unique: (g, { I, O, dY, attributes: { axis } }) => {
    if (axis !== undefined) return [g.GatherGrad(g.Shape(I(0)), O(1), dY, { axis })];
    const flat = g.GatherGrad(g.Reshape(g.Size(I(0)), g.int64([1])), O(1), dY, { axis: 0 });
    return [g.Reshape(flat, g.Shape(I(0)))];
  },
  NonMaxSuppression: "zero",
  Compress: (g, { I, dY, attributes }) => [
    movedBack(g, I(0), dY, (places) => g.Compress(places, I(1), attributes)),
    null,
  ],
  TopK: (g, { I, O, dY, attributes: { axis } }) => [
    g.ScatterElements(filled(g, I(0), 0), O(1), dY, { axis }),
    null,
  ],
};

interface Scattered {
  readonly data: Value;
  readonly updates: Value;
  readonly Y: Value;
  readonly dY: Value;
  readonly reduction: string;
}

/** How a Scatter's places are read and written. */
interface Places {
  readonly gather: (data: Value) => Value;
  readonly scatter: (data: Value, updates: Value, reduction: string) => Value;
}

/** The gradients of data, indices and updates of a Scatter, for each way to join them. */
function scatterGradient(
  g: Builder,
  { data, updates, Y, dY, reduction }: Scattered,
  { gather, scatter }: Places,
): (Value | (() => Value) | null)[] {
  if (reduction === "add") return [dY, null, () => gather(dY)];
  if (reduction === "none") {
    return [() => scatter(dY, filled(g, updates, 0), "none"), null, () => gather(dY)];
  }
  if (reduction === "mul") {
    const product = scatter(otherFactors.nonZero(g, data), otherFactors.nonZero(g, updates), "mul");
    const zeros = scatter(otherFactors.isZero(g, data), otherFactors.isZero(g, updates), "add");
    return [
      () => g.Mul(dY, otherFactors.of(g, data, product, zeros)),
      null,
      () => g.Mul(gather(dY), otherFactors.of(g, updates, gather(product), gather(zeros))),
    ];
  }
  // the extremum, shared equally among what equals it
  const [given, put] = [wide(g, data), wide(g, updates)];
  const extremum = given === data ? Y : scatter(given, put, reduction);
  const [ofData, ofUpdates] = [
    castLike(g, g.Equal(given, extremum), dY),
    castLike(g, g.Equal(put, gather(extremum)), dY),
  ];
  const part = g.Div(dY, scatter(ofData, ofUpdates, "add"));
  return [() => g.Mul(ofData, part), null, () => g.Mul(ofUpdates, gather(part))];
}

/** The indices of GatherND with those of the batch axes in front. */
function wholeIndices(g: Builder, indices: Value, batchDims: number): Value {
  if (batchDims === 0) return indices;
  const rank = indices.shape.length;
  const shape = g.Concat(g.Shape(indices, { end: rank - 1 }), g.int64([1]), { axis: 0 });
  const coordinates = Array.from({ length: batchDims }, (_, axis) => {
    const count = g.Gather(g.Shape(indices), g.int64(axis));
    const others = Array.from({ length: rank }, (__, i) => i).filter((i) => i !== axis);
    return g.Expand(g.Unsqueeze(g.Range(g.int64(0), count, g.int64(1)), g.int64(others)), shape);
  });
  return g.Concat(...coordinates, indices, { axis: -1 });
}
