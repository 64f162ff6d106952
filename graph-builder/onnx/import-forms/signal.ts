import { at } from "../../at.ts";
import type { Builder } from "../../builder.ts";
import { castLike, floatLike } from "../../composites.ts";
import type { Dim } from "../../dims.ts";
import type { Value } from "../../ir.ts";
import { dataTypeNumbers } from "../../operators/elementwise.ts";
import { refuse, unsupported } from "../../operators/inference.ts";
import { tensorOf } from "../../tensor.ts";
import { foldAround } from "./axis-folding.ts";
import type { ForeignNode, ImportForm } from "./form.ts";

/** A discrete Fourier transform: how many numbers it is of, and which it makes. */
interface Transform {
  /** An int64 scalar. */
  readonly length: Value;
  readonly isInverse: boolean;
  readonly isOneSided: boolean;
  /** 1 for real numbers, 2 for complex ones. */
  readonly parts: Dim | undefined;
}

/** The real and the imaginary parts of numbers; null for zeros. */
interface Parts {
  readonly real: Value;
  readonly imaginary: Value | null;
}

/**
 * The transform along axis 1 of [outer, numbers, inner, 1 or 2 parts], as a product with the matrices of
 * cos(2 pi k n / length) and sin(2 pi k n / length): as many operations as the square of the length.
 */
function transformed(g: Builder, X: Value, transform: Transform): Value {
  const { length, isInverse, isOneSided } = transform;
  const used = g.Slice(X, g.int64([0]), list(g, usedOf(g, transform)), g.int64([1]));
  const parts = partsOf(g, used, transform.parts);
  const half = g.Add(g.Div(length, g.int64(2)), g.int64(1));
  const made = isOneSided && !isInverse ? half : length;
  const from = g.Range(g.int64(0), g.Gather(g.Shape(used), g.int64(1)), g.int64(1));
  const to = g.Range(g.int64(0), made, g.int64(1));
  // k n modulo the length, and in double, so that the sine of half a turn is 0
  const turns = g.Mod(g.Mul(g.Unsqueeze(to, g.int64([1])), from), length);
  const wide = (value: Value) => g.Cast(value, { to: dataTypeNumbers.double });
  const angle = g.Mul(wide(turns), g.Div(g.constant(tensorOf("double", 2 * Math.PI)), wide(length)));
  const [cosine, sine] = [castLike(g, g.Cos(angle), X), castLike(g, g.Sin(angle), X)];
  if (!isInverse) return together(g, rotated(g, parts, cosine, g.Neg(sine)));
  const weights = isOneSided ? sidesOf(g, from, length, X) : floatLike(g, X, 1);
  const weighted = (matrix: Value) => g.Mul(matrix, g.Div(weights, castLike(g, length, X)));
  const both = rotated(g, parts, weighted(cosine), weighted(sine));
  return isOneSided ? g.Unsqueeze(both.real, g.int64([3])) : together(g, both);
}

/** How many of its numbers a transform reads: the others are cut. */
function usedOf(g: Builder, { length, isInverse, isOneSided }: Transform): Value {
  return isInverse && isOneSided ? g.Add(g.Div(length, g.int64(2)), g.int64(1)) : length;
}

/** How often each number of one side stands in both: once for the first, and for the one in the middle. */
function sidesOf(g: Builder, places: Value, length: Value, X: Value): Value {
  const isFirst = g.Equal(places, g.int64(0));
  const isMiddle = g.Equal(g.Add(places, places), length);
  return g.Where(g.Or(isFirst, isMiddle), floatLike(g, X, 1), floatLike(g, X, 2));
}

function list(g: Builder, scalar: Value): Value {
  return g.Reshape(scalar, g.int64([1]));
}

/** The parts of numbers in their last axis, and how many they are. */
function partsOf(g: Builder, X: Value, count: Dim | undefined): Parts {
  if (count !== 1 && count !== 2) return unsupported(`numbers of ${count} parts are not supported`);
  const part = (i: number) => g.Gather(X, g.int64(i), { axis: -1 });
  return { real: part(0), imaginary: count === 2 ? part(1) : null };
}

function together(g: Builder, { real, imaginary }: Parts): Value {
  const both = [real, imaginary ?? g.Sub(real, real)];
  return g.Concat(...both.map((part) => g.Unsqueeze(part, g.int64([3]))), { axis: 3 });
}

