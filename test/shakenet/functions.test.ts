import { expect, test } from "vitest";
import {
  appendGradients,
  createBuilder,
  createModel,
  decodeModel,
  encodeModel,
  Graph,
  inlineFunctions,
  lowerGraph,
  loweringOf,
  printGraph,
} from "../../graph-builder/index.ts";
import { shakeBackward, shakeForward, shakeNetFunctions, trainingModel } from "../../shakenet/index.ts";
import { type Case, gradientErrors } from "../support/check-gradient.ts";
import { normal, uniform } from "../support/random-tensor.ts";
import { numbersOf, runGraph } from "../support/run-graph.ts";
import { expectSameOutputs } from "../support/same-outputs.ts";
import { tinySettings } from "../support/tiny-run.ts";

const image = ["batch", 2, 2, 2];
const inputs = { branch1: normal(image), branch2: normal(image), alpha: uniform(["batch"]) };

/** The gradients of both branches and alpha where beta is read in alpha's place, dY being `u`. */
function shaken(forward: typeof shakeForward) {
  const g = createBuilder(new Graph("shaken"));
  const [branch1, branch2, u] = [
    g.input("branch1", "float", image),
    g.input("branch2", "float", image),
    g.input("u", "float", image),
  ];
  const [alpha, beta] = [g.input("alpha", "float", ["batch"]), g.input("beta", "float", ["batch"])];
  const mixed = g.output(g.call(forward, [branch1, branch2, alpha]), "mixed");
  const loss = g.ReduceSum(g.Mul(mixed, u), null, { keepdims: 0 });
  const gradients = appendGradients(g, loss, [branch1, branch2, alpha], new Map([[alpha, beta]]));
  for (const [i, gradient] of gradients.entries()) g.output(gradient, `d${i}`);
  return g.graph;
}

const feeds = {
  branch1: inputs.branch1.tensor,
  branch2: inputs.branch2.tensor,
  alpha: inputs.alpha.tensor,
  beta: uniform(["batch"]).tensor,
  u: normal(image).tensor,
};

test("the bodies of the two functions print", () => {
  expect(printGraph(shakeForward.body)).toMatchInlineSnapshot(`
    "ShakeForward (float[batch, C, H, W] branch1, float[batch, C, H, W] branch2, float[batch] alpha) => (float[batch, C, H, W] mixed)
    <int64[3] constant_0 = {1, 2, 3}, float constant_1 = {1}>
    {
      Unsqueeze_0 = Unsqueeze (alpha, constant_0)
      Mul_0 = Mul (branch1, Unsqueeze_0)
      Sub_0 = Sub (constant_1, Unsqueeze_0)
      Mul_1 = Mul (branch2, Sub_0)
      mixed = Add (Mul_0, Mul_1)
    }"
  `);
  expect(printGraph(shakeBackward.body)).toMatchInlineSnapshot(`
    "ShakeBackward (float[batch, C, H, W] grad, float[batch] beta) => (float[batch, C, H, W] branch1_grad, float[batch, C, H, W] branch2_grad)
    <int64[3] constant_0 = {1, 2, 3}, float constant_1 = {1}>
    {
      Unsqueeze_0 = Unsqueeze (beta, constant_0)
      branch1_grad = Mul (grad, Unsqueeze_0)
      Sub_0 = Sub (constant_1, Unsqueeze_0)
      branch2_grad = Mul (grad, Sub_0)
    }"
  `);
});

