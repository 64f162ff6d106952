import { expect, test } from "vitest";
import { generateArtifacts } from "../../../artifacts/index.ts";
import { drawBase } from "../../../graph-builder/counter-hash.ts";
import {
  type Builder,
  checkGraph,
  createBuilder,
  createModel,
  encodeModel,
  floats,
  Graph,
  int64s,
  type Tensor,
  trainingForm,
  type Value,
} from "../../../graph-builder/index.ts";
import { drawnOutput } from "../../../graph-builder/passes/drawn-numbers.ts";
import { gradientErrors } from "../../support/check-gradient.ts";
import { normal } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

/** The graph in training form of a graph over X float [rows, 4]. */
function trained(build: (g: Builder, X: Value) => readonly Value[]): Graph {
  const g = createBuilder(new Graph("foreign"));
  for (const [i, value] of build(g, g.input("X", "float", ["rows", 4])).entries()) g.output(value, `y${i}`);
  const { graph } = trainingForm(g.graph);
  checkGraph(graph);
  return graph;
}

function draw(seed: number, step: number): Record<string, Tensor> {
  return { random_seed: int64s([seed]), random_step: int64s([step]) };
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const moment = (values: readonly number[], power: number) => mean(values.map((value) => value ** power));

const rows = 10_000;
const X = floats(
  Array.from({ length: rows * 4 }, (_, i) => (i % 4) / 4),
  [rows, 4],
);

test("a step draws the same numbers again, and other steps, seeds and nodes others", async () => {
  const graph = trained((g, value) => [g.RandomNormalLike(value), g.RandomNormalLike(value)]);
  const few = floats([0, 0, 0, 0], [1, 4]);
  const [first, again, step, seed] = await Promise.all(
    [draw(1, 0), draw(1, 0), draw(1, 1), draw(2, 0)].map((feeds) => runGraph(graph, { X: few, ...feeds })),
  );
  expect(again).toEqual(first);
  const all = [first, step, seed].flatMap((run) => ["y0", "y1"].map((name) => numbersOf(run ?? {}, name)[0]));
  expect(new Set(all).size).toBe(6);
});

test("RandomNormalLike and RandomNormal have the moments of a normal distribution", async () => {
  const options = { mean: 2, scale: 3 };
  const graph = trained((g, value) => [
    g.RandomNormalLike(value, options),
    g.RandomNormal({ ...options, shape: [rows, 4] }),
  ]);
  const results = await runGraph(graph, { X, ...draw(5, 3) });
  for (const name of ["y0", "y1"]) {
    const z = numbersOf(results, name).map((value) => (value - 2) / 3);
    expect(z.length).toBe(4 * rows);
    // the standard deviations of the four means are 1, sqrt 2, sqrt 15 and sqrt 96 over sqrt(40,000)
    expect(Math.abs(moment(z, 1))).toBeLessThan(4 / 200);
    expect(Math.abs(moment(z, 2) - 1)).toBeLessThan((4 * Math.SQRT2) / 200);
    expect(Math.abs(moment(z, 3))).toBeLessThan((4 * Math.sqrt(15)) / 200);
    expect(Math.abs(moment(z, 4) - 3)).toBeLessThan((4 * Math.sqrt(96)) / 200);
    const pairs = z.slice(1).map((value, i) => value * (z[i] ?? 0));
    expect(Math.abs(mean(pairs))).toBeLessThan(4 / 200);
  }
});

test("RandomUniformLike and RandomUniform lie evenly between their bounds", async () => {
  const options = { low: -1, high: 3 };
  const graph = trained((g, value) => [
    g.RandomUniformLike(value, options),
    g.RandomUniform({ ...options, shape: [rows, 4] }),
  ]);
  const results = await runGraph(graph, { X, ...draw(5, 3) });
  for (const name of ["y0", "y1"]) {
    const u = numbersOf(results, name).map((value) => (value + 1) / 4);
    expect(u.every((value) => value >= 0 && value < 1)).toBe(true);
    const shares = Array.from({ length: 8 }, (_, i) => mean(u.map((v) => Number(Math.floor(8 * v) === i))));
    for (const share of shares) expect(Math.abs(share - 1 / 8)).toBeLessThan(4 * 0.0017);
  }
});

test("Bernoulli draws 1 as often as its input says, in the type that it is asked for", async () => {
  const graph = trained((g, value) => [g.Bernoulli(value), g.Bernoulli(value, { dtype: 9 })]);
  const results = await runGraph(graph, { X, ...draw(5, 3) });
  expect(["y0", "y1"].map((name) => results[name]?.elemType)).toEqual(["float", "bool"]);
  for (const name of ["y0", "y1"]) {
    const numbers = numbersOf(results, name);
    for (const column of [0, 1, 2, 3]) {
      const share = mean(numbers.filter((_, i) => i % 4 === column));
      expect(Math.abs(share - column / 4)).toBeLessThanOrEqual(column === 0 ? 0 : 4 * 0.005);
    }
  }
});

test("the gradient of mu + exp(s) z is that of central differences with the same z", async () => {
  const build = (g: Builder, { s, mu }: Readonly<Record<"s" | "mu", Value>>) => {
    const node = g.RandomNormalLike(s).producer;
    if (!node) throw new TypeError("a node makes z");
    const base = drawBase(g, g.int64([1]), g.int64([7]));
    return g.Add(mu, g.Mul(g.Exp(s), drawnOutput(g, node, [s], { base, stream: "z" })));
  };
  const inputs = { s: normal([3, 2]), mu: normal([3, 2]) };
  expect(await gradientErrors("reparameterised", { inputs, build })).toEqual([]);
});

test("a variational autoencoder has artifacts whose numbers are drawn from the seed and the step", async () => {
  const g = createBuilder(new Graph("vae"));
  const x = g.input("x", "float", ["batch", 4]);
  const weight = (name: string, dims: readonly [number, number]) => g.constant(normal(dims).tensor, name);
  const mu = g.MatMul(x, weight("mu.weight", [4, 2]));
  const s = g.MatMul(x, weight("s.weight", [4, 2]));
  const z = g.Add(mu, g.Mul(g.Exp(s), g.RandomNormalLike(s)));
  g.output(g.MatMul(z, weight("decoder.weight", [2, 4])), "output");
  const artifacts = generateArtifacts(encodeModel(createModel(g.graph)), { loss: "mse", target: "standard" });
  expect(artifacts.manifest.randomInputs).toEqual(["random_seed", "random_step"]);
  expect(artifacts.manifest.trainable).toEqual(["mu.weight", "s.weight", "decoder.weight"]);
});
