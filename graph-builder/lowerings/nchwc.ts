import type { Builder } from "../builder.ts";
import { elementsOver, sizeAt } from "../composites.ts";
import type { Value } from "../ir.ts";
import type { Attributes, OpType } from "../operators/index.ts";
import { staticDim } from "../operators/inference.ts";
import { kernelOf } from "../operators/neural.ts";
import { windowOf } from "../operators/windows.ts";
import { sameShape } from "../types.ts";
import { convGrad } from "./convolution.ts";
import { suitsProducts } from "./few-pixels.ts";
import type { Call, Lower, Lowering } from "./lower.ts";
import {
  blockedInputGradient,
  blockedWeightGradient,
  blockedWeights,
  blocks,
  canConvolve,
  plain,
} from "./nchwc-convolution.ts";
import {
  depthwiseInputGradient,
  depthwiseWeightGradient,
  depthwiseWeights,
  isDepthwise,
} from "./nchwc-depthwise.ts";
import { isNormalized, runningStatistics } from "./normalization.ts";
import { suitsWinograd, winogradConv, winogradInputGradient, winogradWeightGradient } from "./winograd.ts";

/**
 * The layer over `cpu` for ONNX Runtime's blocked layout with `B` channels a block (operators/nchwc.ts). A
 * rule declines where the number of channels is no multiple of B, and for other types than float. Each rule
 * converts its inputs to the blocked layout and its outputs back; the pass cancelReorders then removes the
 * conversions between neighbouring nodes.
 */
export function nchwc(B: number): Lowering {
  const isBlocked = (value: Value | null): value is Value =>
    value?.elemType === "float" && value.shape.length === 4 && Number(value.shape[1]) % B === 0;
  const when =
    <K extends OpType>(suits: (call: Call<K>) => boolean, blocked: Lower<K>): Lower<K> =>
    (g, call) =>
      suits(call) ? blocked(g, call) : undefined;
  const inputs = ({ node, I }: Variadic) => node.inputs.map((_, i) => I(i));
  // an operator that works on any layout gains nothing from blocks unless an input is blocked already
  const isLaidOut = (...values: readonly Value[]) =>
    values.every(isBlocked) && values.some(({ producer }) => producer?.opType === "ReorderOutput");
  const areAlike = (values: readonly Value[]) =>
    isLaidOut(...values) && values.every(({ shape }) => sameShape(shape, values[0]?.shape ?? []));

  return {
    Relu: when(
      ({ I }) => isLaidOut(I(0)),
      (g, { I }) => [plain(g, g.Relu(blocks(g, I(0))))],
    ),
    ReluGrad: when(
      ({ I }) => isLaidOut(I(0), I(1)),
      (g, { I }) => [
        plain(g, g.Mul(blocks(g, I(0)), g.HardSigmoid(blocks(g, I(1)), { alpha: 1e30, beta: 0 }))),
      ],
    ),
    Clip: when(
      ({ I }) => isLaidOut(I(0)),
      (g, { I, optional }) => [plain(g, g.Clip(blocks(g, I(0)), optional(1), optional(2)))],
    ),
    // Clip's gradient: dY where Clip has changed nothing
    Where: (g, { I }) => {
      const { producer } = I(0);
      const [X, Y] = producer?.opType === "Equal" ? producer.inputs : [];
      if (!X || !Y || !areAlike([X, Y, I(1)]) || I(2).shape.some((dim) => dim !== 1)) return undefined;
      return [plain(g, g.Where(g.Equal(blocks(g, X), blocks(g, Y)), blocks(g, I(1)), I(2)))];
    },
    Add: when(
      ({ I }) => areAlike([I(0), I(1)]),
      (g, { I }) => [plain(g, g.Add(blocks(g, I(0)), blocks(g, I(1))))],
    ),
    Sum: when(
      (call) => areAlike(inputs(call)),
      (g, call) => [plain(g, g.Sum(...inputs(call).map((value) => blocks(g, value))))],
    ),
    // axis 1 orders the blocks as it orders the channels, so Concat and Split work on whole blocks
    Concat: when(
      (call) => call.attributes.axis === 1 && isLaidOut(...inputs(call)),
      (g, call) => [plain(g, g.Concat(...inputs(call).map((value) => blocks(g, value)), { axis: 1 }))],
    ),
    Split: when(
      ({ node, attributes, I }) => attributes.axis === 1 && isLaidOut(I(0)) && node.outputs.every(isBlocked),
      (g, { I }) => g.Split(blocks(g, I(0)), I(1), { axis: 1 }).map((part) => plain(g, part)),
    ),
    // a factor [N, 1, 1, 1], or a single number, broadcasts in the same way in both layouts
    Mul: when(
      ({ I }) => [I(0), I(1)].some((value) => isLaidOut(value)) && [I(0), I(1)].some(isPerImage),
      (g, { I }) => {
        const blocked = (value: Value) => (isPerImage(value) ? value : blocks(g, value));
        return [plain(g, g.Mul(blocked(I(0)), blocked(I(1))))];
      },
    ),

    Conv: (g, call) => {
      const { I, optional, attributes } = call;
      if (I(0).elemType !== "float") return undefined;
      if (isByProducts(I(0), I(1), attributes)) return undefined;
      const byWinograd = winogradConv(B)(g, call);
      if (byWinograd) return byWinograd;
      const isPerChannel = isDepthwise(I(0), I(1), attributes.group, B);
      if (!isPerChannel && !canConvolve(I(0), I(1), attributes.group, B)) return undefined;
      const weights = isPerChannel ? depthwiseWeights : blockedWeights;
      return [plain(g, g.NchwcConv(blocks(g, I(0)), weights(g, I(1), B), optional(2), attributes))];
    },
    ConvGrad: (g, call) => {
      if (!isBlocked(call.I(0)) || !isBlocked(call.I(1))) return undefined;
      if (isByProducts(call.I(1), call.I(2), call.attributes)) return undefined;
      if (isDepthwise(call.I(1), call.I(2), call.attributes.group, B)) {
        return convGrad(
          (builder, conv) => depthwiseWeightGradient(builder, conv, B),
          (builder, conv) => depthwiseInputGradient(builder, conv, B),
        )(g, call);
      }
      return convGrad(
        (builder, conv) =>
          suitsWinograd(conv, B)
            ? winogradWeightGradient(builder, conv, B)
            : blockedWeightGradient(builder, conv, B),
        (builder, conv) =>
          suitsWinograd(conv, B)
            ? winogradInputGradient(builder, conv, B)
            : blockedInputGradient(builder, conv, B),
      )(g, call);
    },

    BatchNormalization: when(
      ({ I, attributes }) => isBlocked(I(0)) && attributes.training_mode === 0,
      (g, { I, attributes: { epsilon } }) => {
        const gain = g.Div(I(1), g.Sqrt(g.Add(I(4), g.float(epsilon))));
        return [plain(g, affine(g, blocks(g, I(0)), gain, g.Sub(I(2), g.Mul(I(3), gain))))];
      },
    ),
    BatchNormInternal: when(
      ({ I }) => isBlocked(I(0)),
      (g, { I, node, attributes: { epsilon, momentum } }) => {
        const X = blocks(g, I(0));
        const count = elementsOver(g, X, [0, 2, 3]);
        const channelMean = (value: Value) => g.Div(channelSum(g, value, B), count);
        const mean = channelMean(X);
        const square = (value: Value) => channelMean(g.Mul(value, value));
        const ones = g.float(Array(staticDim(X.shape, 1)).fill(1));
        const variance = isNormalized(node.input(0))
          ? g.Relu(g.Sub(square(X), g.Mul(mean, mean)))
          : square(affine(g, X, ones, g.Neg(mean)));
        const invStd = g.Reciprocal(g.Sqrt(g.Add(variance, g.float(epsilon))));
        const gain = g.Mul(I(1), invStd);
        const Y = plain(g, affine(g, X, gain, g.Sub(I(2), g.Mul(mean, gain))));
        return [Y, ...runningStatistics(g, [I(3), I(4)], [mean, variance], momentum), mean, invStd];
      },
    ),
    // dX = a dY + b X + c with a = scale invStd, b = -a invStd dScale / M, c = -a dB / M - b mean
    BatchNormalizationGrad: when(
      ({ I }) => isBlocked(I(0)),
      (g, { I }) => {
        const [dY, X, scale, mean, invStd] = [blocks(g, I(0)), blocks(g, I(1)), I(2), I(3), I(4)];
        const dBias = channelSum(g, dY, B);
        const dScale = g.Mul(invStd, g.Sub(channelSum(g, g.Mul(dY, X), B), g.Mul(mean, dBias)));
        const count = elementsOver(g, X, [0, 2, 3]);
        const a = g.Mul(scale, invStd);
        const b = g.Neg(g.Div(g.Mul(g.Mul(a, invStd), dScale), count));
        const c = g.Neg(g.Add(g.Div(g.Mul(a, dBias), count), g.Mul(b, mean)));
        return [plain(g, affine(g, dY, a, null, affine(g, X, b, c))), dScale, dBias];
      },
    ),
  };
}

