import { resolve } from "node:path";
import type { Manifest } from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import type { ClassificationRecord } from "../../../runtime/index.ts";
import type { RunDirectory } from "../../../runtime/node/run/run-directory.ts";
import { partOf } from "../../../runtime/node/run/schema.ts";
import { openRun, type ShakeNetRun } from "../../../shakenet/node/run.ts";
import { type GivenRun, placeSettings, runConfig, runSchemas } from "../../../shakenet/node/run-config.ts";
import { absolutePaths, openData } from "../../data/open-data.ts";
import { shakeCommand } from "../../invocation.ts";
import { findModelRun, type ModelRun } from "../../models/model-run.ts";
import { changedModelConfig, givenForModel } from "../../models/settings.ts";
import type { Progress } from "../../progress.ts";
import { say } from "../../terminal.ts";
import type { TrainGiven } from "./command.ts";
import { extensionNote, isExtended } from "./extension.ts";
import { modelSubject } from "./model-subject.ts";
import { type PreparedRun, refuseContradictions, type TrainConfig } from "./prepared-run.ts";
import { shakeNetSubject } from "./shakenet-subject.ts";

/**
 * Prepares a run to resume, and locks it. Throws UserError where there is none, where another process trains
 * it, and for settings that differ from its own.
 */
export async function prepareResumedRun(said: TrainGiven, progress: Progress): Promise<PreparedRun> {
  const given = absolutePaths(said);
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
  return model ? resumeModel(model, given, progress) : resumeShakeNet(await openRun(path), given, progress);
}

async function resumeModel(saved: ModelRun, given: TrainGiven, progress: Progress): Promise<PreparedRun> {
  const { path, config: own } = saved;
  await saved.lock();
  const part = withOwnPlace(givenForModel(given, path), own);
  const { pixels } = own.feeding;
  refuseContradictions(
    part,
    { imageSize: own.feeding.height, ...own, pixels },
    path,
    freeSettings(own, given),
  );
  const config = changedModelConfig(own, part);
  const openDirectory = () => reopen(saved, config);
  const note = await saved.mendLast();
  if (note) say(note);
  const artifacts = await saved.artifacts();
  await tellExtension(saved, config);
  const data = await openData(config, progress);
  return { ...modelSubject(config, artifacts), data, openDirectory, where: saved.checkpointPath("last") };
}

async function resumeShakeNet(
  saved: ShakeNetRun,
  given: TrainGiven,
  progress: Progress,
): Promise<PreparedRun> {
  const { path } = saved;
  await saved.lock();
  const { pictures, ...own } = saved.config;
  const part = withOwnPlace(partOf(runSchemas, given), saved.config);
  refuseContradictions(part, saved.config, path, freeSettings(saved.config, given));
  const config = runConfig({ ...own, ...part }, pictures);
  const openDirectory = () => reopen(saved, config);
  const note = await saved.mendLast();
  if (note) say(note);
  const artifacts = await saved.artifacts();
  await tellExtension(saved, config);
  const data = await openData(config, progress);
  return { ...shakeNetSubject(config, artifacts), data, openDirectory, where: saved.checkpointPath("last") };
}

/**
 * The settings that a resumed run may change: pictures of one's own may be in another place, and there may be
 * more epochs.
 */
function freeSettings(own: TrainConfig, given: TrainGiven): readonly string[] {
  return [
    ...placeSettings,
    ...(own.pictures ? ["data", "classMap"] : []),
    ...(isExtended(own, given) ? ["epochs"] : []),
  ];
}

/** Says what more epochs mean for the learning rate. */
async function tellExtension<C extends TrainConfig, M extends Manifest>(
  saved: RunDirectory<C, M, ClassificationRecord>,
  config: TrainConfig,
): Promise<void> {
  if (!isExtended(saved.config, config)) return;
  say(extensionNote(saved.config, config, await saved.checkpoint("last")));
}

/**
 * The settings in which `auto` keeps the run's own number of replicas, and pictures of one's own have an
 * absolute path.
 */
function withOwnPlace<G extends Pick<GivenRun, "replicas" | "data">>(
  given: G,
  { replicas, pictures }: TrainConfig,
): G {
  const kept = given.replicas === "auto" ? { ...given, replicas } : given;
  return pictures && given.data !== undefined ? { ...kept, data: resolve(given.data) } : kept;
}

async function reopen<C extends TrainConfig, M extends Manifest>(
  saved: RunDirectory<C, M, ClassificationRecord>,
  config: C,
): Promise<RunDirectory<C, M, ClassificationRecord>> {
  const directory = saved.withConfig(config);
  await directory.prepareToResume();
  // the next resume, eval and verify must know them too
  const isChanged = config.epochs !== saved.config.epochs || config.data !== saved.config.data;
  if (isChanged) await directory.saveConfig();
  return directory;
}
