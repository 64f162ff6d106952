import { describe, expect, test } from "vitest";
import { decodeCheckpoint } from "../../artifacts/index.ts";
import { createModel, encodeModel, inlineFunctions, UserError } from "../../graph-builder/index.ts";
import {
  type ArtifactSettings,
  blockCount,
  buildTrainingArtifacts,
  inferenceGraph,
  inferenceModel,
  networkName,
  networkTitle,
  type ParameterizedGraph,
  shakeDropForward,
  trainedGraph,
  trainingModel,
} from "../../shakenet/index.ts";
import { networkTensors } from "../../shakenet/training-graph.ts";
import { randomCheckpoint, randomPixels, relativeError } from "../support/frozen.ts";
import { openTiny, tinyRun, tinySettings } from "../support/tiny-run.ts";
import { collect } from "../support/training-runs.ts";

const pyramid = tinySettings({ network: "pyramidnet", width: 3, alpha: 5 });
const preact = tinySettings({ network: "preact-resnet", depth: 14, width: 3 });

function parametersOf(settings: Partial<ArtifactSettings>): number {
  return networkTensors(tinySettings(settings))
    .filter(({ kind }) => kind === "parameter")
    .reduce((sum, { shape }) => sum + shape.reduce((product, dim) => product * dim, 1), 0);
}

describe("the parameters", () => {
  // the counts that osmr/pytorchcv asserts; the paper prints 1.7M and 28.3M, and 3.8M
  test.each([
    [48, 1_772_706],
    [84, 3_904_446],
    [270, 28_485_477],
  ])("of PyramidNet-110 with alpha %i are as many as published", (alpha, count) => {
    expect(parametersOf({ network: "pyramidnet", depth: 110, width: 16, alpha })).toBe(count);
  });

  test.each([
    [20, 272_282],
    [56, 855_578],
    [110, 1_730_522],
  ])("of the pre-activation ResNet-%i are as many as published", (depth, count) => {
    expect(parametersOf({ network: "preact-resnet", depth, width: 16 })).toBe(count);
  });
});

describe("the shapes", () => {
  const mapsOf = ({ graph }: ParameterizedGraph) =>
    inlineFunctions
      .run(graph)
      .nodes.filter(({ opType, name }) => opType === "Add" && /^stage\d\/block\d+\/Add_\d$/.test(name))
      .map((node) => node.output(0).shape.slice(1));

  test("of a PyramidNet grow by the same number of channels at every block", () => {
    const settings = { network: "pyramidnet", depth: 20, width: 16, alpha: 48 } as const;
    const sums = networkTensors(tinySettings(settings))
      .filter(({ name }) => name.endsWith(".conv2.weight"))
      .map(({ shape }) => shape[0]);
    // 16 + 48 k / 9
    expect(sums).toEqual([21, 27, 32, 37, 43, 48, 53, 59, 64]);
  });

  test("of a pre-activation ResNet double in the second and the third stage", () => {
    const channels = networkTensors(preact)
      .filter(({ name }) => name.endsWith(".conv2.weight"))
      .map(({ shape }) => shape[0]);
    expect(channels).toEqual([3, 3, 6, 6, 12, 12]);
    const shortcuts = networkTensors(preact).filter(({ name }) => name.includes("shortcut"));
    expect(shortcuts.map(({ name, shape }) => [name, ...shape])).toEqual([
      ["stage2.block0.shortcut.conv.weight", 6, 3, 1, 1],
      ["stage3.block0.shortcut.conv.weight", 12, 6, 1, 1],
    ]);
  });

  test("of the maps halve at the first block of the second and the third stage", () => {
    const sides = mapsOf(trainingModel(pyramid)).map((shape) => shape.join("x"));
    expect(new Set(sides)).toEqual(new Set(["5x32x32", "6x16x16", "8x8x8"]));
  });

  test("of a PyramidNet behind a whitening stem grow from the stem's channels", () => {
    const settings = tinySettings({ network: "pyramidnet", alpha: 6, stem: "whitening-2", stemStride: 2 });
    const channels = networkTensors(settings)
      .filter(({ name }) => name.endsWith(".conv2.weight"))
      .map(({ shape }) => shape[0]);
    expect(channels).toEqual([26, 28, 30]);
    expect(trainingModel(settings).graph.output("loss").shape).toEqual([]);
  });
});