/** Whether the layer below computes a convolution of X with W as a product of matrices. */
function isByProducts(X: Value, W: Value, attributes: Attributes<"Conv">): boolean {
  return suitsProducts({
    X,
    W,
    group: attributes.group,
    window: windowOf(kernelOf(W, attributes), attributes),
  });
}

/** A call of an operator with any number of inputs. */
interface Variadic {
  readonly node: { readonly inputs: readonly unknown[] };
  readonly I: (index: number) => Value;
}

/** Whether a value has one number per image, [N, 1, 1, 1], or a single number. */
function isPerImage({ shape }: Value): boolean {
  return shape.every((dim, axis) => dim === 1 || (axis === 0 && shape.length === 4));
}

/** gain * X + shift (+ sum) per channel of a blocked X, as a depthwise 1x1 convolution. */
function affine(g: Builder, X: Value, gain: Value, shift: Value | null, sum: Value | null = null): Value {
  const channels = staticDim(X.shape, 1);
  const W = g.Reshape(gain, g.int64([channels, 1, 1, 1]));
  return g.NchwcConv(X, W, shift, sum, { group: channels, kernel_shape: [1, 1] });
}

/**
 * The sum of each channel of a blocked X [N, C, H, W]: first over the images, as a product of ones [1, N] and
 * X as [N, C H W], and then over the pixels. ReduceSum over the pixels of every image takes two to five times
 * as long.
 */
function channelSum(g: Builder, X: Value, B: number): Value {
  const channels = staticDim(X.shape, 1);
  const images = g.MatMul(onesPerImage(g, X), g.Reshape(X, g.int64([0, -1])));
  const pixels = g.Reshape(images, g.int64([channels / B, -1, B]));
  return g.Reshape(g.ReduceSum(pixels, g.int64([1]), { keepdims: 0 }), g.int64([channels]));
}

/** Ones for the images of X, [1, N]. */
function onesPerImage(g: Builder, X: Value): Value {
  const images = X.shape[0];
  if (typeof images === "number") return g.float(Array(images).fill(1), [1, images]);
  const count = g.Reshape(sizeAt(g, X, 0), g.int64([1]));
  return g.Expand(g.float([1], [1, 1]), g.Concat(g.int64([1]), count, { axis: 0 }));
}
