import { join, resolve } from "node:path";
import {
  type Checkpoint,
  decodeCheckpoint,
  type Manifest,
  type TrainingArtifacts,
} from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import { visibleName } from "../../../graph-builder/visible.ts";
import type { ClassificationRecord } from "../../../runtime/index.ts";
import { type RunDirectory, runOfCheckpoint } from "../../../runtime/node/run/run-directory.ts";
import { kebabCase, partOf } from "../../../runtime/node/run/schema.ts";
import type { ArtifactSettings } from "../../../shakenet/index.ts";
import { withEarlierSettings } from "../../../shakenet/node/earlier-settings.ts";
import { openRun, type ShakeNetRun } from "../../../shakenet/node/run.ts";
import {
  compiledSettings,
  type GivenRun,
  placeSettings,
  type RunConfig,
  runConfig,
  runSchemas,
  settingOf,
} from "../../../shakenet/node/run-config.ts";
import { absolutePaths, openData } from "../../data/open-data.ts";
import { refusePixels } from "../../data/shakenet-data.ts";
import { shakeCommand } from "../../invocation.ts";
import { findModelRun, type ModelRun } from "../../models/model-run.ts";
import { changedModelConfig, givenForModel } from "../../models/settings.ts";
import type { Progress } from "../../progress.ts";
import { say } from "../../terminal.ts";
import type { TrainGiven } from "./command.ts";
import { isExtended, resumeNotes } from "./extension.ts";
import { modelSubject } from "./model-subject.ts";
import { Patience } from "./patience.ts";
import { type PreparedRun, refuseContradictions, type TrainConfig } from "./prepared-run.ts";
import { shakeNetSubject } from "./shakenet-subject.ts";

/** The folder of a run and the checkpoint to go on from. */
interface ResumePoint {
  readonly path: string;
  /** A checkpoint that was named; undefined for the last one. */
  readonly checkpoint: string | undefined;
}

/**
 * Prepares a run to resume, and locks it; a dry run leaves it as it is. Throws UserError where there is none,
 * where another process trains it, for settings that differ from its own, and for those of a new run alone.
 */
export async function prepareResumedRun(said: TrainGiven, progress: Progress): Promise<PreparedRun> {
  const given = absolutePaths(said);
  refuseBeginnings(given);
  const point = await resumePoint(given.resume || given.runDir);
  if (given.runDir !== undefined && resolve(given.runDir) !== resolve(point.path)) {
    const message = `--run-dir ${given.runDir} does not go with --resume ${given.resume}: a run stays in its folder.`;
    throw new UserError(message, { code: "setting-conflict", details: { setting: "runDir" } });
  }
  const model = await findModelRun(point.path);
  return model
    ? resumeModel(model, point, given, progress)
    : resumeShakeNet(await openRun(point.path), point, given, progress);
}

/** The settings that say how a new run begins, and what a run keeps in their place. */
const beginnings = {
  artifacts: "its own",
  init: "its weights",
  freeze: "the parameters that it trains",
  bodyRate: "the rates of its layers",
} as const satisfies Partial<Record<keyof TrainGiven, string>>;

function refuseBeginnings(given: TrainGiven): void {
  for (const [name, kept] of Object.entries(beginnings)) {
    if (given[name as keyof typeof beginnings] === undefined) continue;
    throw new UserError(`--${kebabCase(name)} does not go with --resume: a run keeps ${kept}.`, {
      code: "setting-conflict",
      details: { setting: name },
    });
  }
}

/** What --resume names: the folder of a run, or one of its checkpoints. */
async function resumePoint(path: string | undefined): Promise<ResumePoint> {
  if (path) {
    const run = await runOfCheckpoint(path);
    return run === undefined ? { path, checkpoint: undefined } : { path: run, checkpoint: path };
  }
  throw new UserError(
    `--resume needs the folder of a run: ${shakeCommand("train", "--resume", "runs/NAME")}.`,
    { code: "setting-missing", details: { setting: "resume" } },
  );
}

async function resumeModel(
  saved: ModelRun,
  point: ResumePoint,
  given: TrainGiven,
  progress: Progress,
): Promise<PreparedRun> {
  const { path, config: own } = saved;
  const part = withOwnPlace(givenForModel(given, path), own);
  const { pixels } = own.feeding;
  const fixed = { imageSize: own.feeding.height, ...own, pixels };
  refuseContradictions(part, fixed, path, freeSettings(own, given));
  const config = changedModelConfig(own, part);
  const { checkpoint: _, ...resumed } = await openCheckpoint(saved, point, config, given);
  const data = await openData(config, progress);
  const openDirectory = () => resumed.openDirectory(config);
  return { ...modelSubject(config, resumed.artifacts), data, ...resumed, openDirectory };
}

