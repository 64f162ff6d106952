import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { decodeCheckpoint, encodeCheckpoint } from "../../artifacts/index.ts";
import {
  article,
  corrected,
  corrections,
  type Recipe,
  scheduleOf,
} from "../../dist/examples/article/recipe.js";
import { articleArtifacts } from "../../dist/examples/article/training.js";
import type { Tensor } from "../../graph-builder/index.ts";
import { shapesDataset, TrainingSession, type TrainingSources } from "../../runtime/index.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { buildTrainingArtifacts } from "../../shakenet/index.ts";

const device = await openDevice("cpu", { threads: 1 });
const trainSet = shapesDataset("train", 4);
const folder = mkdtempSync(join(tmpdir(), "shake-article-"));
afterAll(() => rmSync(folder, { recursive: true }));

function artifactsOf(recipe: Recipe) {
  const run = { batchSize: 4, epochs: 1, depth: 8, width: 16, seed: 1 };
  return articleArtifacts({ recipe, trainSet, testSet: trainSet, device, ...run });
}

/** The loss of a step on four pictures, and two gradients. */
async function stepOf(artifacts: TrainingSources) {
  const session = await TrainingSession.create(artifacts, device);
  const { Tensor } = device.ort;
  const weights = (from: number) =>
    new Tensor(
      "float32",
      Float32Array.from({ length: 12 }, (_, i) => (from + 0.07 * i) % 1),
      [3, 4],
    );
  const { loss } = await session.runTrainStep({
    images: new Tensor("uint8", trainSet.images, [4, 3, 32, 32]),
    labels: new Tensor("int64", BigInt64Array.from(trainSet.labels, BigInt), [4]),
    alpha: weights(0.1),
    beta: weights(0.6),
  });
  const gradient = async (name: string) => [...((await session.getGradient(name)).data as Float32Array)];
  const found = { loss: Number(loss?.data[0]), stem: await gradient("stem.conv.weight") };
  await session.release();
  return found;
}

test("the network with all corrections is the paper's: with its weights, its loss and its gradients", async () => {
  const settings = { depth: 8, width: 16, classes: 10, mean: trainSet.mean, std: trainSet.std, seed: 1 };
  const optimizer = { optimizer: "sgd-nesterov", momentum: 0.9, weightDecay: 1e-4 } as const;
  const paper = buildTrainingArtifacts({ ...settings, ...optimizer, target: "ort-training" });
  const own = artifactsOf(corrected(corrections.length));
  const [from, to] = [paper, own].map(({ checkpoint }) => decodeCheckpoint(checkpoint));
  if (!from || !to) throw new Error("two checkpoints");
  const nameOf = (name: string) =>
    name.replace(/^block(\d)/, (_, block) => `stage${Number(block) + 1}.block0`);
  const taken = (tensors: ReadonlyMap<string, Tensor>, source: ReadonlyMap<string, Tensor>) =>
    new Map(
      [...tensors.keys()].map((name) => {
        const tensor = source.get(nameOf(name));
        if (!tensor) throw new Error(`the paper's network has no ${nameOf(name)}`);
        return [name, tensor];
      }),
    );
  const checkpoint = encodeCheckpoint({
    ...to,
    trainable: taken(to.trainable, from.trainable),
    frozen: taken(to.frozen, from.frozen),
  });
  expect(to.trainable.size).toBe(from.trainable.size);
  const [expected, found] = [await stepOf(paper), await stepOf({ ...own, checkpoint })];
  expect(found.loss).toBeCloseTo(expected.loss, 5);
  for (const [i, value] of expected.stem.entries()) expect(found.stem[i]).toBeCloseTo(value, 5);
});

test("the article's network has biases, no normalised shortcut, and another loss where its shortcut is shifted", async () => {
  const names = [...decodeCheckpoint(artifactsOf(article).checkpoint).trainable.keys()];
  expect(names).toContain("block1.shortcut.conv2.bias");
  expect(names.filter((name) => name.includes("shortcut.bn"))).toEqual([]);
  const [undone, shifted] = [
    await stepOf(artifactsOf(article)),
    await stepOf(artifactsOf({ ...article, shiftsShortcut: true })),
  ];
  expect(undone.loss).not.toBeCloseTo(shifted.loss, 6);
});

test("the article's learning rate ends at its peak, and the corrected one at 0", () => {
  const rates = [0, 25, 50, 75, 100].map((step) => scheduleOf(article)(step, 100));
  expect(rates).toEqual([0.02, 0.001, 0.02, 0.001, 0.02].map((rate) => expect.closeTo(rate, 9)));
  expect(scheduleOf(corrected(1))(100, 100)).toBeCloseTo(0, 9);
});

const script = fileURLToPath(new URL("../../dist/examples/article/main.js", import.meta.url));

test("the program trains every row, keeps its results, and does not train a row again", async () => {
  const results = join(folder, "article.jsonl");
  const limits = ["--train-limit", "32", "--test-limit", "20", "--batch-size", "32", "--epochs", "1"];
  const run = () =>
    promisify(execFile)(process.execPath, [script, ...limits, "--seeds", "1", "--results", results]);
  const first = await run();
  const lines = readFileSync(results, "utf8").trim().split("\n");
  expect(lines).toHaveLength(corrections.length + 1);
  expect(first.stdout).toMatch(/\| the article \| \d+\.\d\d \|/);
  const again = await run();
  expect(again.stdout).toBe(first.stdout);
  expect(again.stderr).toBe("");
  expect(readFileSync(results, "utf8").trim().split("\n")).toEqual(lines);
});

test("a data set that is not known is refused, not replaced by another one", async () => {
  const trained = promisify(execFile)(process.execPath, [script, "--data", "cifar"]);
  await expect(trained).rejects.toThrow(/there is no data set cifar: cifar10, /);
});
