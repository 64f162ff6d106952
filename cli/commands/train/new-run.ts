import { join, resolve } from "node:path";
import {
  decodeCheckpoint,
  encodeCheckpoint,
  type Manifest,
  type ModelManifest,
  setRandomSeed,
  type TrainingArtifacts,
} from "../../../artifacts/index.ts";
import { decodeMetadata, UserError } from "../../../graph-builder/index.ts";
import { datasetNames, datasets, describeData, isDatasetName } from "../../../runtime/data/dataset.ts";
import { feedingIn } from "../../../runtime/data/picture-input.ts";
import type { ImageSize, PictureFacts } from "../../../runtime/index.ts";
import { ownDataPath } from "../../../runtime/node/data/own/own-pictures.ts";
import { RunDirectory } from "../../../runtime/node/run/run-directory.ts";
import { partOf } from "../../../runtime/node/run/schema.ts";
import {
  type ArtifactSettings,
  buildTrainingArtifacts,
  isShakeNetManifest,
  type ShakeNetArtifacts,
} from "../../../shakenet/index.ts";
import { mixingOf } from "../../../shakenet/node/loop-settings.ts";
import { withRecipe } from "../../../shakenet/node/recipes.ts";
import { createRun } from "../../../shakenet/node/run.ts";
import {
  artifactSettings,
  compiledSettings,
  type GivenRun,
  networkOf,
  type RunConfig,
  runConfig,
  runSchemas,
} from "../../../shakenet/node/run-config.ts";
import { channelCounts, pictureChannels } from "../../../shakenet/node/run-data.ts";
import {
  absolutePaths,
  type OpenedData,
  openData,
  openNewPictures,
  refuseOwnSettings,
} from "../../data/open-data.ts";
import {
  type DataOfRun,
  dataOfShakeNet,
  refusePictureSettings,
  refusePixels,
} from "../../data/shakenet-data.ts";
import { feedingOf, inputOf } from "../../models/classifier.ts";
import { createModelRun } from "../../models/model-run.ts";
import { expectOwnSize } from "../../models/scaling-classifier.ts";
import { givenForModel, modelConfig } from "../../models/settings.ts";
import type { Progress } from "../../progress.ts";
import type { TrainGiven } from "./command.ts";
import { fitToData } from "./fit-to-data.ts";
import { openGivenArtifacts } from "./given-artifacts.ts";
import { readInitialCheckpoint, withInitialWeights } from "./initial-checkpoint.ts";
import { expectInitialModel, isModelFile, openInitialModel } from "./initial-model.ts";
import { modelSubject } from "./model-subject.ts";
import { type PreparedRun, refuseContradictions } from "./prepared-run.ts";
import { shakeNetSubject } from "./shakenet-subject.ts";

/** Prepares a new run. Throws UserError for invalid network settings, and where its folder exists. */
export async function prepareNewRun(said: TrainGiven, progress: Progress): Promise<PreparedRun> {
  if (said.runDir !== undefined) await RunDirectory.expectFree(said.runDir);
  expectInitialModel(said);
  const given = await withDataPath(said);
  const { init, artifacts: folder } = given;
  if (init !== undefined && isModelFile(init)) {
    const { artifacts, name, given: rest } = await openInitialModel(init, given);
    return newModelRun(artifacts, name, rest, progress);
  }
  if (folder === undefined) return newNetworkRun(given, progress);
  const found = await openGivenArtifacts(folder);
  const { manifest } = found.artifacts;
  if (!isShakeNetManifest(manifest, join(found.folder, "manifest.json"))) {
    return newModelRun(found.artifacts, found.folder, given, progress);
  }
  const prepared = await newArtifactsRun({ ...found.artifacts, manifest }, found.folder, given, progress);
  return found.isTrained ? { ...prepared, ...keepsFilters } : prepared;
}

/** The filters of a whitening stem came with the other weights. */
const keepsFilters = { takeFromData: () => {} };

/** The learning rate of a ShakeNet that has learnt before. */
const rateOfTrained = 0.01;

/** A run of a ShakeNet that is compiled for it, with the weights of --init where that is given. */
async function newNetworkRun(given: TrainGiven, progress: Progress): Promise<PreparedRun> {
  const { opened, facts, count } = await dataOfShakeNet(given, progress);
  const { init, runDir, data = "shapes" } = given;
  const network = init === undefined ? "new" : "trained";
  const own = withRecipe(partOf(runSchemas, given));
  const rate = init === undefined ? {} : { learningRate: rateOfTrained };
  const settings = fitToData(own, data, count, network, rate);
  if (init === undefined) return newShakeNet(compile(runConfig(settings, facts)), runDir, opened);
  const initial = await readInitialCheckpoint(init);
  const { config, artifacts } = compile(runConfig({ ...networkOf(initial.settings), ...settings }, facts));
  const { classNames } = describeData(config);
  const checkpoint = withInitialWeights(artifacts.checkpoint, initial, classNames);
  const prepared = newShakeNet({ config, artifacts: { ...artifacts, checkpoint } }, runDir, opened);
  return { ...prepared, ...keepsFilters };
}

/** A run of a ShakeNet that build-graph compiled into a folder. */
async function newArtifactsRun(
  artifacts: ShakeNetArtifacts,
  folder: string,
  given: TrainGiven,
  progress: Progress,
): Promise<PreparedRun> {
  const { data, runDir } = given;
  const own = withRecipe(partOf(runSchemas, given));
  if (data === undefined || isDatasetName(data)) {
    refusePictureSettings(given);
    const known = data ?? datasetByMean(artifacts.manifest.settings.mean) ?? "shapes";
    const plan = openShakeNet(artifacts, folder, fitToData(own, known, undefined));
    return newShakeNet(plan, runDir, await openData(plan.config, progress));
  }
  refusePixels(given);
  const { mean, std, imageSize: side = 32 } = artifacts.manifest.settings;
  const channels = pictureChannels.find((name) => channelCounts[name] === mean.length);
  refuseContradictions(own, { imageSize: side, channels }, folder);
  const size = { channels: mean.length, height: side, width: side };
  const { facts, data: opened, count } = await openNewPictures(data, size, given, progress);
  const fitted = fitToData(own, data, count);
  return newShakeNet(openShakeNet(artifacts, folder, fitted, { ...facts, mean, std }), runDir, opened);
}

