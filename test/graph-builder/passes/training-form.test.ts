import { expect, test } from "vitest";
import {
  appendGradients,
  type Builder,
  checkGraph,
  createBuilder,
  explicitBindings,
  explicitState,
  Graph,
  isOp,
  type Tensor,
  trainingForm,
  UserError,
  type Value,
} from "../../../graph-builder/index.ts";
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

test("Dropout is on in training and off in evaluation", () => {
  const form = trainingForm(
    inferenceGraph((g, X) => g.Dropout(g.Dropout(X, g.float(0.25), null, { seed: 9 })[0])[0]),
  );
  const layers = form.graph.nodes.filter((node) => isOp(node, "Dropout"));
  expect(layers.map(({ inputs }) => inputs.map((input) => input?.constant?.numbers()[0]))).toEqual([
    [undefined, 0.25, 1],
    [undefined, 0.5, 1],
  ]);
  expect(layers.map(({ attributes }) => attributes.seed)).toEqual([9, 1]);
  expect(form.evaluation.nodes.map(({ inputs }) => inputs.length)).toEqual([2, 1]);
  const g = createBuilder(form.graph);
  const [dX] = appendGradients(g, form.graph.output("Y"), [form.graph.input("X")]);
  expect(dX?.producer?.opType).toBe("DropoutGrad");
});
