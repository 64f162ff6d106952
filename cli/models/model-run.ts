import { join } from "node:path";
import { type Checkpoint, countIn, type Manifest, restoreModel } from "../../artifacts/index.ts";
import type { ModelBytes, TrainingArtifacts } from "../../artifacts/manifest.ts";
import { withMetadata } from "../../graph-builder/index.ts";
import { describeData } from "../../runtime/data/dataset.ts";
import {
  type ClassificationRecord,
  classificationRecordIn,
  feedingMetadata,
  freezeEvalModel,
} from "../../runtime/index.ts";
import { readTrainingModels } from "../../runtime/node/index.ts";
import { createFreeRun } from "../../runtime/node/run/free-run.ts";
import { isRun, RunDirectory, type RunFormat } from "../../runtime/node/run/run-directory.ts";
import { readJsonObject } from "../../runtime/node/run/schema.ts";
import { inOneProcess } from "../../shakenet/node/reproducing.ts";
import { withoutPlace } from "../../shakenet/node/run-config.ts";
import { dataSlug } from "../../shakenet/node/run-data.ts";
import { DATA_DIGEST } from "../../shakenet/provenance.ts";
import { inputOf } from "./classifier.ts";
import { isModelConfig, type ModelConfig, modelConfigIn } from "./settings.ts";

/** The folder of a run that trains a model that came from a file. */
export type ModelRun = RunDirectory<ModelConfig, Manifest, ClassificationRecord>;

const format: RunFormat<ModelConfig, Manifest, ClassificationRecord> = {
  configOf: modelConfigIn,
  isManifest: (manifest): manifest is Manifest => manifest.format === 1,
  recordOf: classificationRecordIn,
};

/**
 * Makes the folder of a new run; without a path it is `runs/<model>-<data>-s<seed>`, with a number appended
 * where that is taken. Throws UserError where the path is taken or cannot be written.
 */
export async function createModelRun(
  path: string | undefined,
  config: ModelConfig,
  artifacts: TrainingArtifacts,
): Promise<ModelRun> {
  if (path !== undefined) return RunDirectory.create(format, path, config, artifacts);
  return createFreeRun(format, `${config.model}-${dataSlug(config)}-s${config.seed}`, config, artifacts);
}

/** The run of a folder where it is one of a model that came from a file, else undefined. */
export async function findModelRun(path: string): Promise<ModelRun | undefined> {
  if (!(await isRun(path))) return undefined;
  const raw = await readJsonObject(join(path, "config.json"));
  return isModelConfig(raw) ? RunDirectory.open(format, path) : undefined;
}

/**
 * A run's model with the weights of a checkpoint and the metadata that say how it is fed: the file that the
 * model came from; the evaluation model up to its scores where it came from none.
 */
export function modelOf(
  { sourceModel, evalModel }: Pick<ModelBytes, "sourceModel" | "evalModel">,
  checkpoint: Checkpoint,
  { feeding, pictures, ...config }: ModelConfig,
  testAccuracy?: number,
): Uint8Array {
  const bytes = sourceModel
    ? restoreModel(sourceModel, checkpoint)
    : freezeEvalModel(evalModel, feeding.scores)(checkpoint);
  const { properties } = checkpoint;
  const digest = properties.get(DATA_DIGEST);
  const { title, classNames } = describeData({ data: config.data, pictures });
  const { model: _, classMap: __, ...settings } = withoutPlace(inOneProcess(config));
  // a path says nothing to others
  const data = pictures ? `./${title}` : config.data;
  return withMetadata(bytes, {
    ...feedingMetadata(inputOf(feeding), feeding.scores),
    class_names: JSON.stringify(classNames),
    data,
    ...(digest === undefined ? {} : { data_sha256: String(digest) }),
    steps: String(properties.get("step") ?? 0n),
    settings: JSON.stringify({ ...settings, data }),
    ...(pictures ? { background: pictures.background.join() } : {}),
    ...(testAccuracy === undefined ? {} : { test_accuracy: testAccuracy.toFixed(2) }),
  });
}

/** The model of one of a run's checkpoints. */
export async function exportedRun(run: ModelRun, checkpoint: Checkpoint): Promise<Uint8Array> {
  const models = await readTrainingModels(join(run.path, "graph"));
  const step = countIn(checkpoint.properties, "step", "The checkpoint");
  const record = (await run.records()).find((line) => line.step === step);
  return modelOf(models, checkpoint, run.config, record?.test_accuracy);
}