test("networks have the papers' names", () => {
  expect(networkName(tinySettings({ depth: 26, width: 32 }))).toBe("26 2x32d");
  expect(networkTitle(tinySettings({ depth: 26, width: 32 }))).toBe("ShakeNet 26 2x32d");
  expect(networkTitle(pyramid)).toBe("PyramidNet-8 3d a5");
  expect(networkTitle(preact)).toBe("PreActResNet-14 3d");
});

test("every block of a network with one branch is a call of ShakeDropForward, and none without noise", () => {
  const callsOf = (settings: ArtifactSettings) => {
    const { graph } = trainingModel(settings);
    const inputs = graph.inputs.map(({ name }) => name).filter((name) => /^(alpha|beta|b)$/.test(name ?? ""));
    return [graph.nodes.filter(({ opType }) => opType === "shakenet.ShakeDropForward").length, inputs];
  };
  expect(callsOf(pyramid)).toEqual([blockCount(pyramid), ["alpha", "beta", "b"]]);
  expect(trainingModel(preact).graph.functions()).toContain(shakeDropForward);
  expect(callsOf({ ...preact, regularization: "none" })).toEqual([0, []]);
});

test("settings that do not go together are refused with a sentence", () => {
  const refuse = (changes: Partial<ArtifactSettings>, sentence: string) =>
    expect(() => trainingModel(tinySettings(changes))).toThrow(
      expect.objectContaining({ constructor: UserError, message: sentence }),
    );
  refuse(
    { regularization: "shake-drop" },
    "--regularization shake-drop is for networks with one branch a block, and a ShakeNet has two: give --network preact-resnet or pyramidnet.",
  );
  refuse(
    { network: "pyramidnet", regularization: "shake-shake" },
    "--regularization shake-shake mixes two branches, and a block of pyramidnet has one: give shake-drop or none.",
  );
  refuse({ alpha: 4 }, "--alpha needs --network pyramidnet.");
  refuse({ survival: 0.5 }, "--survival needs --regularization shake-drop.");
  refuse(
    { network: "pyramidnet", stem: "whitening-3", stemStride: 3 },
    "A PyramidNet halves the sides of its maps twice, and one of 11 pixels cannot be halved: choose another size of the pictures or another stem stride.",
  );
  expect(() => inferenceModel(pyramid, randomCheckpoint(pyramid), {}, { alphaInput: true })).toThrow(
    "An input alpha needs two branches a block, and PyramidNet-8 3d a5 has one.",
  );
});

const frozen: readonly ArtifactSettings[] = [
  pyramid,
  preact,
  { ...preact, survival: 0.1 },
  { ...pyramid, regularization: "none" },
];

test.each(frozen)(
  "frozen, $network with $regularization and $survival agrees with the trained network to 1e-5",
  async (settings) => {
    const checkpoint = randomCheckpoint(settings);
    const folded = inferenceGraph(settings, checkpoint);
    const expected = await logitsOf(encodeModel(createModel(trainedGraph(settings, checkpoint))));
    const found = await logitsOf(encodeModel(createModel(folded)));
    expect(relativeError(found, expected)).toBeLessThan(1e-5);
    // a plain network: the expectation is in the filters
    const types = new Set(folded.nodes.map(({ opType }) => opType));
    expect(types).not.toContain("Mul");
    expect(folded.inputs.map(({ name }) => name)).toEqual(["images"]);
    const half = await logitsOf(inferenceModel(settings, checkpoint, {}, { precision: "float16" }));
    expect(relativeError(half, expected)).toBeLessThan(2e-2);
  },
);

