import { tensorType } from "../types.ts";
import { meanAxes, reduceShape, summedAxes } from "./inference.ts";
import { attribute, operator, optional } from "./schema.ts";

/** A reduction whose axes are an attribute. */
const reduction = operator({
  inputs: ["data"],
  outputs: ["reduced"],
  attributes: { axes: optional("ints"), keepdims: attribute("int", 1) },
  infer: ([data], { axes, keepdims }) => [
    tensorType(data.elemType, reduceShape(data.shape, meanAxes(data, axes), keepdims)),
  ],
});

export const reductions = {
  ArgMax: operator({
    inputs: ["data"],
    outputs: ["reduced"],
    attributes: {
      axis: attribute("int", 0),
      keepdims: attribute("int", 1),
      select_last_index: attribute("int", 0),
    },
    infer: ([data], { axis, keepdims }) => [tensorType("int64", reduceShape(data.shape, [axis], keepdims))],
  }),
  ReduceSum: operator({
    inputs: ["data", "axes?"],
    outputs: ["reduced"],
    attributes: { keepdims: attribute("int", 1), noop_with_empty_axes: attribute("int", 0) },
    infer: ([data, axes], { keepdims, noop_with_empty_axes: noop }) => [
      tensorType(data.elemType, reduceShape(data.shape, summedAxes(data, axes, noop), keepdims)),
    ],
  }),
  ReduceMean: reduction,
  ReduceL2: reduction,
  ReduceLogSumExp: reduction,
};