/** (cosine + i sine) applied to the numbers. */
function rotated(g: Builder, { real, imaginary }: Parts, cosine: Value, sine: Value): Parts {
  const [along, across] = [g.MatMul(cosine, real), g.MatMul(sine, real)];
  if (!imaginary) return { real: along, imaginary: across };
  return {
    real: g.Sub(along, g.MatMul(sine, imaginary)),
    imaginary: g.Add(across, g.MatMul(cosine, imaginary)),
  };
}

/** The length of a transform of X along an axis of size `size`, an int64 scalar. */
function transformOf(g: Builder, attributes: ForeignNode["attributes"], size: Value, given: Value | null) {
  const { inverse = 0, onesided = 0 } = attributes;
  const [isInverse, isOneSided] = [inverse === 1, onesided === 1];
  const whole = () => (isInverse && isOneSided ? g.Mul(g.Sub(size, g.int64(1)), g.int64(2)) : size);
  const length = given ? g.Cast(g.Reshape(given, g.int64([])), { to: dataTypeNumbers.int64 }) : whole();
  return { length, isInverse, isOneSided };
}

/** The discrete Fourier transform along an axis; the last axis has the real and the imaginary parts. */
const dft: ImportForm["read"] = (g, { inputs: [X, given = null, axis], attributes, opset }) => {
  if (!X) return refuse("input input is missing");
  if (X.shape.length < 2) return refuse(`needs an axis and one of the parts, not [${X.shape.join(", ")}]`);
  const along = axis ?? g.int64(opset < 20 ? Number(attributes["axis"] ?? 1) : -2);
  const { value, unfold } = foldAround(g, X, along, 1);
  const size = g.Gather(g.Shape(value), g.int64(1));
  return [
    unfold(transformed(g, value, { ...transformOf(g, attributes, size, given), parts: X.shape.at(-1) })),
  ];
};

/** The transforms of overlapping frames of a signal [N, length, 1 or 2 parts], times a window. */
const stft: ImportForm["read"] = (g, { inputs, attributes: { onesided = 1 } }) => {
  const [signal, step, window, given] = inputs;
  if (!signal || !step) return refuse("it needs a signal and frame_step");
  if (signal.shape.length !== 3) return refuse(`needs a signal of 3 axes, not [${signal.shape.join(", ")}]`);
  const scalar = (value: Value) => g.Cast(g.Reshape(value, g.int64([])), { to: dataTypeNumbers.int64 });
  const whole = g.Gather(g.Shape(signal), g.int64(1));
  const ofWindow = () => (window ? g.Gather(g.Shape(window), g.int64(0)) : whole);
  const length = given ? scalar(given) : ofWindow();
  const hop = scalar(step);
  const count = g.Add(g.Div(g.Sub(whole, length), hop), g.int64(1));
  const starts = g.Mul(g.Range(g.int64(0), count, g.int64(1)), hop);
  const places = g.Add(g.Unsqueeze(starts, g.int64([1])), g.Range(g.int64(0), length, g.int64(1)));
  const frames = g.Gather(signal, places, { axis: 1 });
  const weighted = window ? g.Mul(frames, g.Unsqueeze(window, g.int64([1]))) : frames;
  const { value, unfold } = foldAround(g, weighted, g.int64(2), 1);
  return [
    unfold(
      transformed(g, value, {
        length,
        isInverse: false,
        isOneSided: onesided === 1,
        parts: signal.shape.at(-1),
      }),
    ),
  ];
};

/** A window of cosines: the sum of coefficients[i] cos(2 pi i n / N), with alternating signs. */
function cosineWindow(opType: string, coefficients: readonly number[]): ImportForm {
  const read: ImportForm["read"] = (g, { inputs: [size], attributes }) => {
    if (!size) return refuse("input size is missing");
    const { periodic = 1, output_datatype: to = dataTypeNumbers.float } = attributes;
    // in float, as ONNX Runtime and ONNX's definition compute it
    const number = (value: number) => g.float(value);
    const count = g.Cast(g.Reshape(size, g.int64([])), { to: dataTypeNumbers.int64 });
    const places = g.Cast(g.Range(g.int64(0), count, g.int64(1)), { to: dataTypeNumbers.float });
    const whole = g.Cast(periodic ? count : g.Sub(count, g.int64(1)), { to: dataTypeNumbers.float });
    const angle = g.Div(g.Mul(places, number(2 * Math.PI)), whole);
    const terms = coefficients.slice(1).map((coefficient, i) => {
      const signed = number(i % 2 === 0 ? -coefficient : coefficient);
      return g.Mul(g.Cos(g.Mul(angle, number(i + 1))), signed);
    });
    const window = terms.reduce((sum, term) => g.Add(sum, term), number(at(coefficients, 0)));
    return [g.Cast(window, { to: Number(to) })];
  };
  return { domain: "", opType, read };
}

