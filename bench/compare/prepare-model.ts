import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generateArtifacts, type ModelArtifacts } from "../../artifacts/index.ts";
import { loweringOf, RandomStream } from "../../graph-builder/index.ts";
import { TrainingSession } from "../../runtime/index.ts";
import { openDevice, writeTrainingArtifacts } from "../../runtime/node/index.ts";
import { installVenv, run } from "./installs.ts";
import { MODEL_VENV, type ModelName, models } from "./models.ts";
import { batchFeeds, timeSteps, trainStep } from "./peers/steps.ts";
import { CHECKED_STEPS, type ExpectedLosses } from "./prepare.ts";
import { type Array32, type SharedWorkload, workloadBytes, workloadFiles } from "./workload.ts";

const CLASSES = 10;

const exporter = fileURLToPath(new URL("../../../bench/compare/peers/models_torch.py", import.meta.url));

/** What a comparison of a foreign model trains. */
export interface ModelSettings {
  readonly model: ModelName;
  readonly batchSize: number;
  readonly threads: number;
}

/**
 * Writes the files that the peers of a foreign model read: `workload.json`, `tensors.bin`, PyTorch's
 * `model.onnx` and `weights.pt`, and our training artifacts in `session/`. Returns the expected losses,
 * computed with the portable lowering. Throws Error where PyTorch cannot be installed.
 */
export async function writeModelWorkload(folder: string, settings: ModelSettings): Promise<ExpectedLosses> {
  const python = await installVenv(MODEL_VENV);
  await writeModelBatch(folder, settings);
  await run(python, [exporter, folder]);
  const artifacts = generateArtifacts(await readFile(join(folder, "model.onnx")), {
    loss: "cross-entropy",
    optimizer: "adamw",
  });
  await writeTrainingArtifacts(join(folder, "session"), artifacts);
  const losses = await expectedLosses(artifacts, settings);
  return { whole: losses, shared: losses };
}

/** Writes `workload.json` and, with the batch, `tensors.bin`. */
export async function writeModelBatch(folder: string, settings: ModelSettings): Promise<void> {
  const tensors = Object.entries(randomBatch(settings));
  const file: SharedWorkload & ModelSettings = {
    ...settings,
    learningRate: models[settings.model].learningRate,
    tensors: tensors.map(([name, { dims }]) => [name, dims]),
  };
  await writeFile(join(folder, workloadFiles.settings), JSON.stringify(file));
  await writeFile(join(folder, workloadFiles.tensors), workloadBytes(tensors));
}

/** Normally distributed examples, and labels. */
function randomBatch({ model, batchSize }: ModelSettings): Readonly<Record<string, Array32>> {
  const dims = [batchSize, ...models[model].example];
  const random = new RandomStream(1, "compare");
  const size = dims.reduce((product, dim) => product * dim, 1);
  const labels = Float32Array.from({ length: batchSize }, (_, i) => random.integer(i, CLASSES));
  const examples = new RandomStream(2, "compare");
  return {
    input: { dims, data: Float32Array.from({ length: size }, (_, i) => examples.normal(i)) },
    labels: { dims: [batchSize], data: labels },
  };
}

async function expectedLosses(
  { checkpoint, trainingModel, optimizerModel }: ModelArtifacts,
  settings: ModelSettings,
): Promise<readonly number[]> {
  const device = {
    ...(await openDevice("cpu", { threads: settings.threads })),
    lowering: loweringOf("portable"),
  };
  const session = await TrainingSession.create({ checkpoint, trainingModel, optimizerModel }, device);
  const feeds = batchFeeds(randomBatch(settings), device.ort);
  const step = trainStep(session, feeds, models[settings.model].learningRate);
  const { losses } = await timeSteps(CHECKED_STEPS, step);
  await session.release();
  return losses;
}
