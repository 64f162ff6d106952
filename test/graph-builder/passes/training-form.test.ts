import { expect, test } from "vitest";
import { drawBase } from "../../../graph-builder/counter-hash.ts";
import {
  type Builder,
  checkGraph,
  createBuilder,
  explicitBindings,
  explicitState,
  floats,
  Graph,
  int64s,
  isOp,
  Tensor,
  trainingForm,
  UserError,
  type Value,
} from "../../../graph-builder/index.ts";
import { drawnDropout } from "../../../graph-builder/passes/drawn-dropout.ts";
import { tensorOf } from "../../../graph-builder/tensor.ts";
import { gradientErrors } from "../../support/check-gradient.ts";
import { normal, positive } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

/** An inference graph over X float [batch, 2, 3] as a reader of files makes it. */
function inferenceGraph(build: (g: Builder, X: Value) => Value): Graph {
  const g = createBuilder(new Graph("foreign"));
  g.output(build(g, g.input("X", "float", ["batch", 2, 3])), "Y");
  return g.graph;
}

const constants = {
  scale: positive([2]).tensor,
  B: normal([2]).tensor,
  mean: normal([2]).tensor,
  variance: positive([2]).tensor,
};

function twoLayers(g: Builder, X: Value): Value {
  const { scale, B, mean, variance } = constants;
  const first = g.scope("bn1", () =>
    g.BatchNormalization(
      X,
      g.constant(scale, "bn1.weight"),
      g.constant(B, "bn1.bias"),
      g.constant(mean, "bn1.running_mean"),
      g.constant(variance, "bn1.running_var"),
      { momentum: 0.7, epsilon: 1e-2 },
    ),
  )[0];
  const [merged] = [g.constant(mean, "bn2.running_mean")];
  const copy = g.Identity(merged);
  return g.scope("block", () =>
    g.scope("bn2", () =>
      g.BatchNormalization(first, g.constant(variance, "bn2.weight"), merged, copy, g.constant(variance)),
    ),
  )[0];
}

test("running statistics become inputs, and a constant that is read elsewhere too is copied", () => {
  const form = trainingForm(inferenceGraph(twoLayers));
  checkGraph(form.graph);
  checkGraph(form.evaluation);
  const names = ["bn1.running_mean", "bn1.running_var", "block.bn2.running_mean", "block.bn2.running_var"];
  expect(form.graph.inputs.map(({ name }) => name)).toEqual(["X", ...names]);
  expect(form.evaluation.inputs.map(({ name }) => name)).toEqual(["X", ...names]);
  expect(form.bindings).toEqual(names.map((input) => ({ role: "statistic", input })));
  expect([...form.statistics.keys()]).toEqual(names);
  const layers = form.graph.nodes.filter((node) => isOp(node, "BatchNormInternal"));
  expect(layers.map(({ name, attributes }) => [name, attributes])).toEqual([
    ["bn1/BatchNormalization_0", { epsilon: 1e-2, momentum: 0.7, training_mode: 1 }],
    ["block/bn2/BatchNormalization_0", { epsilon: 1e-5, momentum: 0.9, training_mode: 1 }],
  ]);
});

test("the evaluation graph computes what the file computed", async () => {
  const graph = inferenceGraph(twoLayers);
  const { evaluation, statistics } = trainingForm(graph);
  const X = normal(["batch", 2, 3]).tensor;
  const feeds = Object.fromEntries<Tensor>([["X", X], ...statistics]);
  expect(await runGraph(evaluation, feeds)).toEqual(await runGraph(graph, { X }));
});

