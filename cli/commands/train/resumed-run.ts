import type { Manifest } from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import type { ClassificationRecord } from "../../../runtime/index.ts";
import type { RunDirectory } from "../../../runtime/node/run/run-directory.ts";
import { partOf } from "../../../runtime/node/run/schema.ts";
import { openRun, type ShakeNetRun } from "../../../shakenet/node/run.ts";
import { type GivenRun, placeSettings, runConfig, runSchemas } from "../../../shakenet/node/run-config.ts";
import { shakeCommand } from "../../invocation.ts";
import { findModelRun, type ModelRun } from "../../models/model-run.ts";
import { changedModelConfig, givenForModel } from "../../models/settings.ts";
import type { TrainGiven } from "./command.ts";
import { modelSubject } from "./model-subject.ts";
import { type PreparedRun, refuseContradictions, type TrainConfig } from "./prepared-run.ts";
import { shakeNetSubject } from "./shakenet-subject.ts";

/**
 * Prepares a run to resume, and locks it. Throws UserError where there is none, where another process trains
 * it, and for settings that differ from its own.
 */
export async function prepareResumedRun(given: TrainGiven): Promise<PreparedRun> {
  const path = given.resume || given.runDir;
  if (!path) {
    throw new UserError(
      `--resume needs the folder of a run: ${shakeCommand("train", "--resume", "runs/NAME")}.`,
      { code: "setting-missing", details: { setting: "resume" } },
    );
  }
  if (given.artifacts !== undefined) {
    throw new UserError("--artifacts does not go with --resume: a run keeps its own.", {
      code: "setting-conflict",
    });
  }
  const model = await findModelRun(path);
  return model ? resumeModel(model, given) : resumeShakeNet(await openRun(path), given);
}

async function resumeModel(saved: ModelRun, given: TrainGiven): Promise<PreparedRun> {
  const { path, config: own } = saved;
  await saved.lock();
  const part = withOwnReplicas(givenForModel(given, path), own);
  const { pixels } = own.feeding;
  refuseContradictions(part, { imageSize: own.feeding.height, ...own, pixels }, path, placeSettings);
  const config = changedModelConfig(own, part);
  const openDirectory = () => reopen(saved, config);
  const note = await saved.mendLast();
  if (note) process.stderr.write(`${note}\n`);
  const artifacts = await saved.artifacts();
  return { ...modelSubject(config, artifacts), openDirectory, where: saved.checkpointPath("last") };
}

async function resumeShakeNet(saved: ShakeNetRun, given: TrainGiven): Promise<PreparedRun> {
  const { path } = saved;
  await saved.lock();
  const part = withOwnReplicas(partOf(runSchemas, given), saved.config);
  refuseContradictions(part, saved.config, path, placeSettings);
  const config = runConfig({ ...saved.config, ...part });
  const openDirectory = () => reopen(saved, config);
  const note = await saved.mendLast();
  if (note) process.stderr.write(`${note}\n`);
  const artifacts = await saved.artifacts();
  return { ...shakeNetSubject(config, artifacts), openDirectory, where: saved.checkpointPath("last") };
}

/** The settings in which `auto` keeps the run's own number of replicas. */
function withOwnReplicas<G extends { readonly replicas?: GivenRun["replicas"] }>(
  given: G,
  { replicas }: TrainConfig,
): G {
  return given.replicas === "auto" ? { ...given, replicas } : given;
}

async function reopen<C extends TrainConfig, M extends Manifest>(
  saved: RunDirectory<C, M, ClassificationRecord>,
  config: C,
): Promise<RunDirectory<C, M, ClassificationRecord>> {
  const directory = saved.withConfig(config);
  await directory.prepareToResume();
  return directory;
}
