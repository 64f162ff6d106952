import { describe, expect, test } from "vitest";
import {
  type Builder,
  createBuilder,
  createModel,
  dataTypeNumbers,
  encodeModel,
  explicitState,
  Graph,
  type Lowering,
  loweringOf,
  portable,
  runPasses,
  type Tensor,
  trainingPasses,
  type Value,
} from "../../../graph-builder/index.ts";
import { trainingModel } from "../../../shakenet/index.ts";
import { apart, type Input, integers, normal, positive } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";
import { tinySettings } from "../../support/tiny-run.ts";

const tables: Readonly<Record<string, Lowering>> = {
  portable: portable,
  cpu: loweringOf("cpu"),
  webgpu: loweringOf("webgpu"),
};

/** Runs a graph over inputs and returns its outputs in order. */
async function evaluate(
  inputs: Readonly<Record<string, Input>>,
  build: (g: Builder, v: Record<string, Value>) => readonly Value[],
  lowering: Lowering,
): Promise<number[][]> {
  const g = createBuilder(new Graph("lowered"));
  const values: Record<string, Value> = {};
  const feeds: Record<string, Tensor> = {};
  for (const [name, { shape, tensor }] of Object.entries(inputs)) {
    values[name] = g.input(name, tensor.elemType, shape);
    feeds[name] = tensor;
  }
  const outputs = build(g, values);
  for (const [i, output] of outputs.entries()) g.output(output, `output${i}`);
  const results = await runGraph(g.graph, feeds, lowering);
  return outputs.map((_, i) => numbersOf(results, `output${i}`));
}

function expectClose(actual: readonly number[], expected: readonly number[], digits = 5): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, digits);
}

const at = (input: Input, i: number) => Number(input.tensor.data[i]);
const value = (v: Record<string, Value>, name: string) => v[name] as Value;

describe.each(Object.keys(tables))("the %s table", (name) => {
  const table = tables[name] ?? {};

  test("normalises as ONNX Runtime's own BatchNormalization in training mode, running statistics too", async () => {
    const inputs = {
      X: normal(["batch", 2, 4, 3]),
      S: positive([2]),
      B: normal([2]),
      M: normal([2]),
      V: positive([2]),
    };
    const list = (v: Record<string, Value>) => Object.values(v) as [Value, Value, Value, Value, Value];
    const options = { training_mode: 1, momentum: 0.7, epsilon: 0.01 };
    const ours = await evaluate(
      inputs,
      (g, v) => g.BatchNormInternal(...list(v), options).slice(0, 3),
      table,
    );
    const theirs = await evaluate(inputs, (g, v) => g.BatchNormalization(...list(v), options), {});
    for (const [i, expected] of theirs.entries()) expectClose(ours[i] ?? [], expected);
  });

  test("saves the mean and the inverse deviation that the backward pass reads", async () => {
    const X = normal(["batch", 2]);
    const inputs = { X, S: positive([2]), B: normal([2]), M: normal([2]), V: positive([2]) };
    const [, , , mean = [], invStd = []] = await evaluate(
      inputs,
      (g, v) =>
        g.BatchNormInternal(...(Object.values(v) as [Value, Value, Value, Value, Value]), {
          training_mode: 1,
        }),
      table,
    );
    for (const channel of [0, 1]) {
      const column = [0, 1, 2].map((n) => at(X, 2 * n + channel));
      const expected = column.reduce((sum, x) => sum + x, 0) / 3;
      const variance = column.reduce((sum, x) => sum + (x - expected) ** 2, 0) / 3;
      expect(mean[channel]).toBeCloseTo(expected, 5);
      expect(invStd[channel]).toBeCloseTo(1 / Math.sqrt(variance + 1e-5), 3);
    }
  });

  test.each(["mean", "sum", "none"])(
    "takes the cross-entropy by %s as ONNX Runtime's own function",
    async (reduction) => {
      const inputs = {
        X: normal(["batch", 4, 2]),
        L: integers([0, 3, 1, -5, 2, 2], ["batch", 2]),
        W: positive([4]),
      };
      const build = (g: Builder, v: Record<string, Value>) =>
        g.SoftmaxCrossEntropyLoss(value(v, "X"), value(v, "L"), value(v, "W"), {
          reduction,
          ignore_index: -5,
        });
      const [ours, theirs] = [await evaluate(inputs, build, table), await evaluate(inputs, build, {})];
      expectClose(ours[0] ?? [], theirs[0] ?? []);
      expectClose(ours[1] ?? [], theirs[1] ?? []);
    },
  );

  test("takes the cross-entropy where a class that is not the label, or an ignored one, has no chance", async () => {
    const ignored = 3;
    const X = normal(["batch", 4]);
    for (const place of [1, 4, 11]) X.tensor.data[place] = Number.NEGATIVE_INFINITY;
    const inputs = { X, L: integers([0, 2, ignored], ["batch"]) };
    const [[loss] = []] = await evaluate(
      inputs,
      (g, v) => [g.SoftmaxCrossEntropyLoss(value(v, "X"), value(v, "L"), null, { ignore_index: ignored })[0]],
      table,
    );
    const losses = [0, 1].map((row) => {
      const scores = [0, 1, 2, 3].map((column) => at(X, 4 * row + column));
      const sum = scores.reduce((total, score) => total + Math.exp(score), 0);
      return Math.log(sum) - (scores[2 * row] ?? Number.NaN);
    });
    expect(loss).toBeCloseTo(losses.reduce((total, each) => total + each, 0) / 2, 5);
  });

  test("passes a gradient through Relu where its output is above zero, exactly", async () => {
    const [dY, Y] = [normal(["batch", 5]), apart(["batch", 5])];
    const [dX = []] = await evaluate({ dY, Y }, (g, v) => [g.ReluGrad(value(v, "dY"), value(v, "Y"))], table);
    for (const [i, gradient] of dX.entries())
      expect(Math.abs(gradient - (at(Y, i) > 0 ? at(dY, i) : 0))).toBe(0);
  });

  test("passes a gradient of double through Relu", async () => {
    const [dY, Y] = [normal(["batch", 5]), apart(["batch", 5])];
    const double = (g: Builder, X: Value) => g.Cast(X, { to: dataTypeNumbers.double });
    const [dX = []] = await evaluate(
      { dY, Y },
      (g, v) => [g.ReluGrad(double(g, value(v, "dY")), double(g, value(v, "Y")))],
      table,
    );
    expect(dX).toHaveLength(dY.tensor.data.length);
    for (const [i, gradient] of dX.entries()) expect(gradient).toBe(at(Y, i) > 0 ? at(dY, i) : 0);
  });

  test("leaves nothing but ai.onnx of a whole training step, the same bytes each time", () => {
    const { graph } = trainingModel(tinySettings());
    const bytes = [0, 1].map(() => encodeModel(createModel(runPasses(graph, trainingPasses(table)))));
    expect(bytes[0]).toEqual(bytes[1]);
    const domains = runPasses(graph, trainingPasses(table)).nodes.map(({ operator }) => operator.domain);
    expect(new Set(domains)).toEqual(new Set([""]));
  });
});

