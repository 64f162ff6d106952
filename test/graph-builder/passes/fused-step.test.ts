import { expect, test } from "vitest";
import {
  appendGradients,
  type Binding,
  createBuilder,
  fusedStep,
  Graph,
  optimizerGraph,
  returnGradients,
} from "../../../graph-builder/index.ts";

test("what a batch normalisation makes may be an output: its running statistics alone are packed", () => {
  const g = createBuilder(new Graph("training"));
  const X = g.input("x", "float", ["batch", 3]);
  const input = (name: string) => g.input(name, "float", [3]);
  const parameters = [input("weight"), input("bias")] as const;
  const [mean, variance] = ["bn.running_mean", "bn.running_var"] as const;
  const [Y] = g.BatchNormInternal(X, ...parameters, input(mean), input(variance));
  const loss = g.output(g.ReduceMean(g.Mul(Y, Y), { keepdims: 0 }), "loss");
  g.output(Y, "y");
  const gradients = returnGradients(g, parameters, appendGradients(g, loss, parameters));
  const statistics = [mean, variance].map((name): Binding => ({ role: "statistic", input: name }));
  const training = { graph: g.graph, bindings: [...gradients, ...statistics] };
  const optimized = ["weight", "bias"].map((name) => ({ name, shape: [3] }));

  const { graph, packs } = fusedStep(training, optimizerGraph(optimized, { kind: "sgd" }));
  expect(packs.map(({ name, members }) => [name, ...members.map((member) => member.name)])).toEqual([
    ["weights.narrow", "weight", "bias"],
    ["running_mean", mean],
    ["running_var", variance],
  ]);
  expect(graph.outputs.map(({ name }) => name)).toContain("y");
});
