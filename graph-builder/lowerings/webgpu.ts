import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import { castLike } from "../composites.ts";
import { isOp, type Value } from "../ir.ts";
import { normalAxis } from "../operators/inference.ts";
import { affineNormalization } from "./affine-normalization.ts";
import { convGrad } from "./convolution.ts";
import { crossEntropyLoss } from "./cross-entropy.ts";
import type { Lowering } from "./lower.ts";
import { productWeightGradient } from "./webgpu-convolution.ts";

/**
 * The forms that ONNX Runtime's WebGPU provider has kernels for, and those that keep many cores of a graphics
 * card busy and read the memory seldom. A node without a kernel runs on the processor, and its inputs and
 * outputs are copied from the GPU and back, for which the GPU waits.
 */
export const webgpu: Lowering = {
  ...affineNormalization,
  ConvGrad: convGrad(productWeightGradient),
  Sum: (g, { node, I }) => {
    const terms = node.inputs.map((_, i) => I(i));
    return [terms.slice(1).reduce((sum, term) => g.Add(sum, term), at(terms, 0))];
  },
  LogSoftmax: (g, { I, attributes: { axis } }) => [logSoftmax(g, I(0), axis)],
  SoftmaxCrossEntropyLoss: crossEntropyLoss((g, scores) => logSoftmax(g, scores, 1)),
  // whole numbers up to 2^24 are equal as floats where they are equal
  Equal: (g, { I }) => {
    const [first, second] = [I(0), I(1)];
    const [a, b] = [placeOfMaximum(g, first), placeOfMaximum(g, second)];
    const known = a ?? b;
    return known && [g.Equal(a ?? castLike(g, first, known), b ?? castLike(g, second, known))];
  },
};

/** X - max - log(sum(exp(X - max))) over an axis. */
function logSoftmax(g: Builder, X: Value, axis: number): Value {
  const shifted = g.Sub(X, g.ReduceMax(X, { axes: [axis] }));
  return g.Sub(shifted, g.Log(g.ReduceSum(g.Exp(shifted), g.int64([axis]))));
}

/**
 * The result of an ArgMax as floats, from operators that have kernels for floats. Undefined for the result of
 * another operator, and where the number of indices is not known or above 2^24.
 */
function placeOfMaximum(g: Builder, { producer }: Value): Value | undefined {
  if (!isOp(producer, "ArgMax") || producer.attributes.select_last_index) return undefined;
  const X = producer.input(0);
  const { keepdims } = producer.attributes;
  const axis = normalAxis(producer.attributes.axis, X.shape.length);
  const size = X.shape[axis];
  if (X.elemType !== "float" || typeof size !== "number" || size > 2 ** 24) return undefined;
  const places = Float32Array.from({ length: size }, (_, i) => i);
  const shape = X.shape.map((_, i) => (i === axis ? size : 1));
  const isMaximum = g.Equal(X, g.ReduceMax(X, { axes: [axis] }));
  const place = g.Where(isMaximum, g.float([...places], shape), g.float(size - 1));
  return g.ReduceMin(place, { axes: [axis], keepdims });
}
