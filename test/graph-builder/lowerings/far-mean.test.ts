import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import {
  appendGradients,
  createBuilder,
  floats,
  Graph,
  type Lowering,
  lowerGraph,
  loweringOf,
  RandomStream,
  type Value,
} from "../../../graph-builder/index.ts";
import { isNormalized } from "../../../graph-builder/lowerings/normalization.ts";
import { blockSize } from "../../../runtime/device/blocked-layout.ts";
import { cudaOnCpu } from "../../support/cuda-emulation.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

const B = (await blockSize(ort)) ?? 0;
const lowerings: readonly (readonly [name: string, lowering: Lowering])[] = [
  ["portable", loweringOf("portable")],
  ["cpu", loweringOf("cpu")],
  ["webgpu", loweringOf("webgpu")],
  ["cuda, with its own operators emulated", loweringOf("cuda")],
  ...(B > 0 ? [["nchwc", loweringOf("cpu", B)] as const] : []),
];

const [images, channels, pixels] = [4, 16, 36] as const;
const random = new RandomStream(1, "far mean");
/** Channel c has the mean 1000 (c + 1) and a deviation of about c + 1. */
const data = Float32Array.from({ length: images * channels * pixels }, (_, i) => {
  const channel = (Math.floor(i / pixels) % channels) + 1;
  return channel * (1000 + random.normal(i));
});
const slope = Float32Array.from(data, (_, i) => random.normal(i + data.length));

/** The numbers of a channel, in float64. */
function channelOf(values: ArrayLike<number>, channel: number): number[] {
  const all = Array.from({ length: images * pixels }, (_, i) => {
    const image = Math.floor(i / pixels);
    return values[(image * channels + channel) * pixels + (i % pixels)] ?? Number.NaN;
  });
  return all;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe.each(lowerings)("batch normalisation by the lowering %s", (_, lowering) => {
  test("is right to 1e-3 where a channel's mean is a thousand times its deviation, and so are its gradients", async () => {
    const g = createBuilder(new Graph("far"));
    const perChannel = (name: string) => g.input(name, "float", [channels]);
    const X = g.input("X", "float", ["batch", channels, 6, 6]);
    const [scale, bias, running, variance] = ["scale", "bias", "running", "variance"].map(perChannel) as [
      Value,
      Value,
      Value,
      Value,
    ];
    const outputs = g.BatchNormInternal(X, scale, bias, running, variance, { training_mode: 1, epsilon: 0 });
    const weighted = g.Mul(outputs[0], g.input("slope", "float", ["batch", channels, 6, 6]));
    const loss = g.ReduceSum(weighted, g.int64([0, 1, 2, 3]), { keepdims: 0 });
    g.output(outputs[0], "Y");
    g.output(outputs[4], "invStd");
    const [dX, dScale] = appendGradients(g, loss, [X, scale]) as [Value, Value];
    g.output(dX, "dX");
    g.output(dScale, "dScale");
    const ones = floats(Array(channels).fill(1));
    const zeros = floats(Array(channels).fill(0));
    const shape = [images, channels, 6, 6];
    const feeds = { X: floats([...data], shape), slope: floats([...slope], shape) };
    const statistics = { scale: ones, bias: zeros, running: zeros, variance: ones };
    const found = await runGraph(lowerGraph(g.graph, lowering), { ...feeds, ...statistics }, cudaOnCpu);
    const numbers = (name: string) => numbersOf(found, name);
    for (let channel = 0; channel < channels; channel++) {
      const x = channelOf(data, channel);
      const dY = channelOf(slope, channel);
      const invStd = 1 / Math.sqrt(mean(x.map((value) => (value - mean(x)) ** 2)));
      const normal = x.map((value) => (value - mean(x)) * invStd);
      const product = mean(normal.map((value, i) => value * (dY[i] ?? 0)));
      const gradient = dY.map((value, i) => invStd * (value - mean(dY) - (normal[i] ?? 0) * product));
      expect(Math.abs((numbers("invStd")[channel] ?? 0) / invStd - 1)).toBeLessThan(1e-3);
      expect((numbers("dScale")[channel] ?? 0) / normal.length).toBeCloseTo(product, 3);
      expectNear(channelOf(numbers("Y"), channel), normal);
      expectNear(channelOf(numbers("dX"), channel), gradient);
    }
  });
});

/** The norm of the difference is below a thousandth of the norm. */
function expectNear(found: readonly number[], expected: readonly number[]): void {
  const difference = found.map((value, i) => value - (expected[i] ?? 0));
  expect(Math.hypot(...difference) / Math.hypot(...expected)).toBeLessThan(1e-3);
}

test("data is not normalised, what lies behind a normalisation is, and a shortcut around it is not", () => {
  const g = createBuilder(new Graph("ways"));
  const X = g.input("X", "float", ["batch", 4, 6, 6]);
  const W = g.input("W", "float", [4, 4, 1, 1]);
  const statistics = [1, 0, 0, 1].map((value, i) => g.constant(floats(Array(4).fill(value)), `s${i}`));
  const [scale, bias, running, variance] = statistics as [Value, Value, Value, Value];
  const behind = g.BatchNormInternal(g.Conv(X, W), scale, bias, running, variance, { training_mode: 1 })[0];
  expect(isNormalized(X)).toBe(false);
  expect(isNormalized(g.Relu(g.Conv(X, W)))).toBe(false);
  expect(isNormalized(g.Conv(g.Relu(behind), W))).toBe(true);
  expect(isNormalized(g.Add(behind, X))).toBe(false);
  expect(isNormalized(g.Add(behind, g.Relu(behind)))).toBe(true);
  expect(lowerGraph(g.graph, loweringOf("cpu")).nodes).toEqual([]);
});