async function resumeShakeNet(
  saved: ShakeNetRun,
  point: ResumePoint,
  given: TrainGiven,
  progress: Progress,
): Promise<PreparedRun> {
  refusePixels(given);
  const { pictures, earlier: _, ...own } = saved.config;
  const part = withOwnPlace(partOf(runSchemas, given), saved.config);
  refuseContradictions(part, saved.config, saved.path, freeSettings(saved.config, given));
  const changed = runConfig({ ...own, ...part }, pictures);
  const { checkpoint, ...resumed } = await openCheckpoint(saved, point, changed, given);
  refuseOtherGraph(changed, resumed.artifacts.manifest.settings, saved.path);
  const config = withEarlierSettings(saved.config, changed, checkpoint);
  const data = await openData(config, progress);
  const openDirectory = () => resumed.openDirectory(config);
  return { ...shakeNetSubject(config, resumed.artifacts), data, ...resumed, openDirectory };
}

/**
 * Throws UserError where a run's settings, which a person may have edited, are not those that its graph was
 * built from: the graph would be trained as it is, and the run would say otherwise.
 */
function refuseOtherGraph(config: RunConfig, built: ArtifactSettings, path: string): void {
  for (const name of Object.keys(compiledSettings(built))) {
    const [said, kept] = [settingOf(config, name), settingOf(built, name)];
    if (said === kept) continue;
    const reason = `the graph of the run was built with ${String(kept)}: set it back, or begin a new run`;
    throw new UserError(`${name} in ${join(path, "config.json")} is ${String(said)}, and ${reason}.`, {
      code: "setting-conflict",
      details: { setting: name, value: String(said), of: path },
    });
  }
}

/** The checkpoint of a locked run. */
interface OpenedCheckpoint<C extends TrainConfig, M extends Manifest> {
  readonly artifacts: TrainingArtifacts<M>;
  readonly checkpoint: Checkpoint;
  readonly where: string;
  /** Opens the folder to train with settings, which it takes over. */
  readonly openDirectory: (config: C) => Promise<RunDirectory<C, M, ClassificationRecord>>;
}

/** Locks a run and opens its checkpoint. */
async function openCheckpoint<C extends TrainConfig, M extends Manifest>(
  saved: RunDirectory<C, M, ClassificationRecord>,
  { checkpoint: named }: ResumePoint,
  config: C,
  { dryRun }: TrainGiven,
): Promise<OpenedCheckpoint<C, M>> {
  if (!dryRun) {
    await saved.lock();
    const note = named === undefined ? await saved.mendLast() : undefined;
    if (note) say(visibleName(note));
  }
  const where = named ?? saved.checkpointPath("last");
  const artifacts = await saved.artifacts(where);
  const checkpoint = decodeCheckpoint(artifacts.checkpoint, where);
  for (const note of resumeNotes(saved.config, config, checkpoint)) say(note);
  const openDirectory = async (settings: C) => {
    if (named !== undefined) await saved.save("last", artifacts.checkpoint);
    return reopen(saved, settings);
  };
  return { artifacts, checkpoint, where, openDirectory };
}

/**
 * The settings that a resumed run may change: pictures of one's own may be in another place, there may be
 * more epochs, another rate and another patience.
 */
function freeSettings(own: TrainConfig, given: TrainGiven): readonly string[] {
  return [
    ...placeSettings,
    "learningRate",
    "patienceEpochs",
    "ranks",
    // the replicas of several ranks are those of one process in another arrangement
    ...((own.ranks ?? 1) > 1 || (given.ranks ?? 1) > 1 ? ["replicas"] : []),
    ...(own.pictures ? ["data", "classMap"] : []),
    ...(isExtended(own, given) ? ["epochs"] : []),
  ];
}

/**
 * The settings in which `auto` keeps the run's own number of replicas, pictures of one's own have an absolute
 * path, and a run that had several ranks has one where nothing has started more.
 */
function withOwnPlace<G extends Pick<GivenRun, "replicas" | "data" | "ranks">>(
  said: G,
  { replicas, pictures, ranks }: TrainConfig,
): G {
  const given = ranks === undefined ? said : { ...said, ranks: said.ranks ?? 1 };
  const kept = given.replicas === "auto" ? { ...given, replicas } : given;
  return pictures && given.data !== undefined ? { ...kept, data: resolve(given.data) } : kept;
}

/** What a resume may change for good. */
const kept = [
  "data",
  "dataDir",
  "epochs",
  "learningRate",
  "patienceEpochs",
  "replicas",
  "ranks",
  "saveEvery",
  "checkpointHist",
  "tensorboard",
] as const;

/** The settings of the machine and of places that count for one command. */
const passing = placeSettings.filter((name) => !kept.some((each) => each === name));

async function reopen<C extends TrainConfig, M extends Manifest>(
  saved: RunDirectory<C, M, ClassificationRecord>,
  config: C,
): Promise<RunDirectory<C, M, ClassificationRecord>> {
  const directory = saved.withConfig(config);
  await directory.prepareToResume();
  const { best } = new Patience(undefined, await directory.records());
  if (best) await directory.restoreBest(best.epoch);
  // the next resume, eval and verify must know them too
  const isChanged = kept.some((name) => config[name] !== saved.config[name]);
  const own: Readonly<Record<string, unknown>> = saved.config;
  const machine = Object.fromEntries(passing.map((name) => [name, own[name]]));
  if (isChanged) await saved.withConfig({ ...config, ...machine }).saveConfig();
  return directory;
}
