import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { expect, test } from "vitest";
import { type ArtifactBytes, generateArtifacts } from "../../../artifacts/index.ts";
import {
  cosine,
  type EarlySize,
  type Mixing,
  pictureInput,
  pictureTask,
  shapesDataset,
  TrainingSession,
} from "../../../runtime/index.ts";
import { openDevice, readPicture, scalePictures } from "../../../runtime/node/index.ts";
import { pictureModel } from "../../support/picture-models.ts";
import { expectSameEndWhereverCut, memoryStore } from "../../support/training-runs.ts";

const device = await openDevice("cpu", { threads: 1 });
const size = { channels: 3, height: 32, width: 32 };

test("pictures of a data set are scaled as files are that predict reads", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pictures-"));
  const { images } = shapesDataset("test", 2);
  const area = 1024;
  const pixels = Uint8Array.from(
    { length: 3 * area },
    (_, i) => images[(i % 3) * area + Math.floor(i / 3)] ?? 0,
  );
  const path = join(folder, "one.png");
  await sharp(pixels, { raw: { width: 32, height: 32, channels: 3 } })
    .png()
    .toFile(path);
  for (const channels of [3, 1]) {
    const to = { channels, height: 48, width: 40 };
    const scaled = await scalePictures(images, size, to);
    expect(scaled).toHaveLength(2 * channels * 48 * 40);
    expect(scaled.subarray(0, scaled.length / 2)).toEqual(await readPicture(path, to));
  }
  rmSync(folder, { recursive: true });
});

const artifacts = generateArtifacts(pictureModel(), {
  loss: "cross-entropy",
  optimizer: "sgd-nesterov",
  countCorrect: true,
});

interface Changes extends Partial<Pick<ArtifactBytes, "trainingModel" | "evalModel" | "optimizerModel">> {
  readonly mixing?: Mixing;
  readonly earlySize?: EarlySize;
  readonly softLabels?: number;
}

async function open(
  checkpoint = artifacts.checkpoint,
  { mixing, softLabels, earlySize, ...models }: Changes = {},
) {
  const declared = { name: "x", type: "float32", shape: ["batch", 3, 12, 12] };
  const input = pictureInput(declared, { pixels: "imagenet" }, "the model");
  const { evalModel } = artifacts;
  const data = {
    trainSet: shapesDataset("train", 20),
    testSet: shapesDataset("test", 7),
    batchSize: 8,
    seed: 1,
    mixing,
    earlySize,
  };
  const classifier = { evalModel, input, labels: "labels", softLabels, scores: "y", scale: scalePictures };
  const { store, saved } = memoryStore();
  return {
    session: await TrainingSession.create({ ...artifacts, ...models, checkpoint }, device),
    task: pictureTask({ ...data, device }, classifier),
    settings: { epochs: 2, learningRate: cosine(0.05), checkpointEverySteps: 2, store },
    saved,
  };
}

test("a run of a model from a file, cut at any step and opened again, ends in the same bytes as an uncut one", () =>
  expectSameEndWhereverCut((checkpoint) => open(checkpoint), 6));

test("pictures of another size are refused where nothing scales them", async () => {
  const declared = { name: "x", type: "float32", shape: ["batch", 3, 12, 12] };
  const input = pictureInput(declared, {}, "the model");
  const set = shapesDataset("train", 8);
  const data = { trainSet: set, testSet: set, batchSize: 8, seed: 1, device };
  const task = pictureTask(data, { evalModel: artifacts.evalModel, input, labels: "labels", scores: "y" });
  await expect(async () => task.feeds(0)).rejects.toThrow(
    "The model takes pictures of 3 x 12 x 12, and these are 3 x 32 x 32.",
  );
});

test("a model of any size takes small pictures in the first epochs, and a run cut there ends in the same bytes", () => {
  const free = generateArtifacts(pictureModel({ side: "side" }), {
    loss: "cross-entropy",
    optimizer: "muon",
    countCorrect: true,
  });
  const declared = { name: "x", type: "float32", shape: ["batch", 3, "side", "side"] };
  const input = pictureInput(declared, { size: { height: 12, width: 12 } }, "the model");
  const sizes = [12, 8].map((side) => ({ x: [null, 3, side, side] }));
  return expectSameEndWhereverCut(async (checkpoint = free.checkpoint) => {
    const data = {
      trainSet: shapesDataset("train", 20),
      testSet: shapesDataset("test", 7),
      batchSize: 8,
      seed: 1,
      earlySize: { side: 8, epochs: 1 },
    };
    const classifier = {
      evalModel: free.evalModel,
      input,
      labels: "labels",
      scores: "y",
      scale: scalePictures,
    };
    const { store, saved } = memoryStore();
    return {
      session: await TrainingSession.create({ ...free, checkpoint }, device, { inputSizes: sizes }),
      task: pictureTask({ ...data, device }, classifier),
      settings: { epochs: 2, learningRate: cosine(0.05), checkpointEverySteps: 2, store },
      saved,
    };
  }, 4);
});

test("a step with small pictures costs as many pixels as the model takes", async () => {
  const { task } = await open(undefined, { earlySize: { side: 8, epochs: 1 } });
  expect([task.stepCost?.(0), task.stepCost?.(1)]).toEqual([3 * 8 * 8, 3 * 12 * 12]);
});

test("mixed pictures need soft labels, and a run with them, cut at any step, ends in the same bytes", async () => {
  const mixing = { mixup: 0.4, cutmix: 1, classes: 10 };
  await expect(async () => open(undefined, { mixing })).rejects.toThrow("Mixed pictures need soft labels");
  const loss = { type: "cross-entropy", softLabels: true } as const;
  const soft = generateArtifacts(pictureModel(), { loss, optimizer: "sgd-nesterov", countCorrect: true });
  await expectSameEndWhereverCut((checkpoint) => open(checkpoint, { mixing, ...soft, softLabels: 10 }), 2);
  await expectSameEndWhereverCut((checkpoint) => open(checkpoint, { ...soft, softLabels: 10 }), 0);
});
