import { expect, test } from "vitest";
import { costOf, UserError } from "../../graph-builder/index.ts";
import { buildTrainingArtifacts, networkName, trainingModel } from "../../shakenet/index.ts";
import { tinySettings } from "../support/tiny-run.ts";

const count = (shapes: readonly { readonly shape: readonly number[] }[]) =>
  shapes.reduce((sum, { shape }) => sum + shape.reduce((product, dim) => product * dim, 1), 0);

// parameters and multiplications of a forward pass, counted by hand from the author's code (in millions, one
// image)
test.each([
  [8, 16, 152_218, 24.3],
  [14, 16, 346_650, 52.6],
  [20, 16, 541_082, 80.9],
  [26, 32, 2_923_162, 426.7],
  [26, 64, 11_653_978, 1686],
  [26, 96, 26_192_922, 3777],
])("%i 2x%id has %i parameters and %d million multiplications", (depth, width, parameters, millions) => {
  const { graph, parameters: specs } = trainingModel(tinySettings({ depth, width }));
  expect(count(specs.filter(({ kind }) => kind === "parameter"))).toBe(parameters);
  const { forwardFlops, backwardFlops } = costOf(graph);
  // batch normalisation and the rest add a few percent
  expect(forwardFlops / 2e6 / millions).toBeGreaterThan(0.999);
  expect(forwardFlops / 2e6 / millions).toBeLessThan(1.06);
  expect(backwardFlops / forwardFlops).toBeGreaterThan(1.9);
  expect(backwardFlops / forwardFlops).toBeLessThan(2.1);
});

test("parameters are named and shaped as PyTorch's", () => {
  const { parameters } = trainingModel(tinySettings({ depth: 14, width: 8 }));
  const shapes = new Map(parameters.map(({ name, shape }) => [name, shape]));
  expect(shapes.get("stem.conv.weight")).toEqual([16, 3, 3, 3]);
  expect(shapes.get("stem.bn.running_var")).toEqual([16]);
  expect(shapes.get("stage1.block0.branch1.conv1.weight")).toEqual([8, 16, 3, 3]);
  expect(shapes.get("stage1.block0.shortcut.conv2.weight")).toEqual([4, 16, 1, 1]);
  expect(shapes.get("stage2.block0.branch2.conv2.weight")).toEqual([16, 16, 3, 3]);
  expect(shapes.get("stage3.block1.branch2.bn2.bias")).toEqual([32]);
  expect(shapes.get("fc.weight")).toEqual([10, 32]);
  expect(shapes.get("fc.bias")).toEqual([10]);
});

test("the shortcut is there wherever the widths differ, and only there", () => {
  const shortcuts = (width: number) => {
    const { parameters } = trainingModel(tinySettings({ depth: 14, width }));
    return parameters
      .filter(({ name }) => name.endsWith("shortcut.conv1.weight"))
      .map(({ name }) => name.split(".shortcut")[0]);
  };
  expect(shortcuts(8)).toEqual(["stage1.block0", "stage2.block0", "stage3.block0"]);
  expect(shortcuts(16)).toEqual(["stage2.block0", "stage3.block0"]);
});

test("the stem has no ReLU, a block none after its sum, and no convolution a bias", () => {
  const { graph } = trainingModel(tinySettings({ depth: 14, width: 8 }));
  const forward = graph.nodes.filter(({ name }) => !/_grad\//i.test(name));
  expect(forward.filter(({ name, opType }) => name.startsWith("stem/") && opType === "Relu")).toEqual([]);
  for (const node of forward) {
    if (node.opType === "Conv") expect(node.inputs).toHaveLength(2);
    if (node.opType === "Add")
      for (const use of node.output(0).uses)
        expect(["Relu", "Add", "ReluGrad", "Shape"]).toContain(use.node.opType);
  }
  // two ReLUs a branch's block input and middle, one before the pooling
  expect(forward.filter(({ opType }) => opType === "Relu")).toHaveLength(6 * 3 + 1);
});

test("a backward node follows for about every forward node", () => {
  const { graph } = trainingModel(tinySettings({ depth: 26, width: 32 }));
  const backward = graph.nodes.filter(({ name }) => /_grad\//i.test(name));
  const forward =
    graph.nodes.length -
    backward.length -
    graph.nodes.filter(({ opType }) => opType === "InPlaceAccumulatorV2").length;
  expect(backward.length / forward).toBeLessThan(1.2);
});

test("settings that make no network are refused with the nearest that do", () => {
  expect(() => trainingModel(tinySettings({ depth: 24 }))).toThrow(
    new UserError("A depth of 24 is not of the form 6n + 2 (8, 14, 20, 26, ...); the nearest is 26.", {
      code: "setting-invalid",
    }),
  );
  expect(() => trainingModel(tinySettings({ width: 0 }))).toThrow(
    "width must be a whole number from 1, not 0.",
  );
  expect(networkName({ depth: 26, width: 32 })).toBe("26 2x32d");
});

test("initial weights follow He's fan-out and PyTorch's linear layer, and another seed gives others", () => {
  const { manifest, checkpoint } = buildTrainingArtifacts(tinySettings({ width: 16 }));
  expect(manifest.parameters).toBe(152_218);
  const again = buildTrainingArtifacts(tinySettings({ width: 16 })).checkpoint;
  const other = buildTrainingArtifacts(tinySettings({ width: 16, seed: 2 })).checkpoint;
  expect(again).toEqual(checkpoint);
  expect(other).not.toEqual(checkpoint);
});