test("a batch normalisation's new statistics and an accumulated gradient become outputs", async () => {
  const g = createBuilder(new Graph("state"));
  const inputs = {
    buffer: normal([2]),
    x: normal(["batch", 2]),
    running_mean: normal([2]),
    running_var: positive([2]),
  };
  const v = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape }]) => [name, g.input(name, "float", shape)]),
  );
  const reset = g.input("reset", "bool", [1]);
  const outputs = g.BatchNormInternal(
    value(v, "x"),
    g.float([1, 1]),
    g.float([0, 0]),
    value(v, "running_mean"),
    value(v, "running_var"),
    { training_mode: 1, momentum: 0.9 },
  );
  g.output(outputs[0], "y");
  const sum = g.ReduceSum(value(v, "x"), g.int64([0]), { keepdims: 0 });
  g.output(g.InPlaceAccumulatorV2(value(v, "buffer"), sum, reset)[0], "flag");
  const explicit = explicitState.run(g.graph);
  expect(explicit.outputs.map(({ name }) => name).sort()).toEqual([
    "buffer_next",
    "running_mean_next",
    "running_var_next",
    "y",
  ]);
  const feeds = Object.fromEntries(Object.entries(inputs).map(([name, { tensor }]) => [name, tensor]));
  const { Tensor } = await import("../../../graph-builder/index.ts");
  for (const overwrite of [0, 1]) {
    const flag = new Tensor("bool", [1], Uint8Array.of(overwrite));
    const results = await runGraph(explicit, { ...feeds, reset: flag });
    for (const channel of [0, 1]) {
      const column = [0, 1, 2].map((n) => at(inputs.x, 2 * n + channel));
      const total = column.reduce((a, b) => a + b, 0);
      const expected = total + (overwrite ? 0 : at(inputs.buffer, channel));
      expect(results["buffer_next"]?.numbers()[channel]).toBeCloseTo(expected, 5);
      const mean = 0.9 * at(inputs.running_mean, channel) + (0.1 * total) / 3;
      expect(results["running_mean_next"]?.numbers()[channel]).toBeCloseTo(mean, 5);
    }
  }
});