/** The settings with an absolute path of one's own pictures, and of other files that a run keeps. */
async function withDataPath(given: TrainGiven): Promise<TrainGiven> {
  const { data } = given;
  const own = data === undefined ? undefined : await ownDataPath(data);
  return absolutePaths(own === undefined ? given : { ...given, data: own });
}

/** The settings and artifacts of a new run. */
interface Plan {
  readonly config: RunConfig;
  readonly artifacts: ShakeNetArtifacts;
}

function newShakeNet({ config, artifacts }: Plan, path: string | undefined, data: OpenedData): PreparedRun {
  const openDirectory = (checkpoint: Uint8Array) => createRun(path, config, { ...artifacts, checkpoint });
  return { ...shakeNetSubject(config, artifacts), data, openDirectory, where: path ?? "the new run" };
}

async function newModelRun(
  artifacts: TrainingArtifacts<ModelManifest | Manifest>,
  folder: string,
  given: TrainGiven,
  progress: Progress,
): Promise<PreparedRun> {
  const { manifest } = artifacts;
  const own = givenForModel(given, folder);
  const said = feedingIn(artifacts.sourceModel ? decodeMetadata(artifacts.sourceModel) : {});
  const { pixels = said.pixels, imageSize: side, data = "shapes" } = own;
  const whole = said.size ?? (isDatasetName(data) ? datasets[data].size : undefined);
  const size = side === undefined ? whole : { height: side, width: side };
  const feeding = feedingOf(artifacts, "loss" in manifest ? manifest.loss : undefined, { pixels, size });
  expectOwnSize(feeding, side);
  const checkpoint = decodeCheckpoint(artifacts.checkpoint, folder);
  const { optimizer } = checkpoint;
  const isFused = artifacts.optimizerModel === undefined;
  // the checkpoint holds a float32
  const learningRate = Number((optimizer?.initialLearningRate ?? 0.001).toPrecision(7));
  const { opened, facts, count } = await dataOfModel(given, inputOf(feeding).size, progress);
  const model = { folder: resolve(folder), feeding, learningRate, isFused, pictures: facts };
  const { batch } = feeding;
  const sized = batch === undefined || own.batchSize !== undefined ? own : { ...own, batchSize: batch };
  const config = modelConfig(fitToData(sized, data, count, "trained"), model);
  setRandomSeed(checkpoint, BigInt(config.seed));
  const seeded = { ...artifacts, checkpoint: encodeCheckpoint(checkpoint) };
  const openDirectory = (first: Uint8Array) =>
    createModelRun(given.runDir, config, { ...artifacts, checkpoint: first });
  const where = given.runDir ?? "the new run";
  return { ...modelSubject(config, seeded), data: opened, openDirectory, where };
}

/** The data of a model that came from a file: one's own pictures are decoded in the model's size. */
async function dataOfModel(given: TrainGiven, size: ImageSize, progress: Progress): Promise<DataOfRun> {
  const { data = "shapes", dataDir } = given;
  if (isDatasetName(data)) {
    refuseOwnSettings(given, data);
    return { opened: await openData({ data, dataDir }, progress) };
  }
  const { data: opened, facts, count } = await openNewPictures(data, size, given, progress);
  return { opened, facts, count };
}

function compile(config: RunConfig): Plan {
  const fused = config.engine === "ort-training";
  return {
    config,
    artifacts: buildTrainingArtifacts(artifactSettings(config, "ort-training", fused), config),
  };
}

/** Completes the run's settings with the settings that the artifacts of a folder were compiled from. */
function openShakeNet(
  artifacts: ShakeNetArtifacts,
  folder: string,
  given: GivenRun,
  pictures?: PictureFacts,
): Plan {
  const { manifest } = artifacts;
  const { fused } = manifest.settings;
  const data = pictures ? undefined : datasetByMean(manifest.settings.mean);
  const compiled = compiledSettings(manifest.settings);
  const fixed = { ...compiled, ...(data ? { data } : {}) };
  refuseContradictions(given, fixed, folder);
  // a fused model updates its weights in the step, so replicas cannot share it
  const alone = fused ? { replicas: 1 } : {};
  const config = runConfig({ ...fixed, ...alone, ...given }, pictures);
  expectLabels(config, manifest.settings, folder);
  return { artifacts, config };
}

/** Throws UserError where a training model takes labels of another kind than the run would feed. */
function expectLabels(config: RunConfig, { softLabels = false }: ArtifactSettings, folder: string): void {
  const isMixed = mixingOf(config) !== undefined;
  if (isMixed === softLabels) return;
  const flag = config.mixup === undefined ? "--cutmix" : "--mixup";
  throw new UserError(
    isMixed
      ? `${flag} mixes labels too, and the model in ${folder} takes the number of a class: leave ${flag} or --artifacts out.`
      : `The model in ${folder} takes mixed labels: give --mixup or --cutmix.`,
    { code: "setting-conflict", details: { folder, softLabels } },
  );
}

function datasetByMean(mean: readonly number[]): RunConfig["data"] | undefined {
  return datasetNames.find((name) => datasets[name].mean.join() === mean.join());
}
