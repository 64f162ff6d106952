import type { Builder } from "../builder.ts";
import { elementsOver } from "../composites.ts";
import type { Value } from "../ir.ts";
import type { Call, Lower, Lowering } from "../lowering.ts";
import type { OpType } from "../operators/index.ts";
import { staticDim } from "../operators/inference.ts";
import { type Convolution, convGrad, inputGradient } from "./convolution.ts";
import { cpu, dilatedWeightGradient } from "./cpu.ts";
import { runningStatistics } from "./normalization.ts";

/**
 * The CPU's operators over blocks of `B` channels (operators/nchwc.ts), where channels come in whole blocks; elsewhere as in `cpu`.
 * Each operator turns its inputs into blocks and its outputs back, and cancelReorders drops what cancels out: what stays blocked
 * between two operators follows from that alone.
 */
export function nchwc(B: number): Lowering {
  const isBlocked = (value: Value | null): value is Value =>
    value !== null && value.shape.length === 4 && Number(value.shape[1]) % B === 0;
  const isPlain = (...values: readonly (Value | null)[]) => !values.every(isBlocked);
  const when =
    <K extends OpType>(
      suits: (call: Call<K>) => boolean,
      blocked: Lower<K>,
      otherwise: Lower<K> = () => undefined,
    ): Lower<K> =>
    (g, call) =>
      suits(call) ? blocked(g, call) : otherwise(g, call);
  const inputs = ({ node, I }: Pick<Call<OpType>, "node" | "I">) => node.inputs.map((_, i) => I(i));
  // what works on any layout joins blocks that are there already
  const isLaidOut = (...values: readonly Value[]) =>
    values.every(isBlocked) && values.some(({ producer }) => producer?.opType === "ReorderOutput");
  const areAlike = (values: readonly Value[]) =>
    isLaidOut(...values) && values.every(({ shape }) => shape.join() === values[0]?.shape.join());

  return {
    ...cpu,

    Relu: when(
      ({ I }) => isLaidOut(I(0)),
      (g, { I }) => [plain(g, g.Relu(blocks(g, I(0))))],
    ),
    ReluGrad: when(
      ({ I }) => isLaidOut(I(0), I(1)),
      (g, { I }) => [
        plain(g, g.Mul(blocks(g, I(0)), g.HardSigmoid(blocks(g, I(1)), { alpha: 1e30, beta: 0 }))),
      ],
      cpu.ReluGrad,
    ),
    Add: when(
      ({ I }) => areAlike([I(0), I(1)]),
      (g, { I }) => [plain(g, g.Add(blocks(g, I(0)), blocks(g, I(1))))],
    ),
    Sum: when(
      (call) => areAlike(inputs(call as never)),
      (g, call) => [plain(g, g.Sum(...inputs(call as never).map((value) => blocks(g, value))))],
    ),
    // blocks lie behind each other as channels do
    Concat: when(
      (call) => call.attributes.axis === 1 && isLaidOut(...inputs(call as never)),
      (g, call) => [
        plain(g, g.Concat(...inputs(call as never).map((value) => blocks(g, value)), { axis: 1 })),
      ],
    ),
    Split: when(
      ({ node, attributes, I }) => attributes.axis === 1 && isLaidOut(I(0)) && node.outputs.every(isBlocked),
      (g, { I }) => g.Split(blocks(g, I(0)), I(1), { axis: 1 }).map((part) => plain(g, part)),
    ),
    ShakeForward: when(
      ({ I }) => isLaidOut(I(0), I(1)),
      (g, { I }) => {
        const alpha = perImage(g, I(2));
        const rest = g.Sub(g.float(1), alpha);
        return [plain(g, g.Add(g.Mul(blocks(g, I(0)), alpha), g.Mul(blocks(g, I(1)), rest)))];
      },
    ),
    ShakeBackward: when(
      ({ I }) => isLaidOut(I(0)),
      (g, { I }) => {
        const [grad, beta] = [blocks(g, I(0)), perImage(g, I(1))];
        return [beta, g.Sub(g.float(1), beta)].map((weight) => plain(g, g.Mul(grad, weight)));
      },
    ),

    Conv: when(
      ({ I, attributes }) => canConvolve(I(0), I(1), attributes.group, B),
      (g, { I, optional, attributes }) => [
        plain(g, g.NchwcConv(blocks(g, I(0)), blockedWeights(g, I(1), B), optional(2), attributes)),
      ],
    ),
    ConvGrad: (g, call) => {
      const [dY, X, W] = [call.I(0), call.I(1), call.I(2)];
      if (isPlain(X, dY)) return cpu.ConvGrad?.(g, call);
      return convGrad(
        (builder, conv) => blockedWeightGradient(builder, conv),
        (builder, conv) => blockedInputGradient(builder, conv, B),
      )(g, { ...call, I: (i) => [dY, X, W][i] ?? call.I(i) });
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
      (g, { I, attributes: { epsilon, momentum } }) => {
        const X = blocks(g, I(0));
        const count = elementsOver(g, X, [0, 2, 3]);
        const mean = g.Div(channelSum(g, X, B), count);
        const meanSquare = g.Div(channelSum(g, g.Mul(X, X), B), count);
        const variance = g.Relu(g.Sub(meanSquare, g.Mul(mean, mean)));
        const invStd = g.Reciprocal(g.Sqrt(g.Add(variance, g.float(epsilon))));
        const gain = g.Mul(I(1), invStd);
        const Y = plain(g, affine(g, X, gain, g.Sub(I(2), g.Mul(mean, gain))));
        return [Y, ...runningStatistics(g, [I(3), I(4)], [mean, variance], momentum), mean, invStd];
      },
      cpu.BatchNormInternal,
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
      cpu.BatchNormalizationGrad,
    ),
  };
}

