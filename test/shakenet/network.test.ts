import { expect, test } from "vitest";
import { decodeCheckpoint } from "../../artifacts/index.ts";
import { costOf, isOp, UserError } from "../../graph-builder/index.ts";
import {
  type ArtifactSettings,
  buildTrainingArtifacts,
  networkName,
  trainingModel,
} from "../../shakenet/index.ts";
import { type Activation, networks } from "../../shakenet/paper-settings.ts";
import { openTiny, tinySettings } from "../support/tiny-run.ts";

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

test("an image costs the same where the training model takes images of any size", () => {
  const { cost } = buildTrainingArtifacts(tinySettings()).manifest;
  expect(buildTrainingArtifacts(tinySettings({ anySize: true })).manifest.cost).toEqual(cost);
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
  expect(() => trainingModel(tinySettings({ stemStride: 2 }))).toThrow(
    "A stem stride of 2 needs a whitening stem.",
  );
  expect(() =>
    trainingModel(tinySettings({ imageSize: 4, stem: "whitening-pool", downsampling: "max-pool" })),
  ).toThrow(
    "The pictures are too small for so many max poolings: choose a larger size, or --downsampling stride.",
  );
  expect(networkName({ depth: 26, width: 32 })).toBe("26 2x32d");
});

test("max pooling halves the maps in front of the second and the third stage, whose convolutions have no stride", () => {
  const { graph } = trainingModel(tinySettings({ downsampling: "max-pool" }));
  const pools = graph.nodes.filter(({ opType }) => opType === "MaxPool");
  expect(pools.map(({ name }) => name)).toEqual(["stage2/MaxPool_0", "stage3/MaxPool_0"]);
  expect(pools.map((node) => node.output(0).shape.at(-1))).toEqual([16, 8]);
  const strides = graph.nodes.flatMap((node) => (isOp(node, "Conv") ? node.attributes.strides : []));
  expect(new Set(strides)).toEqual(new Set([1]));
});

test.each(networks)("GELU takes the place of every ReLU of the %s", (network) => {
  const count = (activation: Activation, type: string) =>
    trainingModel(tinySettings({ network, stem: "whitening-pool", activation })).graph.nodes.filter(
      ({ opType }) => opType === type,
    ).length;
  expect(count("gelu", "Relu")).toBe(0);
  expect(count("gelu", "Sigmoid")).toBe(count("relu", "Relu"));
});

test("initial weights follow He's fan-out and PyTorch's linear layer, and another seed gives others", () => {
  const { manifest, checkpoint } = buildTrainingArtifacts(tinySettings({ width: 16 }));
  expect(manifest.parameters).toBe(152_218);
  const again = buildTrainingArtifacts(tinySettings({ width: 16 })).checkpoint;
  const other = buildTrainingArtifacts(tinySettings({ width: 16, seed: 2 })).checkpoint;
  expect(again).toEqual(checkpoint);
  expect(other).not.toEqual(checkpoint);
});

test("identity initialisation passes channels on and leaves the other filters, and He's stays the default", () => {
  const weights = (initialization?: "dirac") => {
    const { checkpoint } = buildTrainingArtifacts(tinySettings({ width: 4, initialization }));
    return decodeCheckpoint(checkpoint).trainable;
  };
  const [he, dirac] = [weights(), weights("dirac")];
  for (const [name, { dims, data }] of dirac) {
    const own = he.get(name)?.data;
    if (!/branch\d\.conv/.test(name)) {
      expect(data, name).toEqual(own);
      continue;
    }
    const [filters = 0, channels = 0] = dims;
    const size = channels * 9;
    const passing = Math.min(filters, channels);
    for (let i = 0; i < passing; i++) {
      const expected = Array.from({ length: size }, (_, j) => (j === i * 9 + 4 ? 1 : 0));
      expect([...data.subarray(i * size, (i + 1) * size)], name).toEqual(expected);
    }
    expect(data.subarray(passing * size), name).toEqual(own?.subarray(passing * size));
  }
});

test("label smoothing and the output's scale change the loss as PyTorch's formulas say", async () => {
  const images = Uint8Array.from({ length: 4 * 3072 }, (_, i) => (i * 37) % 251);
  const labels = [3, 0, 9, 3];
  const run = async (changes: Partial<ArtifactSettings>) => {
    const { session, device } = await openTiny(buildTrainingArtifacts(tinySettings(changes)));
    const { Tensor } = device.ort;
    const half = () => new Tensor("float32", new Float32Array(12).fill(0.5), [3, 4]);
    const feeds = {
      images: new Tensor("uint8", images, [4, 3, 32, 32]),
      labels: new Tensor("int64", BigInt64Array.from(labels, BigInt), [4]),
    };
    const { loss } = await session.runTrainStep({ ...feeds, alpha: half(), beta: half() });
    // the head's bias has the gradient mean(softmax - target) times the scale
    const gradient = [...((await session.getGradient("fc.bias")).data as Float32Array)];
    await session.release();
    return { loss: Number(loss?.data[0]), gradient };
  };
  const plain = await run({});
  const smoothed = await run({ labelSmoothing: 0.2 });
  const counts = Array.from({ length: 10 }, (_, k) => labels.filter((label) => label === k).length / 4);
  for (const [k, gradient] of smoothed.gradient.entries()) {
    expect(gradient).toBeCloseTo((plain.gradient[k] ?? 0) + 0.2 * ((counts[k] ?? 0) - 0.1), 6);
  }
  // the loss is linear in the smoothing
  const more = await run({ labelSmoothing: 0.4 });
  expect(more.loss - smoothed.loss).toBeCloseTo(smoothed.loss - plain.loss, 5);
  const scaled = await run({ outputScale: 1e-6 });
  expect(scaled.loss).toBeCloseTo(Math.log(10), 5);
  for (const [k, gradient] of scaled.gradient.entries()) {
    expect(gradient / 1e-6).toBeCloseTo(0.1 - (counts[k] ?? 0), 4);
  }
});
