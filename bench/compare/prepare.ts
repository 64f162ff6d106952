import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeCheckpoint } from "../../artifacts/index.ts";
import { at, decodeModel, loweringOf, RandomStream } from "../../graph-builder/index.ts";
import { type NamedTensors, TrainingSession } from "../../runtime/index.ts";
import { openDevice, writeTrainingArtifacts } from "../../runtime/node/index.ts";
import { batchAxes, namedTensors, splitBatch } from "../../runtime/replicas/shares.ts";
import {
  type ArtifactSettings,
  buildTrainingArtifacts,
  inferenceModel,
  type ShakeNetArtifacts,
  shakeCoefficients,
} from "../../shakenet/index.ts";
import { batchFeeds } from "./peers/steps.ts";
import {
  type Array32,
  LEARNING_RATE,
  readTensors,
  type WorkloadFile,
  type WorkloadSettings,
  workloadBytes,
  workloadFiles,
} from "./workload.ts";

/** The number of steps whose losses are compared. */
export const CHECKED_STEPS = 3;

/** The losses of the first steps: of the whole batch, and of a batch split among replicas, one per thread. */
export interface ExpectedLosses {
  readonly whole: readonly number[];
  readonly shared: readonly number[];
}

/**
 * Writes the files that every peer reads: `workload.json`, `tensors.bin`, the exported network, and our
 * training artifacts in `session/` and, with the update in the training model, in `fused/`. Returns the
 * expected losses of training, or where `evaluates` of the evaluation, computed with the portable lowering,
 * which no peer uses on the CPU. Throws UserError for a network that does not exist.
 */
export async function writeWorkload(
  folder: string,
  settings: WorkloadSettings,
  evaluates = false,
): Promise<ExpectedLosses> {
  const { depth, width, threads } = settings;
  const network: ArtifactSettings = {
    ...{ depth, width, classes: 10, mean: [125.3, 123, 113.9], std: [63, 62.1, 66.7], seed: 1 },
    ...{ target: "ort-training", optimizer: "sgd-nesterov", momentum: 0.9, weightDecay: 1e-4 },
  };
  const artifacts = buildTrainingArtifacts(network);
  const tensors = [
    ...initialTensors(artifacts),
    ...randomBatch(settings.batchSize, artifacts.manifest.blocks),
  ];
  const { mean, std, momentum, weightDecay } = network;
  const file: WorkloadFile = {
    ...settings,
    ...{ learningRate: LEARNING_RATE, mean, std, momentum, weightDecay },
    tensors: tensors.map(([name, { dims }]) => [name, dims]),
  };
  const bytes = workloadBytes(tensors);
  await writeTrainingArtifacts(join(folder, "session"), artifacts);
  await writeTrainingArtifacts(join(folder, "fused"), buildTrainingArtifacts({ ...network, fused: true }));
  await writeFile(join(folder, workloadFiles.settings), JSON.stringify(file));
  await writeFile(join(folder, workloadFiles.tensors), bytes);
  const weights = decodeCheckpoint(artifacts.checkpoint, "checkpoint");
  await writeFile(join(folder, workloadFiles.model), inferenceModel(network, weights));
  const batch = readTensors(file, new Uint8Array(bytes).buffer);
  if (evaluates) return evaluationLosses(artifacts, batch, threads);
  return {
    whole: await expectedLosses(artifacts, batch, threads, 1),
    shared: await expectedLosses(artifacts, batch, threads, threads),
  };
}

/** The loss of the batch with the weights of each branch at one half, for every step. */
async function evaluationLosses(
  { checkpoint, trainingModel, evalModel }: ShakeNetArtifacts,
  batch: Readonly<Record<string, Array32>>,
  threads: number,
): Promise<ExpectedLosses> {
  const device = { ...(await openDevice("cpu", { threads })), lowering: loweringOf("portable") };
  const session = await TrainingSession.create({ checkpoint, trainingModel, evalModel }, device);
  const { images, labels } = batchFeeds(batch, device.ort);
  const { loss } = await session.runEvalStep({ ...(images && { images }), ...(labels && { labels }) });
  await session.release();
  const whole: number[] = Array(CHECKED_STEPS).fill(Number(loss?.data[0]));
  return { whole, shared: whole };
}

function initialTensors({ checkpoint }: ShakeNetArtifacts): (readonly [string, Array32])[] {
  const { trainable, frozen } = decodeCheckpoint(checkpoint, "checkpoint");
  return [...trainable, ...frozen].map(([name, { dims, data }]) => [
    name,
    { dims, data: Float32Array.from(data, Number) },
  ]);
}

/** Random pixels and labels, and alpha and beta of the first step. */
function randomBatch(size: number, blocks: number): (readonly [string, Array32])[] {
  const random = new RandomStream(1, "compare");
  const pixels = size * 3 * 32 * 32;
  const images = Float32Array.from({ length: pixels }, (_, i) => random.integer(i, 256));
  const labels = Float32Array.from({ length: size }, (_, i) => random.integer(pixels + i, 10));
  const scheme = { forward: "shake", backward: "shake", level: "image", seed: 1 } as const;
  const { alpha, beta } = shakeCoefficients({ ...scheme, blocks, batch: size }, 0);
  return [
    ["images", { dims: [size, 3, 32, 32], data: images }],
    ["labels", { dims: [size], data: labels }],
    ["alpha", { dims: [blocks, size], data: Float32Array.from(alpha) }],
    ["beta", { dims: [blocks, size], data: Float32Array.from(beta) }],
  ];
}

async function expectedLosses(
  { checkpoint, trainingModel, optimizerModel }: ShakeNetArtifacts,
  batch: Readonly<Record<string, Array32>>,
  threads: number,
  replicas: number,
): Promise<number[]> {
  const device = { ...(await openDevice("cpu", { threads })), lowering: loweringOf("portable") };
  const sources = { checkpoint, trainingModel, optimizerModel };
  const session = await TrainingSession.create(sources, device);
  session.learningRate = LEARNING_RATE;
  const axes = batchAxes(decodeModel(trainingModel, "training_model.onnx").graph);
  const shares = splitBatch(batchFeeds(batch, device.ort), axes, replicas).map(({ tensors, weight }) => ({
    feeds: namedTensors(tensors, device.ort),
    weight,
  }));
  const losses: number[] = [];
  for (let step = 0; step < CHECKED_STEPS; step++) losses.push(await averagedStep(session, shares));
  await session.release();
  return losses;
}

/** Trains one step with the mean of the gradients of all shares. Returns the mean loss. */
async function averagedStep(
  session: TrainingSession,
  shares: readonly { readonly feeds: NamedTensors; readonly weight: number }[],
): Promise<number> {
  let mean = 0;
  const gradients = session.sharedGradients().map(({ length }) => new Float64Array(length));
  for (const { feeds, weight } of shares) {
    session.lazyResetGrad();
    const { loss } = await session.runTrainStep(feeds);
    mean += weight * Number(loss?.data[0]);
    for (const [i, values] of session.sharedGradients().entries()) {
      const sums = at(gradients, i);
      for (const [j, value] of values.entries()) sums[j] = at(sums, j) + weight * value;
    }
  }
  for (const [i, values] of session.sharedGradients().entries()) values.set(at(gradients, i));
  await session.runOptimizerStep();
  return mean;
}