test("a step normalises by the batch and returns the next statistics", async () => {
  const form = trainingForm(inferenceGraph(twoLayers));
  const { mean } = constants;
  const X = normal(["batch", 2, 3]).tensor;
  const feeds = Object.fromEntries<Tensor>([["X", X], ...form.statistics]);
  const results = await runGraph(explicitState.run(form.graph), feeds);
  const [binding] = explicitBindings(form);
  expect(binding).toEqual({
    role: "statistic",
    input: "bn1.running_mean",
    output: "bn1.running_mean_next",
  });
  const channel = (c: number) => X.numbers().filter((_, i) => Math.floor(i / 3) % 2 === c);
  const average = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const expected = mean.numbers().map((old, c) => 0.7 * old + 0.3 * average(channel(c)));
  for (const [c, value] of numbersOf(results, "bn1.running_mean_next").entries())
    expect(value).toBeCloseTo(expected[c] ?? Number.NaN, 5);
});

test("a layer that is left out keeps its constants and its form", () => {
  const { graph, statistics } = trainingForm(inferenceGraph(twoLayers), {
    includes: ({ name }) => name.startsWith("block"),
  });
  expect(graph.nodes.map(({ opType }) => opType)).toEqual(["BatchNormalization", "BatchNormInternal"]);
  expect([...statistics.keys()]).toEqual(["block.bn2.running_mean", "block.bn2.running_var"]);
});

test("running statistics that the graph computes are refused with the node's name", () => {
  const graph = inferenceGraph((g, X) => {
    const mean = g.ReduceMean(X, { axes: [0, 2], keepdims: 0 });
    return g.BatchNormalization(X, g.float([1, 2]), g.float([0, 0]), mean, g.float([1, 1]))[0];
  });
  expect(() => trainingForm(graph)).toThrow(UserError);
  expect(() => trainingForm(graph)).toThrow("BatchNormalization at BatchNormalization_0 cannot be trained");
});

test("running statistics of 16 bits are refused with the node's name", () => {
  const g = createBuilder(new Graph("half"));
  const half = (value: number) => g.constant(tensorOf("float16", [value, value]));
  const X = g.input("X", "float16", ["batch", 2, 3]);
  g.output(g.BatchNormalization(X, half(1), half(0), half(0), half(1))[0], "Y");
  expect(() => trainingForm(g.graph)).toThrow(
    "BatchNormalization at BatchNormalization_0 cannot be trained: its input_mean is float16 and must be float.",
  );
});

test("Dropout draws its masks from two inputs in training, and is off in evaluation", async () => {
  const form = trainingForm(inferenceGraph((g, X) => g.Dropout(X, g.float(0.25), null, { seed: 9 })[0]));
  checkGraph(form.graph);
  expect(form.graph.inputs.map(({ name }) => name)).toEqual(["X", "random_seed", "random_step"]);
  expect(form.bindings).toEqual([
    { role: "random-seed", input: "random_seed" },
    { role: "random-step", input: "random_step" },
  ]);
  expect(form.graph.nodes.filter((node) => isOp(node, "Dropout"))).toEqual([]);
  expect(form.evaluation.inputs.map(({ name }) => name)).toEqual(["X"]);
  const X = positive(["batch", 2, 3]).tensor;
  const [Y, again, next] = await Promise.all(
    [5, 5, 6].map((step) => runGraph(form.graph, { X, ...draw(1, step) })),
  );
  expect(again).toEqual(Y);
  expect(next).not.toEqual(Y);
  for (const [i, y] of numbersOf(Y ?? {}, "Y").entries())
    expect([0, Math.fround(X.numbers()[i] ?? 0) / 0.75]).toContainEqual(expect.closeTo(y, 5));
});

test("a Dropout without a ratio drops half, whatever its training_mode was, and one of 0 nothing", () => {
  const isTraining = new Tensor("bool", [], Uint8Array.of(1));
  const factors = (form: Graph) =>
    form.nodes.flatMap((node) => (isOp(node, "Where") ? (node.input(2).constant?.numbers() ?? []) : []));
  const half = trainingForm(inferenceGraph((g, X) => g.Dropout(X, null, g.constant(isTraining))[0]));
  expect(factors(half.graph)).toEqual([2]);
  expect(half.evaluation.nodes.map(({ inputs }) => inputs.length)).toEqual([1]);
  const none = trainingForm(
    inferenceGraph((g, X) => g.Neg(g.Dropout(X, g.float(0), g.constant(isTraining))[0])),
  );
  expect(none.graph.inputs.map(({ name }) => name)).toEqual(["X"]);
  expect(none.graph.nodes.map(({ opType }) => opType)).toEqual(["Neg"]);
});

