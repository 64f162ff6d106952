import type { Builder } from "../../builder.ts";
import { floatLike } from "../../composites.ts";
import type { Value } from "../../ir.ts";
import { dataTypeNumbers } from "../../operators/elementwise.ts";
import { knownNumbers, normalAxis, refuse } from "../../operators/inference.ts";
import type { AttributeReduction } from "../../operators/reductions.ts";
import { appendScan } from "../../scan.ts";
import { foldAround } from "./axis-folding.ts";
import { attributeAsInput, type ForeignNode, type ImportForm } from "./form.ts";

/**
 * From opset 18 on, the axes of a reduction are an input; ours are an attribute. `unreduced` is the result
 * with `noop_with_empty_axes`: the reduction of every element alone.
 */
function axesAsInput(
  opType: AttributeReduction,
  unreduced: (g: Builder, data: Value) => Value = (g, data) => g.Identity(data),
): ImportForm {
  const read: ImportForm["read"] = (g, { inputs: [data, axes], attributes }) => {
    const { noop_with_empty_axes, ...rest } = attributes;
    if (!data) return refuse("input data is missing");
    const known = axes ? knownNumbers(axes) : [];
    if (!known) return { inputs: [data, axes ?? null], attributes };
    if (known.length > 0) return { inputs: [data], attributes: { ...rest, axes: known } };
    return noop_with_empty_axes ? [unreduced(g, data)] : { inputs: [data], attributes: rest };
  };
  return { domain: "", opType, since: 18, read };
}

/**
 * Gelu of opset 20 is one of two operators of ONNX Runtime, by how it approximates the normal distribution.
 */
const gelu: ImportForm["read"] = (g, { inputs: [X], attributes: { approximate = "none" } }) => {
  if (!X) return refuse("input X is missing");
  if (approximate !== "none" && approximate !== "tanh")
    return refuse(`approximate ${approximate} is not known`);
  return [approximate === "none" ? g.Gelu(X) : g.FastGelu(X)];
};

/** X sigmoid(alpha X). */
function swished(g: Builder, X: Value, { alpha = 1 }: ForeignNode["attributes"]): Value {
  const scaled = alpha === 1 ? X : g.Mul(X, floatLike(g, X, Number(alpha)));
  return g.Mul(X, g.Sigmoid(scaled));
}

const swish: ImportForm["read"] = (g, { inputs: [X], attributes }) =>
  X ? [swished(g, X, attributes)] : refuse("input X is missing");

/** Swish(A) B. */
const swiGlu: ImportForm["read"] = (g, { inputs: [A, B], attributes }) =>
  A && B ? [g.Mul(swished(g, A, attributes), B)] : refuse("input A or B is missing");

/** Before opset 11, the bounds are attributes. */
const clip: ImportForm["read"] = (g, { inputs: [input = null], attributes: { min, max, ...rest } }) => {
  if (!input) return refuse("input input is missing");
  const bound = (value: unknown) => (typeof value === "number" ? floatLike(g, input, value) : null);
  return { inputs: [input, bound(min), bound(max)], attributes: rest };
};

const castLikeForm: ImportForm["read"] = (g, { inputs: [input, target] }) => {
  if (!input || !target) return refuse("input input or target_type is missing");
  return [g.Cast(input, { to: dataTypeNumbers[target.elemType] })];
};

/** Before opset 13, these operators worked on all axes from `axis` on as one, with 1 as the default. */
function overFlattened(opType: "Softmax" | "LogSoftmax" | "Hardmax"): ImportForm {
  const read: ImportForm["read"] = (g, { inputs: [input], attributes }) => {
    if (!input) return refuse("input input is missing");
    const { axis = 1 } = attributes;
    const rank = input.shape.length;
    const first = normalAxis(Number(axis), rank);
    if (first === rank - 1) return { inputs: [input], attributes };
    return [g.Reshape(g[opType](g.Flatten(input, { axis: first })), g.Shape(input))];
  };
  return { domain: "", opType, until: 13, read };
}

/** The products of the elements up to each along an axis, by a Scan: as many operations as elements. */
const cumulativeProduct: ImportForm["read"] = (g, { inputs: [x, axis], attributes }) => {
  if (!x || !axis) return refuse("it needs x and an axis");
  const { exclusive = 0, reverse = 0 } = attributes;
  const { value, unfold } = foldAround(g, x, axis);
  const rest = g.Concat(g.Shape(value, { end: 1 }), g.Shape(value, { start: 2 }), { axis: 0 });
  const { made } = appendScan(g, {
    states: [g.Expand(floatLike(g, x, 1), rest)],
    sequences: [g.Transpose(value, { perm: [1, 0, 2] })],
    captured: [],
    inputDirections: Number(reverse),
    outputDirections: Number(reverse),
    step: (b, { states: [before], elements: [element] }) => {
      const after = b.Mul(before, element);
      return { states: [after], made: [b.Identity(exclusive ? before : after)] };
    },
  });
  return [unfold(g.Transpose(made[0], { perm: [1, 0, 2] }))];
};

/** Operators that work element by element, and reductions. */
export const elementwiseAndReductions: readonly ImportForm[] = [
  { domain: "", opType: "Gelu", read: gelu },
  { domain: "", opType: "Clip", until: 11, read: clip },
  { domain: "", opType: "CastLike", read: castLikeForm },
  { domain: "", opType: "Swish", read: swish },
  { domain: "", opType: "SwiGLU", read: swiGlu },
  { domain: "", opType: "CumProd", read: cumulativeProduct },
  overFlattened("Softmax"),
  overFlattened("LogSoftmax"),
  overFlattened("Hardmax"),
  attributeAsInput("ReduceSum", "axes"),
  axesAsInput("ReduceMean"),
  axesAsInput("ReduceMax"),
  axesAsInput("ReduceMin"),
  axesAsInput("ReduceProd"),
  axesAsInput("ReduceSumSquare", (g, data) => g.Mul(data, data)),
  axesAsInput("ReduceL1", (g, data) => g.Abs(data)),
  axesAsInput("ReduceL2", (g, data) => g.Abs(data)),
  axesAsInput("ReduceLogSum", (g, data) => g.Log(data)),
  axesAsInput("ReduceLogSumExp"),
];
