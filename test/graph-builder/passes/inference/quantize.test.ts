import { describe, expect, test } from "vitest";
import {
  type Builder,
  checkGraph,
  createBuilder,
  floats,
  Graph,
  quantize,
  type Range,
  runPasses,
  Tensor,
  type Value,
} from "../../../../graph-builder/index.ts";
import { normal } from "../../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../../support/run-graph.ts";

function graphOf(build: (g: Builder, X: Value) => Value, shape: readonly (number | string)[]): Graph {
  const g = createBuilder(new Graph("float"));
  g.output(build(g, g.input("X", "float", shape)), "Y");
  return g.graph;
}

/** Y = W x + b of one pixel, for tests that count by hand. */
function pointwise(W: readonly number[], b: readonly number[]): Graph {
  const channels = W.length / b.length;
  return graphOf(
    (g, X) => {
      const weight = g.constant(floats(W, [b.length, channels, 1, 1]), "c.weight");
      return g.Conv(X, weight, g.constant(floats(b), "c.bias"));
    },
    [1, channels, 1, 1],
  );
}

const scales = (entries: Readonly<Record<string, Range>>) => new Map(Object.entries(entries));

async function outputOf(graph: Graph, X: readonly number[]): Promise<number[]> {
  return numbersOf(await runGraph(graph, { X: floats(X, [1, X.length, 1, 1]) }), "Y");
}

describe("quantize", () => {
  test("puts a round trip through 8 bits around what a convolution reads, its filters and its bias", () => {
    const graph = graphOf(
      (g, X) => {
        const conv = g.Conv(X, g.float(Array(4).fill(0.5), [2, 2, 1, 1]), g.float([1, 2]));
        return g.Conv(g.Relu(conv), g.float(Array(2).fill(0.5), [1, 2, 1, 1]));
      },
      ["batch", 2, 1, 1],
    );
    const range = { min: -1, max: 1 };
    const quantized = runPasses(graph, [
      quantize(scales({ X: range, Conv_0: range, Relu_0: range, Y: range })),
    ]);
    checkGraph(quantized);
    const types = quantized.nodes.map(({ opType }) => opType.replace("Linear", ""));
    // nothing between a convolution and its Relu, which runtimes fuse; none behind the result
    const [inputs, filters] = [["Quantize", "Dequantize"], ["Dequantize"]];
    expect(types).toEqual([...inputs, ...filters, ...filters, "Conv", "Relu", ...inputs, ...filters, "Conv"]);
    const [W] = quantized.nodes
      .filter(({ opType }) => opType === "Conv")
      .map((node) => node.input(1).producer);
    expect(W?.input(0).elemType).toBe("int8");
    expect(W?.input(1).shape).toEqual([2]);
  });

  test("computes with whole numbers: 3 steps times 21 steps and a bias of 100 steps", async () => {
    // 255 steps of 0.1 from 0; 63 steps of 1/63 for each filter
    const range = { min: 0, max: 25.5 };
    const quantized = runPasses(pointwise([1, 1 / 3], [100 / 630]), [
      quantize(scales({ X: range, Y: range })),
    ]);
    const [bias] = quantized.initializers.filter(({ name }) => name === "c.bias");
    expect([bias?.elemType, bias?.constant?.numbers()]).toEqual(["int32", [100]]);
    const [weight] = quantized.initializers.filter(({ name }) => name === "c.weight");
    expect(weight?.constant?.numbers()).toEqual([63, 21]);
    const [y = 0] = await outputOf(quantized, [0, 0.34]);
    expect(y).toBeCloseTo((3 * 21 + 100) / 630, 5);
  });

  test("every filter has a scale of its own, one of zeros too, and a large bias stays exact", async () => {
    const range = { min: -4, max: 4 };
    const W = [1000, -500, 0, 0, 1e-7, 1e-7];
    const quantized = runPasses(pointwise(W, [0, 7, 40]), [
      quantize(scales({ X: range, Y: { min: -3000, max: 3000 } })),
    ]);
    const found = await outputOf(quantized, [1, -1]);
    const expected = [1500, 7, 40];
    for (const [i, value] of expected.entries()) {
      expect(Math.abs((found[i] ?? 0) - value), `filter ${i}`).toBeLessThan(i === 0 ? 30 : 0.01);
    }
  });

  test("zero is a step of every range, so padding stays exact", async () => {
    const graph = graphOf(
      (g, X) => {
        const W = g.constant(floats(Array(9).fill(1), [1, 1, 3, 3]));
        return g.Conv(X, W, { pads: [1, 1, 1, 1] });
      },
      [1, 1, 1, 1],
    );
    const quantized = runPasses(graph, [quantize(scales({ X: { min: 3, max: 5 }, Y: { min: 0, max: 5 } }))]);
    const [y = 0] = await outputOf(quantized, [4]);
    expect(Math.abs(y - 4)).toBeLessThan(5 / 255);
  });

  test("is near the float graph in ONNX Runtime, convolutions and Gemm of either layout", async () => {
    const { tensor } = normal([8, 3, 6, 6]);
    const weight = (dims: readonly number[]) => normal(dims).tensor;
    const W = { conv: weight([5, 3, 3, 3]), fc: weight([5, 7]), head: weight([4, 7]) };
    const graph = graphOf(
      (g, X) => {
        const conv = g.Relu(g.Conv(X, g.constant(W.conv), g.constant(weight([5])), { pads: [1, 1, 1, 1] }));
        const features = g.Flatten(g.GlobalAveragePool(conv));
        const hidden = g.Gemm(features, g.constant(W.fc), g.constant(weight([7])));
        return g.Gemm(hidden, g.constant(W.head), { transB: 1 });
      },
      ["batch", 3, 6, 6],
    );
    const observed = new Graph("observed");
    observed.inputs.push(...graph.inputs);
    observed.outputs = graph.nodes.flatMap(({ outputs }) => outputs);
    observed.nodes = graph.nodes;
    for (const value of observed.outputs) value.name ??= value.producer?.name;
    const results = await runGraph(observed, { X: tensor });
    const ranges = Object.entries({ ...results, X: tensor }).map(([name, found]: [string, Tensor]) => {
      const numbers = found.numbers();
      return [name, { min: Math.min(...numbers), max: Math.max(...numbers) }] as const;
    });
    const expected = numbersOf(results, "Y");
    const quantized = runPasses(graph, [quantize(new Map(ranges))]);
    checkGraph(quantized);
    const found = numbersOf(await runGraph(quantized, { X: tensor }), "Y");
    const scale = Math.max(...expected.map(Math.abs));
    const error = Math.max(...expected.map((value, i) => Math.abs(value - (found[i] ?? Number.NaN)))) / scale;
    expect(error).toBeLessThan(0.05);
    expect(error).toBeGreaterThan(0);
  });

  test("a Conv whose bias is an input of the graph stays float and keeps its bias", () => {
    const g = createBuilder(new Graph("fed"));
    const [X, B] = [g.input("X", "float", [1, 1, 2, 2]), g.input("B", "float", [1])];
    g.output(g.Conv(X, g.constant(floats([2], [1, 1, 1, 1])), B), "Y");
    const quantized = runPasses(g.graph, [
      quantize(scales({ X: { min: 0, max: 1 }, Y: { min: 0, max: 1 } })),
    ]);
    expect(quantized.nodes.map(({ opType, inputs }) => [opType, inputs.length])).toEqual([["Conv", 3]]);
  });

  test("a value that was not calibrated is named", () => {
    expect(() => runPasses(pointwise([1], [0]), [quantize(scales({}))])).toThrow(
      "X has no range: calibrate the model with data first",
    );
  });
});