test("a ratio and a training_mode may be inputs of the graph", async () => {
  const g = createBuilder(new Graph("foreign"));
  const [X, ratio] = [g.input("X", "float", [1000]), g.input("ratio", "float", [])];
  g.output(g.Dropout(X, ratio, g.input("training", "bool", []))[0], "Y");
  const { graph } = trainingForm(g.graph);
  const switchedOff = new Tensor("bool", [], Uint8Array.of(0));
  for (const [share, factor] of [
    [0, 1],
    [0.75, 4],
    [1, 0],
  ] as const) {
    const feeds = {
      X: floats(Array<number>(1000).fill(1)),
      training: switchedOff,
      ratio: floats(share),
      ...draw(3, 1),
    };
    const Y = numbersOf(await runGraph(graph, feeds), "Y");
    expect([...new Set(Y)].filter((value) => value !== 0)).toEqual(factor === 0 ? [] : [factor]);
    expect(Y.filter((value) => value === 0).length / 1000).toBeCloseTo(share, 1);
  }
});

test("layers, steps and seeds draw independent masks, of the ratio's mean", async () => {
  const g = createBuilder(new Graph("foreign"));
  const X = g.input("X", "float", ["rows", 5]);
  for (const name of ["a", "b"])
    g.output(g.node("Dropout", [X, g.float(0.3), null], {}, "same").output(0), name);
  const { graph } = trainingForm(g.graph);
  const count = 20_000;
  const ones = floats(Array<number>(count).fill(1), [count / 5, 5]);
  const runs = await Promise.all(
    [draw(1, 0), draw(1, 1), draw(2, 0)].map((feeds) => runGraph(graph, { X: ones, ...feeds })),
  );
  const masks = runs.flatMap((run) =>
    ["a", "b"].map((name) => numbersOf(run, name).map((value) => Number(value > 0))),
  );
  const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const deviation = Math.sqrt((0.3 * 0.7) / count);
  for (const [i, mask] of masks.entries()) {
    expect(Math.abs(mean(mask) - 0.7)).toBeLessThan(4 * deviation);
    for (const other of masks.slice(0, i)) {
      const both = mean(mask.map((kept, k) => (kept - 0.7) * ((other[k] ?? 0) - 0.7)));
      expect(Math.abs(both)).toBeLessThan((4 * 0.21) / Math.sqrt(count));
    }
    // and the elements of one mask
    const neighbours = mean(mask.slice(1).map((kept, k) => (kept - 0.7) * ((mask[k] ?? 0) - 0.7)));
    expect(Math.abs(neighbours)).toBeLessThan((4 * 0.21) / Math.sqrt(count));
  }
});

test("the gradient passes a dropout by the mask of the same draw", async () => {
  const draws = { seed: 4n, step: 7n };
  const errors = await gradientErrors("Dropout", {
    inputs: { X: normal(["batch", 4, 5]), W: normal([5, 3]) },
    build: (g, { X, W }) => {
      if (!X || !W) throw new Error("an input is missing");
      const [seed, step] = [draws.seed, draws.step].map((value) => g.int64([Number(value)]));
      if (!seed || !step) throw new Error("a draw has a seed and a step");
      const base = drawBase(g, seed, step);
      const [hidden] = drawnDropout(g, [X, g.float(0.4)], { base, stream: "first" });
      return drawnDropout(g, [g.MatMul(g.Tanh(hidden), W), null], { base, stream: "second" })[0];
    },
  });
  expect(errors).toEqual([]);
});

/** The feeds of a draw. */
function draw(seed: number, step: number): Record<string, Tensor> {
  return { random_seed: int64s([seed]), random_step: int64s([step]) };
}
