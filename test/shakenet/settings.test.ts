import { expect, test } from "vitest";
import { decodeModel } from "../../graph-builder/index.ts";
import { ruleOfParameter } from "../../graph-builder/optimizers/groups.ts";
import { buildTrainingArtifacts, optimizerRule } from "../../shakenet/index.ts";
import { openTiny, tinySettings } from "../support/tiny-run.ts";

test("the optimizer of the paper has no groups and no clipping", () => {
  expect(optimizerRule(tinySettings())).toEqual({ kind: "sgd-nesterov", momentum: 0.9, weightDecay: 1e-4 });
  expect(optimizerRule(tinySettings({ biasRate: 1, normDecay: 1e-4 }))).toEqual(
    optimizerRule(tinySettings()),
  );
});

test("batch normalisation has a decay of its own, and its biases a rate with a decay that shrinks them alike", () => {
  const settings = tinySettings({
    stem: "whitening-2",
    weightDecay: 0.01,
    normDecay: 0.002,
    biasRate: 4,
    clipNorm: 3,
  });
  const bias = { learningRate: 4, weightDecay: 0.0005 };
  expect(optimizerRule(settings)).toEqual({
    kind: "sgd-nesterov",
    momentum: 0.9,
    weightDecay: 0.01,
    maxNorm: 3,
    groups: { "*.bn*.weight": { weightDecay: 0.002 }, "*.bn*.bias": bias, "stem.conv.bias": bias },
  });
  const withoutStemBias = optimizerRule({ ...settings, stem: "whitening-pool" });
  expect(withoutStemBias.groups).not.toHaveProperty(["stem.conv.bias"]);
  const { optimizerModel } = buildTrainingArtifacts(settings);
  expect(optimizerModel && decodeModel(optimizerModel).graph.nodes.length).toBeGreaterThan(0);
});

test("Muon leaves the last layer to SGD, whose rate and that of the biases multiply", () => {
  const settings = tinySettings({ optimizer: "muon", weightDecay: 0.01, biasRate: 4, sgdRate: 20 });
  expect(optimizerRule(settings)).toEqual({
    kind: "muon",
    momentum: 0.9,
    weightDecay: 0.01,
    newtonSchulzSteps: 5,
    sgdRate: 20,
    groups: {
      "fc.weight": { newtonSchulzSteps: 0 },
      "*.bn*.bias": { learningRate: 4, weightDecay: 0.0025 },
    },
  });
});

test("the decay of what SGD updates beside Muon is its own, for batch normalisation too", () => {
  const settings = tinySettings({
    optimizer: "muon",
    weightDecay: 0.05,
    biasRate: 8,
    sgdRate: 16,
    sgdDecay: 0.001,
  });
  const rule = optimizerRule(settings);
  const decayOf = (name: string, rank: number) => ruleOfParameter(rule, name, rank).rule.weightDecay;
  expect(decayOf("stage1.block0.branch0.conv1.weight", 4)).toBe(0.05);
  expect(decayOf("fc.weight", 2)).toBe(0.001);
  expect(decayOf("fc.bias", 1)).toBe(0.001);
  expect(decayOf("stem.bn.weight", 1)).toBeCloseTo(0.001, 12);
  expect(decayOf("stem.bn.bias", 1)).toBeCloseTo(0.001 / 8, 12);
});

test("a bias moves as many times as far as its rate says, and the other weights as before", async () => {
  const stepped = async (biasRate: number) => {
    const { session, device } = await openTiny(
      buildTrainingArtifacts(tinySettings({ weightDecay: 0, biasRate })),
    );
    const { Tensor } = device.ort;
    const half = () => new Tensor("float32", new Float32Array(6).fill(0.5), [3, 2]);
    const images = Uint8Array.from({ length: 2 * 3072 }, (_, i) => (i * 37) % 251);
    session.learningRate = 0.01;
    await session.runTrainStep({
      images: new Tensor("uint8", images, [2, 3, 32, 32]),
      labels: new Tensor("int64", BigInt64Array.of(3n, 7n), [2]),
      alpha: half(),
      beta: half(),
    });
    await session.runOptimizerStep();
    const { trainable } = await session.checkpoint();
    const copies = new Map([...trainable].map(([name, tensor]) => [name, tensor.numbers()]));
    await session.release();
    return copies;
  };
  const [plain, fast] = [await stepped(1), await stepped(8)];
  for (const [name, values] of plain) {
    // biases start at 0
    const factor = /\.bn\d?\.bias$/.test(name) ? 8 : 1;
    for (const [i, value] of values.entries())
      expect(fast.get(name)?.[i], name).toBeCloseTo(factor * value, 5);
  }
  expect(plain.get("stem.bn.bias")?.some((value) => Math.abs(value) > 1e-5)).toBe(true);
});
