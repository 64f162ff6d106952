import { expect, test } from "vitest";
import { createBuilder, Graph } from "../../../graph-builder/index.ts";
import { deviceNames, graphOnDevice } from "../../../runtime/index.ts";

/** y = Relu(Conv(x, W)) with 16 channels, and a gradient that is accumulated in place. */
function step(): Graph {
  const g = createBuilder(new Graph("step"));
  const x = g.input("x", "float", ["batch", 16, 4, 4]);
  const y = g.Relu(g.Conv(x, g.input("W", "float", [16, 16, 3, 3]), { pads: [1, 1, 1, 1] }));
  g.output(y, "y");
  const gradient = g.ReluGrad(y, y);
  const buffer = g.input("buffer", "float", ["batch", 16, 4, 4]);
  g.output(g.InPlaceAccumulatorV2(buffer, gradient, g.input("reset", "bool", [1]))[0], "flag");
  return g.graph;
}

const operatorsOf = (graph: Graph) => graph.nodes.map(({ opType }) => opType);

test.each(deviceNames)("a graph on %s has its state as outputs and no operator of training", (name) => {
  const graph = graphOnDevice(step(), name);
  expect(graph.outputs.map((output) => output.name)).toEqual(["y", "buffer_next"]);
  expect(operatorsOf(graph)).not.toContain("ReluGrad");
});

test("the CPU has forms of its own, in blocks of channels where its kernels have them", () => {
  expect(operatorsOf(graphOnDevice(step(), "cpu"))).toContain("HardSigmoid");
  expect(operatorsOf(graphOnDevice(step(), "cuda"))).not.toContain("HardSigmoid");
  expect(operatorsOf(graphOnDevice(step(), "cpu", 8))).toContain("NchwcConv");
  expect(graphOnDevice(step(), "cuda", 8).nodes.length).toBe(graphOnDevice(step(), "cuda").nodes.length);
});
