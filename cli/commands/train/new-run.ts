import { datasets } from "../../../runtime/data/dataset.ts";
import { readManifest, readTrainingArtifacts } from "../../../runtime/node/index.ts";
import { RunDirectory } from "../../../runtime/node/run/run-directory.ts";
import { partOf } from "../../../runtime/node/run/schema.ts";
import {
  buildTrainingArtifacts,
  isShakeNetManifest,
  type ShakeNetArtifacts,
} from "../../../shakenet/index.ts";
import { createFreeRun, createRun } from "../../../shakenet/node/run.ts";
import {
  artifactSettings,
  compiledSettings,
  type GivenRun,
  type RunConfig,
  runConfig,
  runSchemas,
} from "../../../shakenet/node/run-config.ts";
import type { TrainGiven } from "./command.ts";
import { type PreparedRun, refuseContradictions } from "./prepared-run.ts";

/** The settings and artifacts of a new run. */
type Plan = Pick<PreparedRun, "config" | "artifacts">;

/** Prepares a new run. Throws UserError for invalid network settings, and where its folder exists. */
export async function prepareNewRun(given: TrainGiven): Promise<PreparedRun> {
  const ofRun = partOf(runSchemas, given);
  const { config, artifacts } =
    given.artifacts === undefined ? compile(runConfig(ofRun)) : await openArtifacts(given.artifacts, ofRun);
  const path = given.runDir;
  if (path !== undefined) await RunDirectory.expectFree(path);
  const openDirectory = (checkpoint: Uint8Array) => {
    const complete = { ...artifacts, checkpoint };
    return path === undefined ? createFreeRun(config, complete) : createRun(path, config, complete);
  };
  return { config, artifacts, openDirectory, where: path ?? "the new run" };
}

function compile(config: RunConfig): Plan {
  const fused = config.engine === "ort-training";
  return { config, artifacts: buildTrainingArtifacts(artifactSettings(config, "ort-training", fused)) };
}

/**
 * Reads the artifacts of a folder, and completes the run's settings with the settings that they were compiled
 * from.
 */
async function openArtifacts(folder: string, given: GivenRun): Promise<Plan> {
  const manifest = await readManifest(folder, isShakeNetManifest);
  const artifacts: ShakeNetArtifacts = { ...(await readTrainingArtifacts(folder)), manifest };
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
  const names = Object.keys(datasets) as RunConfig["data"][];
  return names.find((name) => datasets[name].mean.join() === mean.join());
}
