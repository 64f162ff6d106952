import { floatLike } from "../../composites.ts";
import type { Value } from "../../ir.ts";
import { normalAxis, refuse, staticDim } from "../../operators/inference.ts";
import { tensorOf } from "../../tensor.ts";
import { type ImportForm, numberList } from "./form.ts";

/**
 * Before opset 14 further outputs meant training mode. They are the running statistics and, as outputs 3 and
 * 4, saved ones that only ONNX's own gradient would read. Opsets 7 and 8 had `spatial`, which is 1 today.
 */
const batchNormalization: ImportForm["read"] = (_, { inputs, attributes, declared }) => {
  const { spatial = 1, ...rest } = attributes;
  if (spatial !== 1) return refuse("statistics for every pixel (spatial 0) are not supported");
  return { inputs, attributes: declared.length > 1 ? { ...rest, training_mode: 1 } : rest };
};

/**
 * Instance normalisation over groups of channels: X as [N, groups, -1]. Until opset 20 scale and bias are one
 * number a group, and from opset 21 on one number a channel.
 */
function groupNormalization(isPerChannel: boolean): ImportForm["read"] {
  return (g, { inputs: [X, scale, bias], attributes: { num_groups, epsilon = 1e-5 } }) => {
    if (!X || !scale || !bias) return refuse("it needs X, scale and bias");
    const groups = Number(num_groups);
    const rows = g.Reshape(X, g.int64([0, groups, -1]));
    const constant = (value: number) => g.constant(tensorOf(X.elemType, Array(groups).fill(value)));
    const factors = isPerChannel ? ([constant(1), constant(0)] as const) : ([scale, bias] as const);
    const normal = g.InstanceNormalization(rows, ...factors, { epsilon: Number(epsilon) });
    const Y = g.Reshape(normal, g.Shape(X));
    if (!isPerChannel) return [Y];
    const channel = (value: Value) => g.Unsqueeze(value, g.int64(X.shape.slice(2).map((_, i) => i + 1)));
    return [g.Add(g.Mul(Y, channel(scale)), channel(bias))];
  };
}

/** ONNX's RMSNormalization is ONNX Runtime's SimplifiedLayerNormalization. */
const rmsNormalization: ImportForm["read"] = (g, { inputs: [X = null, scale = null], attributes, name }) =>
  g.nodeFrom("SimplifiedLayerNormalization", [X, scale], attributes, name).outputs.slice(0, 1);

/**
 * Y = X / (bias + alpha / size * the sum of X^2 over `size` channels around the own)^beta. The sum is an
 * AveragePool along the channels.
 */
const localResponse: ImportForm["read"] = (g, { inputs: [X], attributes }) => {
  if (!X) return refuse("input X is missing");
  const { alpha = 1e-4, beta = 0.75, bias = 1, size } = attributes;
  const width = Number(size);
  const [before, after] = [Math.floor((width - 1) / 2), Math.ceil((width - 1) / 2)];
  const squares = g.Reshape(g.Mul(X, X), g.int64([0, 1, staticDim(X.shape, 1), -1]));
  const means = g.AveragePool(squares, {
    kernel_shape: [width, 1],
    pads: [before, 0, after, 0],
    count_include_pad: 1,
  });
  const mean = g.Reshape(means, g.Shape(X));
  const base = g.Add(g.Mul(mean, floatLike(g, X, Number(alpha))), floatLike(g, X, Number(bias)));
  return [g.Div(X, g.Pow(base, floatLike(g, X, Number(beta))))];
};

/** X over its 1-norm or 2-norm along an axis; 0 where the norm is 0. */
const lpNormalization: ImportForm["read"] = (g, { inputs: [X], attributes: { axis = -1, p = 2 } }) => {
  if (!X) return refuse("input X is missing");
  const axes = g.int64([normalAxis(Number(axis), X.shape.length)]);
  const sum = g.ReduceSum(p === 1 ? g.Abs(X) : g.Mul(X, X), axes);
  const safe = g.Where(g.Equal(sum, floatLike(g, X, 0)), floatLike(g, X, 1), sum);
  return [g.Div(X, p === 1 ? safe : g.Sqrt(safe))];
};

/**
 * (X - mean) / (standard deviation + 1e-9) over the axes, which are those of batch normalisation by default.
 */
const meanVariance: ImportForm["read"] = (g, { inputs: [X], attributes }) => {
  if (!X) return refuse("input X is missing");
  const axes = numberList("axes", attributes["axes"] ?? [0, 2, 3]);
  const centred = g.Sub(X, g.ReduceMean(X, { axes }));
  const deviation = g.Sqrt(g.ReduceMean(g.Mul(centred, centred), { axes }));
  return [g.Div(centred, g.Add(deviation, floatLike(g, X, 1e-9)))];
};

/** Normalisations. */
export const normalization: readonly ImportForm[] = [
  { domain: "", opType: "BatchNormalization", until: 14, read: batchNormalization },
  { domain: "", opType: "GroupNormalization", since: 21, read: groupNormalization(true) },
  { domain: "", opType: "GroupNormalization", until: 21, read: groupNormalization(false) },
  { domain: "", opType: "RMSNormalization", read: rmsNormalization },
  { domain: "", opType: "LRN", read: localResponse },
  { domain: "", opType: "LpNormalization", read: lpNormalization },
  { domain: "", opType: "MeanVarianceNormalization", read: meanVariance },
];
