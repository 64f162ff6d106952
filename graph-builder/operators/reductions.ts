import { tensorType } from "../types.ts";
import { reducedShape, reduceShape, sameAs } from "./inference.ts";
import { attribute, operator, optional } from "./schema.ts";

/** A reduction whose axes are an attribute, or an input where only a run tells them. */
const reduction = operator({
  since: ({ noop_with_empty_axes: noop }, inputs) => (noop || inputs[1] ? 18 : 11),
  inputs: ["data", "axes?"],
  outputs: ["reduced"],
  attributes: {
    axes: optional("ints"),
    keepdims: attribute("int", 1),
    noop_with_empty_axes: attribute("int", 0),
  },
  infer: ([data, input], { axes, ...attributes }) => {
    const shape =
      !input && axes?.length
        ? reduceShape(data.shape, axes, attributes.keepdims)
        : reducedShape(data, input, attributes);
    return [tensorType(data.elemType, shape)];
  },
});

/** The index of an extremum along one axis. */
const indexOfExtremum = operator({
  since: ({ select_last_index }) => (select_last_index ? 12 : 11),
  inputs: ["data"],
  outputs: ["reduced"],
  attributes: {
    axis: attribute("int", 0),
    keepdims: attribute("int", 1),
    select_last_index: attribute("int", 0),
  },
  infer: ([data], { axis, keepdims }) => [tensorType("int64", reduceShape(data.shape, [axis], keepdims))],
});

/** The reductions whose axes are an attribute here; from opset 18 on, they are an input. */
export const attributeReductions = [
  "ReduceMean",
  "ReduceMax",
  "ReduceMin",
  "ReduceProd",
  "ReduceSumSquare",
  "ReduceL1",
  "ReduceL2",
  "ReduceLogSum",
  "ReduceLogSumExp",
] as const;
export type AttributeReduction = (typeof attributeReductions)[number];

export const reductions = {
  ArgMax: indexOfExtremum,
  ArgMin: indexOfExtremum,
  ReduceSum: operator({
    inputs: ["data", "axes?"],
    outputs: ["reduced"],
    attributes: { keepdims: attribute("int", 1), noop_with_empty_axes: attribute("int", 0) },
    infer: ([data, axes], attributes) => [tensorType(data.elemType, reducedShape(data, axes, attributes))],
  }),
  ReduceMean: reduction,
  ReduceMax: reduction,
  ReduceMin: reduction,
  ReduceProd: reduction,
  ReduceSumSquare: reduction,
  ReduceL1: reduction,
  ReduceL2: reduction,
  ReduceLogSum: reduction,
  ReduceLogSumExp: reduction,
  CumSum: operator({
    inputs: ["x", "axis"],
    outputs: ["y"],
    attributes: { exclusive: attribute("int", 0), reverse: attribute("int", 0) },
    infer: ([x]) => sameAs(x),
  }),
};