test.each([
  ["scales that do not fit the axis", [3], [3], 1, /3 scales do not fit axis 1 of \[2, 4\]/],
  ["a matrix of scales", [2, 4], [2, 4], 1, /the scale must be a number or a vector, not \[2, 4\]/],
  ["a zero point of another shape", [4], [], 1, /the zero point is \[\], the scale \[4\]/],
] as const)("quantisation refuses %s", (_, scale, zeroPoint, axis, sentence) => {
  const g = createBuilder(new Graph("unfit"));
  const X = g.input("X", "float", [2, 4]);
  const [s, z] = [g.input("s", "float", scale), g.input("z", "uint8", zeroPoint)];
  expect(() => g.QuantizeLinear(X, s, z, { axis })).toThrow(sentence);
});

test("the type of the zero point is that of the whole numbers", () => {
  const g = createBuilder(new Graph("types"));
  const X = g.input("X", "float", [2, 4]);
  const z = g.constant(new Tensor("int8", [], new Int8Array(1)));
  const whole = g.QuantizeLinear(X, g.float(0.1), z);
  expect([whole.elemType, g.QuantizeLinear(X, g.float(0.1)).elemType]).toEqual(["int8", "uint8"]);
  expect(g.DequantizeLinear(whole, g.float(0.1), z).elemType).toBe("float");
  const other = g.constant(new Tensor("uint8", [], new Uint8Array(1)));
  expect(() => g.DequantizeLinear(whole, g.float(0.1), other)).toThrow(/x is int8 and its zero point uint8/);
});
