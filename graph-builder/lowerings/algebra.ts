import { castLike, floatLike } from "../composites.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";
import { constantNumbers } from "../operators/inference.ts";
import { Tensor } from "../tensor.ts";
import type { Lowering } from "./lower.ts";

/** The variants of ai.onnx operators that ONNX Runtime's own autodiff emits (domain com.microsoft). */
export const algebra = {
  ReduceSumTraining: (g, { I, attributes: { keepdims, noop_with_empty_axes: noop } }) => {
    const axes = constantNumbers(I(1), "axes");
    if (axes.length === 0) return [noop ? I(0) : g.ReduceSum(I(0), null, { keepdims })];
    return [g.ReduceSum(I(0), g.int64(axes), { keepdims })];
  },
  BroadcastGradientArgs: (g, { node }) => node.outputs.map((axes) => g.int64(constantNumbers(axes, "axes"))),

  ConcatTraining: (g, { node, I, isUsed, attributes: { axis } }) => {
    const inputs = node.inputs.map((_, i) => I(i));
    const lengths = isUsed(1) ? g.int64(constantNumbers(node.output(1), "lengths")) : null;
    return [g.Concat(...inputs, { axis }), lengths];
  },
  SplitTraining: (g, { I, attributes }) => g.Split(I(0), I(1), attributes),

  // Y = X * scale, or X / scale with scale_down; scale is a single number of any type
  Scale: (g, { I, attributes: { scale_down } }) => {
    const [X, scale] = [I(0), I(1)];
    const number = scale.shape.length > 0 ? g.Squeeze(scale, g.int64(scale.shape.map((_, i) => i))) : scale;
    const factor =
      scale.elemType === X.elemType ? number : g.Cast(number, { to: dataTypeNumbers[X.elemType] });
    return [scale_down ? g.Div(X, factor) : g.Mul(X, factor)];
  },

  // dX = dY / (1 - ratio) where the mask is true, else 0
  DropoutGrad: (g, { I, optional }) => {
    const given = optional(2) ?? g.float(0.5);
    const isTraining = optional(3) ?? g.constant(new Tensor("bool", [], Uint8Array.of(1)));
    const ratio = g.Where(isTraining, given, floatLike(g, given, 0));
    const kept = castLike(g, g.Sub(floatLike(g, given, 1), ratio), I(0));
    return [g.Where(I(1), g.Div(I(0), kept), floatLike(g, I(0), 0))];
  },

  // explicitState ran before, so no node writes into an input and the order of execution does not matter
  PassThrough: (_, { node, I }) => node.inputs.map((__, i) => I(i)),
} satisfies Lowering;