test("branches are mixed by each image's alpha, and their gradients by its beta", async () => {
  const results = await runGraph(shaken(shakeForward), feeds);
  const [a, b, dY] = [feeds.branch1, feeds.branch2, feeds.u].map((tensor) => tensor?.numbers() ?? []);
  const weightsOf = (name: "alpha" | "beta") => {
    const weights = feeds[name]?.numbers() ?? [];
    return (a ?? []).map((_, i) => weights[Math.floor(i / 8)] ?? Number.NaN);
  };
  const [alpha, beta] = [weightsOf("alpha"), weightsOf("beta")];
  const close = (name: string, expected: readonly number[]) => {
    const actual = numbersOf(results, name);
    expect(actual).toHaveLength(expected.length);
    for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, 5);
  };
  const at = (list: readonly number[] | undefined, i: number) => list?.[i] ?? Number.NaN;
  close(
    "mixed",
    alpha.map((weight, i) => weight * at(a, i) + (1 - weight) * at(b, i)),
  );
  close(
    "d0",
    beta.map((weight, i) => weight * at(dY, i)),
  );
  close(
    "d1",
    beta.map((weight, i) => (1 - weight) * at(dY, i)),
  );
  const sums = Array.from({ length: alpha.length / 8 }, (_, image) =>
    alpha.slice(0, 8).reduce((sum, _, i) => {
      const k = 8 * image + i;
      return sum + at(dY, k) * (at(a, k) - at(b, k));
    }, 0),
  );
  close("d2", sums);
});

test("through its body the mix has the same gradients, by beta too", async () => {
  const byBody = shaken({ ...shakeForward, gradient: undefined });
  await expectSameOutputs(shaken(shakeForward), byBody, feeds);
});

test("a call as a model-local function equals the call written out", async () => {
  const graph = shaken(shakeForward);
  const inlined = inlineFunctions.run(graph);
  expect(inlined.functions()).toEqual([]);
  expect(await runGraph(inlined, feeds)).toEqual(await runGraph(graph, feeds));
});

test("a training model is read with its functions where they are known, and without them where they are not", () => {
  const bytes = encodeModel(createModel(trainingModel(tinySettings()).graph));
  const known = decodeModel(bytes, "training_model.onnx", { functions: shakeNetFunctions });
  expect(known.graph.functions()).toEqual([shakeForward, shakeBackward]);
  const unknown = decodeModel(bytes).graph;
  expect(unknown.functions()).toEqual([]);
  expect(printGraph(unknown)).toBe(printGraph(inlineFunctions.run(known.graph)));
});

test("the mix stays in the blocked layout of the CPU", () => {
  const g = createBuilder(new Graph("blocked"));
  const X = g.input("X", "float", ["batch", 8, 4, 4]);
  const branch = (name: string) => g.Conv(X, g.input(name, "float", [8, 8, 3, 3]), { pads: [1, 1, 1, 1] });
  g.output(
    g.Relu(g.call(shakeForward, [branch("W"), branch("V"), g.input("alpha", "float", ["batch"])])),
    "Y",
  );
  const { nodes } = lowerGraph(inlineFunctions.run(g.graph), loweringOf("cpu", 8));
  // weights change their layout by the same operators
  const ofImages = nodes.filter((node) => typeof node.input(0).shape[0] !== "number");
  const count = (opType: string) => ofImages.filter((node) => node.opType === opType).length;
  expect([count("ReorderInput"), count("NchwcConv"), count("Mul"), count("ReorderOutput")]).toEqual([
    1, 2, 2, 1,
  ]);
});

test("branches that are no images are refused", () => {
  const g = createBuilder(new Graph("refused"));
  const X = g.input("X", "float", [3, 4]);
  expect(() => g.call(shakeForward, [X, X, g.float([0.5])])).toThrow(
    "shakenet.ShakeForward at ShakeForward_0: input branch1 must be float[batch, C, H, W], not float[3, 4] (inputs: float[3, 4], float[3, 4], float[1])",
  );
});

const cases: Record<string, Case<"branch1" | "branch2" | "alpha">> = {
  "alpha of each image": { inputs, build: (g, I) => g.call(shakeForward, [I.branch1, I.branch2, I.alpha]) },
  "one alpha": {
    inputs: { ...inputs, alpha: uniform([1]) },
    build: (g, I) => g.call(shakeForward, [I.branch1, I.branch2, I.alpha]),
  },
};

test.each(Object.entries(cases))(
  "the gradient of the mix equals central differences, %s",
  async (label, mix) => {
    expect(await gradientErrors(label, mix)).toEqual([]);
  },
);
