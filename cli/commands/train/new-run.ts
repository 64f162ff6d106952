import { join, resolve } from "node:path";
import {
  decodeCheckpoint,
  encodeCheckpoint,
  type Manifest,
  type ModelManifest,
  setRandomSeed,
  type TrainingArtifacts,
} from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import { decodeMetadata } from "../../../graph-builder/index.ts";
import { datasetNames, datasets } from "../../../runtime/data/dataset.ts";
import { feedingIn } from "../../../runtime/data/picture-input.ts";
import { readManifest, readTrainingArtifacts } from "../../../runtime/node/index.ts";
import { RunDirectory } from "../../../runtime/node/run/run-directory.ts";
import { partOf } from "../../../runtime/node/run/schema.ts";
import {
  buildTrainingArtifacts,
  isShakeNetManifest,
  type ShakeNetArtifacts,
} from "../../../shakenet/index.ts";
import { withRecipe } from "../../../shakenet/node/recipes.ts";
import { createFreeRun, createRun } from "../../../shakenet/node/run.ts";
import {
  artifactSettings,
  compiledSettings,
  type GivenRun,
  type RunConfig,
  runConfig,
  runSchemas,
} from "../../../shakenet/node/run-config.ts";
import { feedingOf } from "../../models/classifier.ts";
import { createModelRun } from "../../models/model-run.ts";
import { givenForModel, modelConfig } from "../../models/settings.ts";
import type { TrainGiven } from "./command.ts";
import { modelSubject } from "./model-subject.ts";
import { type PreparedRun, refuseContradictions } from "./prepared-run.ts";
import { shakeNetSubject } from "./shakenet-subject.ts";

/** Prepares a new run. Throws UserError for invalid network settings, and where its folder exists. */
export async function prepareNewRun(given: TrainGiven): Promise<PreparedRun> {
  const { artifacts: folder, runDir: path } = given;
  if (path !== undefined) await RunDirectory.expectFree(path);
  if (folder === undefined) {
    refusePictureSettings(given);
    return newShakeNet(compile(runConfig(withRecipe(partOf(runSchemas, given)))), path);
  }
  const manifest = await readManifest(folder, (each): each is Manifest => each.format === 1);
  const artifacts = await readTrainingArtifacts(folder);
  if (!isShakeNetManifest(manifest, join(folder, "manifest.json")))
    return newModelRun({ ...artifacts, manifest }, folder, given);
  refusePictureSettings(given);
  return newShakeNet(
    openShakeNet({ ...artifacts, manifest }, folder, withRecipe(partOf(runSchemas, given))),
    path,
  );
}

/** The settings and artifacts of a new run. */
interface Plan {
  readonly config: RunConfig;
  readonly artifacts: ShakeNetArtifacts;
}

function newShakeNet({ config, artifacts }: Plan, path: string | undefined): PreparedRun {
  const openDirectory = (checkpoint: Uint8Array) => {
    const complete = { ...artifacts, checkpoint };
    return path === undefined ? createFreeRun(config, complete) : createRun(path, config, complete);
  };
  return { ...shakeNetSubject(config, artifacts), openDirectory, where: path ?? "the new run" };
}

function newModelRun(
  artifacts: TrainingArtifacts<ModelManifest | Manifest>,
  folder: string,
  given: TrainGiven,
): PreparedRun {
  const { manifest } = artifacts;
  const own = givenForModel(given, folder);
  const said = feedingIn(artifacts.sourceModel ? decodeMetadata(artifacts.sourceModel) : {});
  const { pixels = said.pixels, imageSize: side } = own;
  const whole = said.size ?? datasets[own.data ?? "shapes"].size;
  const size = side === undefined ? whole : { height: side, width: side };
  const feeding = feedingOf(artifacts, "loss" in manifest ? manifest.loss : undefined, { pixels, size });
  const checkpoint = decodeCheckpoint(artifacts.checkpoint, folder);
  const { optimizer } = checkpoint;
  const isFused = artifacts.optimizerModel === undefined;
  // the checkpoint holds a float32
  const learningRate = Number((optimizer?.initialLearningRate ?? 0.001).toPrecision(7));
  const config = modelConfig(own, { folder: resolve(folder), feeding, learningRate, isFused });
  setRandomSeed(checkpoint, BigInt(config.seed));
  const seeded = { ...artifacts, checkpoint: encodeCheckpoint(checkpoint) };
  const openDirectory = (first: Uint8Array) =>
    createModelRun(given.runDir, config, { ...artifacts, checkpoint: first });
  return { ...modelSubject(config, seeded), openDirectory, where: given.runDir ?? "the new run" };
}

/** Throws UserError for settings of a model that came from a file. */
function refusePictureSettings({ pixels, imageSize }: TrainGiven): void {
  if (pixels === undefined && imageSize === undefined) return;
  const flag = pixels === undefined ? "--image-size" : "--pixels";
  throw new UserError(`${flag} is for a model that came from a file; shake's own networks take raw pixels.`, {
    code: "setting-conflict",
  });
}

function compile(config: RunConfig): Plan {
  const fused = config.engine === "ort-training";
  return { config, artifacts: buildTrainingArtifacts(artifactSettings(config, "ort-training", fused)) };
}

/** Completes the run's settings with the settings that the artifacts of a folder were compiled from. */
function openShakeNet(artifacts: ShakeNetArtifacts, folder: string, given: GivenRun): Plan {
  const { manifest } = artifacts;
  const { fused } = manifest.settings;
  const data = datasetByMean(manifest.settings.mean);
  const compiled = compiledSettings(manifest.settings);
  const fixed = { ...compiled, ...(data ? { data } : {}) };
  refuseContradictions(given, fixed, folder);
  // a fused model updates its weights in the step, so replicas cannot share it
  const alone = fused ? { replicas: 1 } : {};
  return { artifacts, config: runConfig({ ...fixed, ...alone, ...given }) };
}

function datasetByMean(mean: readonly number[]): RunConfig["data"] | undefined {
  return datasetNames.find((name) => datasets[name].mean.join() === mean.join());
}