/** A value of whole blocks in the blocked layout. */
function blocks(g: Builder, X: Value): Value {
  return g.ReorderInput(X);
}

/** A blocked value in ONNX's layout. */
function plain(g: Builder, X: Value): Value {
  return g.ReorderOutput(X, { channels: staticDim(X.shape, 1) });
}

function perImage(g: Builder, weights: Value): Value {
  return g.Reshape(weights, g.int64([-1, 1, 1, 1]));
}

/** gain * X + shift (+ sum) per channel of a blocked X: a depthwise 1x1 convolution. */
function affine(g: Builder, X: Value, gain: Value, shift: Value | null, sum: Value | null = null): Value {
  const channels = staticDim(X.shape, 1);
  const W = g.Reshape(gain, g.int64([channels, 1, 1, 1]));
  return g.NchwcConv(X, W, shift, sum, { group: channels, kernel_shape: [1, 1] });
}

/** The sum of each channel of a blocked X [N, C, H, W]. */
function channelSum(g: Builder, X: Value, B: number): Value {
  const [channels, height, width] = [1, 2, 3].map((axis) => staticDim(X.shape, axis));
  const view = g.Reshape(X, g.int64([0, (channels ?? 0) / B, (height ?? 0) * (width ?? 0), B]));
  const pixels = g.ReduceSum(view, g.int64([2]), { keepdims: 0 });
  return g.Reshape(g.ReduceSum(pixels, g.int64([0]), { keepdims: 0 }), g.int64([channels ?? 0]));
}

/** Whether a convolution's channels come in whole blocks, in each group. */
function canConvolve(X: Value, W: Value, group: number, B: number): boolean {
  if (W.shape.length !== 4 || W.shape.some((dim) => typeof dim !== "number")) return false;
  const [filters, channels] = [staticDim(W.shape, 0), staticDim(W.shape, 1)];
  return (filters / group) % B === 0 && channels % B === 0 && X.shape.length === 4;
}

/** Weights [O, I, kh, kw] as [O/B, I/B, kh, kw, B (in), B (out)]: two transpositions of one axis each, the fastest of the ways tried. */
export function blockedWeights(g: Builder, W: Value, B: number): Value {
  const { filters, channels, kernel, taps } = weightDims(W);
  const outer = g.Transpose(g.Reshape(W, g.int64([filters / B, B, channels * taps])), { perm: [0, 2, 1] });
  const inner = g.Reshape(outer, g.int64([(filters * channels) / B ** 2, B, taps, B]));
  return g.Reshape(g.Transpose(inner, { perm: [0, 2, 1, 3] }), g.int64([filters, channels, ...kernel]));
}

/** The weights of the convolution that goes back: blocked, turned by 180 degrees, in- and output channels exchanged in each group. */
function turnedWeights(g: Builder, W: Value, group: number, B: number): Value {
  const { filters, channels, kernel, taps } = weightDims(W);
  const pairs = (filters * channels) / B ** 2;
  const squares = g.Reshape(blockedWeights(g, W, B), g.int64([pairs * taps, B, B]));
  const exchanged = g.Reshape(g.Transpose(squares, { perm: [0, 2, 1] }), g.int64([pairs, taps, B * B]));
  const backwards = g.int64(Array.from({ length: taps }, (_, tap) => taps - 1 - tap));
  const turned = taps === 1 ? exchanged : g.Gather(exchanged, backwards, { axis: 1 });
  const perGroup = g.Reshape(turned, g.int64([group, filters / group / B, channels / B, taps * B * B]));
  const shape = g.int64([group * channels, filters / group, ...kernel]);
  return g.Reshape(g.Transpose(perGroup, { perm: [0, 2, 1, 3] }), shape);
}

function weightDims(W: Value) {
  const [filters = 1, channels = 1, ...kernel] = W.shape.map(Number);
  return { filters, channels, kernel, taps: kernel.reduce((product, size) => product * size, 1) };
}

/** At stride 1, dX is a convolution of dY with the weights turned by 180 degrees and their channels exchanged. */
function blockedInputGradient(g: Builder, conv: Convolution, B: number): Value {
  const { dY, X, W, group, window } = conv;
  const { kernel, strides, dilations, pads } = window;
  const [filters, channels] = [staticDim(W.shape, 0) / group, staticDim(W.shape, 1)];
  const full = pads.map(
    (pad, i) => (dilations[i % kernel.length] ?? 1) * ((kernel[i % kernel.length] ?? 1) - 1) - pad,
  );
  const isWhole = filters % B === 0 && channels % B === 0;
  if (!isWhole || strides.some((stride) => stride !== 1) || full.some((pad) => pad < 0)) {
    return inputGradient(g, conv);
  }
  const attributes = { kernel_shape: kernel, dilations, pads: full, group };
  const dX = g.NchwcConv(blocks(g, dY), turnedWeights(g, W, group, B), attributes);
  return X.shape.length === 4 ? plain(g, dX) : dX;
}

/** dW as one dilated convolution (see cpu.ts), its image taken from the blocks channels last. */
function blockedWeightGradient(g: Builder, conv: Convolution): Value {
  const { X, group } = conv;
  if (group !== 1) return dilatedWeightGradient(g, conv);
  const channels = staticDim(X.shape, 1);
  return dilatedWeightGradient(g, conv, g.ReorderOutput(blocks(g, X), { channels, channels_last: 1 }));
}