test("the evaluation of training multiplies each branch by its survival probability", async () => {
  // with a survival of 1 there is nothing to multiply, so the filters of the last convolutions tell it
  const checkpoint = randomCheckpoint(preact);
  const filters = (settings: ArtifactSettings) =>
    inferenceGraph(settings, checkpoint)
      .nodes.filter(({ name }) => /^stage\d\/block\d\/Conv_1$/.test(name))
      .map((node) => node.input(1).constant?.numbers() ?? []);
  const [kept, dropped] = [filters({ ...preact, survival: 1 }), filters({ ...preact, survival: 0.4 })];
  const sizes = kept.map(({ length }) => length);
  expect(sizes).toHaveLength(6);
  expect(Math.min(...sizes)).toBeGreaterThan(0);
  expect(dropped.map(({ length }) => length)).toEqual(sizes);
  for (const [block, own] of dropped.entries()) {
    const survival = 1 - ((block + 1) / 6) * 0.6;
    for (const [i, value] of own.entries()) expect(value).toBeCloseTo(survival * (kept[block]?.[i] ?? 0), 5);
  }
});

async function logitsOf(bytes: Uint8Array): Promise<Float32Array> {
  const ort = await import("onnxruntime-node");
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 1 });
  const images = new ort.Tensor("float32", Float32Array.from(randomPixels(3)), [3, 3, 32, 32]);
  const { logits } = await session.run({ images });
  await session.release();
  return logits?.data as Float32Array;
}

describe("a run of ShakeDrop", () => {
  test("ends in other weights than one without noise, than one of another level and of another survival", async () => {
    const ends = new Set<string>();
    const changes = [
      {},
      { level: "batch" },
      { artifacts: { survival: 0.9 } },
      { artifacts: { regularization: "none" } },
    ] as const;
    for (const { artifacts, ...level } of changes.map((change) => ({ artifacts: {}, ...change }))) {
      const run = await tinyRun({ epochs: 1, ...level, artifacts: { ...pyramid, ...artifacts } });
      await collect(run);
      ends.add(Buffer.from(run.saved.get("last") ?? []).toString("base64"));
    }
    expect(ends.size).toBe(changes.length);
  });

  test("gives a block without survivors no gradient by b, alpha and beta of 0, as ResDrop", async () => {
    const settings = { ...pyramid, depth: 8 };
    const { session, device } = await openTiny(buildTrainingArtifacts(settings));
    const { Tensor } = device.ort;
    const rows = (values: readonly number[]) =>
      new Tensor("float32", Float32Array.from(values.flatMap((value) => Array(4).fill(value))), [3, 4]);
    await session.runTrainStep({
      images: new Tensor("uint8", randomPixels(4), [4, 3, 32, 32]),
      labels: new Tensor("int64", BigInt64Array.from([3n, 0n, 9n, 3n]), [4]),
      alpha: rows([0, 0, 0]),
      beta: rows([0, 0, 0]),
      b: rows([1, 0, 1]),
    });
    const sizeOf = async (name: string) =>
      Math.max(...((await session.getGradient(name)).data as Float32Array).map(Math.abs));
    expect(await sizeOf("stage2.block0.conv2.weight")).toBe(0);
    expect(await sizeOf("stage1.block0.conv2.weight")).toBeGreaterThan(0);
    expect(await sizeOf("stage3.block0.conv2.weight")).toBeGreaterThan(0);
    await session.release();
  });
});

test("the initial weights are He's with fan-out", () => {
  const { trainable } = decodeCheckpoint(
    buildTrainingArtifacts(tinySettings({ network: "preact-resnet", width: 16 })).checkpoint,
  );
  const values = trainable.get("stage2.block0.conv2.weight")?.numbers() ?? [];
  const variance = values.reduce((sum, x) => sum + x ** 2, 0) / values.length;
  expect(variance / (2 / (9 * 32))).toBeCloseTo(1, 1);
});