/** 2595 log10(1 + f / 700), the mel of a frequency in hertz. */
function mel(g: Builder, hertz: Value): Value {
  const wide = g.Cast(hertz, { to: dataTypeNumbers.double });
  const number = (value: number) => g.constant(tensorOf("double", value));
  return g.Mul(g.Log(g.Add(g.Div(wide, number(700)), number(1))), number(2595 / Math.log(10)));
}

/** The frequency in hertz of a mel. */
function hertz(g: Builder, mels: Value): Value {
  const number = (value: number) => g.constant(tensorOf("double", value));
  const power = g.Exp(g.Mul(mels, number(Math.log(10) / 2595)));
  return g.Mul(g.Sub(power, number(1)), number(700));
}

/**
 * The weights [dft_length / 2 + 1, num_mel_bins] of triangles: each rises from the bin before to 1 at its
 * own, and falls to the bin behind. The bins lie evenly on the mel scale, in double.
 */
const melWeightMatrix: ImportForm["read"] = (g, { inputs, attributes }) => {
  const [count, length, rate, lower, upper] = inputs.map((input) => input && g.Reshape(input, g.int64([])));
  if (!count || !length || !rate || !lower || !upper) return refuse("it needs five inputs");
  const whole = (value: Value) => g.Cast(value, { to: dataTypeNumbers.int64 });
  const wide = (value: Value) => g.Cast(value, { to: dataTypeNumbers.double });
  const edges = g.Add(whole(count), g.int64(2));
  const [low, high] = [mel(g, lower), mel(g, upper)];
  const step = g.Div(g.Sub(high, low), wide(edges));
  const mels = g.Add(g.Mul(wide(g.Range(g.int64(0), edges, g.int64(1))), step), low);
  const scaled = g.Mul(hertz(g, mels), wide(g.Add(whole(length), g.int64(1))));
  const bins = g.Floor(g.Div(scaled, wide(rate)));
  const edge = (first: number) =>
    g.Slice(bins, g.int64([first]), g.Reshape(g.Add(whole(count), g.int64(first)), g.int64([1])));
  const [before, own, behind] = [edge(0), edge(1), edge(2)];
  const rows = g.Add(g.Div(whole(length), g.int64(2)), g.int64(1));
  const row = g.Unsqueeze(wide(g.Range(g.int64(0), rows, g.int64(1))), g.int64([1]));
  const one = g.constant(tensorOf("double", 1));
  const zero = g.constant(tensorOf("double", 0));
  // a triangle without a width is 1 at its bin alone, and the divisor says nothing
  const [rise, fall] = [g.Max(g.Sub(own, before), one), g.Max(g.Sub(behind, own), one)];
  const isFlat = g.Equal(own, before);
  const rising = g.Where(isFlat, one, g.Div(g.Sub(row, before), rise));
  const isRising = g.And(g.GreaterOrEqual(row, before), g.LessOrEqual(row, own));
  const isFalling = g.And(g.GreaterOrEqual(row, own), g.Less(row, behind));
  const falling = g.Div(g.Sub(behind, row), fall);
  const weights = g.Where(isFalling, falling, g.Where(isRising, rising, zero));
  const { output_datatype: to = dataTypeNumbers.float } = attributes;
  return [g.Cast(weights, { to: Number(to) })];
};

/** Operators of signals in time. */
export const signal: readonly ImportForm[] = [
  { domain: "", opType: "DFT", read: dft },
  { domain: "", opType: "STFT", read: stft },
  { domain: "", opType: "MelWeightMatrix", read: melWeightMatrix },
  cosineWindow("HannWindow", [0.5, 0.5]),
  cosineWindow("HammingWindow", [25 / 46, 21 / 46]),
  cosineWindow("BlackmanWindow", [0.42, 0.5, 0.08]),
];
