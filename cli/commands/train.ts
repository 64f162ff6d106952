import { availableParallelism } from "node:os";
import { join } from "node:path";
import { decodeCheckpoint, encodeCheckpoint } from "../../artifacts/index.ts";
import { UserError } from "../../graph-builder/index.ts";
import { stepsPerEpoch } from "../../runtime/data/batches.ts";
import { datasetDigest, datasets } from "../../runtime/data/dataset.ts";
import {
  type CheckpointKind,
  type ClassificationData,
  type ClassificationEvent,
  type ClassificationRecord,
  cosine,
  type Dataset,
  type Device,
  DivergedError,
  type Split,
  TrainingSession,
  type TrainingSources,
  train,
} from "../../runtime/index.ts";
import {
  loadDataset,
  OrtTrainingSession,
  openDevice,
  ReplicaError,
  ReplicatedSession,
  readManifest,
  readTrainingArtifacts,
} from "../../runtime/node/index.ts";
import {
  buildTrainingArtifacts,
  fuseArtifacts,
  isShakeNetManifest,
  networkName,
  type ShakeNetArtifacts,
  type ShakeNetManifest,
  shakeNetTask,
  unfuseCheckpoint,
} from "../../shakenet/index.ts";
import { drawCurves } from "../curves.ts";
import type { Command } from "../flags.ts";
import { DATA_DIGEST, frozenModel } from "../frozen-model.ts";
import { describeStep, formatRate, formatSeconds, openProgress, type Progress } from "../progress.ts";
import { freeRunPath, RunDirectory } from "../run-directory.ts";
import {
  artifactSettings,
  expectShareable,
  type GivenSettings,
  kebabCase,
  placeSettings,
  type RunConfig,
  type RunSettingName,
  runConfig,
  runSettings,
} from "../settings.ts";
import { formatFields, formatLarge } from "../tables.ts";

const settings = [...runSettings, "runDir", "resume", "artifacts", "config", "json"] as const;
type Given = GivenSettings<(typeof settings)[number]>;

/** `shake train`: trains a network, or goes on with a run, and freezes it. */
export const trainCommand: Command<(typeof settings)[number]> = {
  settings,
  async run(given) {
    const progress = openProgress();
    const say = (line: string) => process.stderr.write(`${line}\n`);
    const prepared = await (given.resume === undefined ? prepareRun(given) : prepareResume(given));
    const { config, artifacts } = prepared;
    const { trainSet, testSet } = await loadSets(config, progress);
    const checkpoint = withDataDigest(prepared, await datasetDigest(trainSet));
    const engine = await openEngine(config, { ...artifacts, checkpoint });
    try {
      const directory = await prepared.openDirectory(checkpoint);
      say(describeRun(directory, artifacts.manifest, trainSet, testSet));
      const stoppedAt = await trainIn(
        directory,
        engine,
        { ...artifacts.manifest, trainSet, testSet },
        { say, progress },
      );
      if (stoppedAt !== undefined) {
        say(
          `Stopped after step ${stoppedAt}, which is saved. To go on:\n  npx shake train --resume ${directory.path}`,
        );
        return 130;
      }
      await finish(directory, artifacts.manifest.parameters, given.json === true);
      return 0;
    } finally {
      await engine.session.release();
    }
  },
};

/** Where a run is told of. */
interface Terminal {
  readonly say: (line: string) => void;
  readonly progress: Progress;
}

/** Trains to the end, or to Ctrl-C: then it returns the step at which it stopped. */
async function trainIn(
  directory: RunDirectory,
  { session, device, layOut }: Engine,
  {
    settings: network,
    trainSet,
    testSet,
  }: Pick<ShakeNetManifest, "settings"> & Pick<ClassificationData, "trainSet" | "testSet">,
  { say, progress }: Terminal,
): Promise<number | undefined> {
  const interrupt = listenForInterrupt({ say, progress });
  const store = {
    save: (kind: CheckpointKind, bytes: Uint8Array) => directory.save(kind, layOut(bytes)),
  };
  const { config } = directory;
  const task = shakeNetTask({ ...config, network, trainSet, testSet, device });
  const settings = { ...config, learningRate: cosine(config.learningRate), store, signal: interrupt.signal };
  let stoppedAt: number | undefined;
  try {
    for await (const event of train(session, task, settings)) {
      await render(event, directory, progress);
      if (event.type === "interrupted") stoppedAt = event.step;
    }
  } catch (error) {
    throw withCheckpoint(error, directory);
  } finally {
    interrupt.stop();
    progress.stop();
  }
  return stoppedAt;
}

/** A run before its first step; its folder is touched last, when everything else has been found to work. */
interface PreparedRun {
  readonly config: RunConfig;
  readonly artifacts: ShakeNetArtifacts;
  readonly openDirectory: (checkpoint: Uint8Array) => Promise<RunDirectory>;
  /** The checkpoint's path in errors. */
  readonly where: string;
}

async function prepareRun(given: Given): Promise<PreparedRun> {
  const { config, artifacts } =
    given.artifacts === undefined
      ? compile(runConfig(runPart(given)))
      : await openArtifacts(given.artifacts, given);
  const path = given.runDir ?? (await freeRunPath(config));
  await RunDirectory.expectFree(path);
  const openDirectory = (checkpoint: Uint8Array) =>
    RunDirectory.create(path, config, { ...artifacts, checkpoint });
  return { config, artifacts, openDirectory, where: path };
}

function compile(config: RunConfig): { config: RunConfig; artifacts: ShakeNetArtifacts } {
  const fused = config.engine === "ort-training";
  return { config, artifacts: buildTrainingArtifacts(artifactSettings(config, "ort-training", fused)) };
}

/** A session over a run's artifacts, the device of its tensors and of evaluation, and its checkpoints in the artifacts' own layout. */
interface Engine {
  readonly device: Device;
  readonly session: TrainingSession | ReplicatedSession | OrtTrainingSession;
  readonly layOut: (checkpoint: Uint8Array) => Uint8Array;
}

async function openEngine(config: RunConfig, artifacts: ShakeNetArtifacts): Promise<Engine> {
  const { engine, device: name, threads, replicas } = config;
  expectShareable(config);
  if (engine === "ort-training") {
    if (name !== "cpu") {
      throw new UserError(`--engine ort-training trains on the CPU, not on ${name}: say --device cpu.`);
    }
    const session = await OrtTrainingSession.create(trainingSources(fuseArtifacts(artifacts)), {
      threads: threads ?? availableParallelism(),
    });
    const layOut = (checkpoint: Uint8Array) => unfuseCheckpoint(checkpoint, artifacts);
    return { session, device: await openDevice("cpu", { threads }), layOut };
  }
  const layOut = (checkpoint: Uint8Array) => checkpoint;
  if (replicas > 1) {
    const session = await ReplicatedSession.create(trainingSources(artifacts), { replicas, threads });
    const all = threads && threads * replicas;
    return { session, device: await openDevice("cpu", { threads: all }), layOut };
  }
  const device = await openDevice(name, { threads });
  return { session: await TrainingSession.create(trainingSources(artifacts), device), device, layOut };
}

function trainingSources({ checkpoint, trainingModel, optimizerModel }: ShakeNetArtifacts): TrainingSources {
  return { checkpoint, trainingModel, optimizerModel };
}

async function prepareResume(given: Given): Promise<PreparedRun> {
  const path = given.resume || given.runDir;
  if (!path) throw new UserError("--resume needs the folder of a run: shake train --resume runs/NAME.");
  if (given.artifacts !== undefined) {
    throw new UserError("--artifacts does not go with --resume: a run keeps its own.");
  }
  const saved = await RunDirectory.open(path);
  // auto leaves the number to the run, which keeps its own
  const part = runPart(given.replicas === "auto" ? { ...given, replicas: saved.config.replicas } : given);
  refuseContradictions(part, saved.config, path, placeSettings);
  const config = runConfig({ ...saved.config, ...part });
  const openDirectory = async () => {
    const directory = saved.withConfig(config);
    await directory.prepareToResume();
    return directory;
  };
  return { config, artifacts: await saved.artifacts(), openDirectory, where: saved.checkpointPath("last") };
}

/** The checkpoint with the digest of its training data. Throws UserError where it was trained on other data before. */
function withDataDigest({ artifacts, where, config }: PreparedRun, digest: string): Uint8Array {
  const checkpoint = decodeCheckpoint(artifacts.checkpoint, where);
  const known = checkpoint.properties.get(DATA_DIGEST);
  if (known !== undefined && known !== digest) {
    throw new UserError(`The training images of ${config.data} are not those that ${where} was trained on.`);
  }
  checkpoint.properties.set(DATA_DIGEST, digest);
  return encodeCheckpoint(checkpoint);
}

/** The artifacts in a folder, and a run's settings with what they were compiled from. */
async function openArtifacts(
  folder: string,
  given: Given,
): Promise<{ artifacts: ShakeNetArtifacts; config: RunConfig }> {
  const manifest = await readManifest(folder, isShakeNetManifest);
  const artifacts = { ...(await readTrainingArtifacts(folder)), manifest };
  const { depth, width, classes, optimizer, momentum, weightDecay, seed, mean, fused } = manifest.settings;
  const compiled = { depth, width, classes, optimizer, momentum, weightDecay, seed };
  const data = Object.entries(datasets).find(([, spec]) => spec.mean.join() === mean.join())?.[0];
  const own = { ...compiled, ...(data ? { data: data as RunConfig["data"] } : {}) };
  refuseContradictions(runPart(given), own, folder, []);
  // what updates its weights in the step cannot be shared
  const alone = fused ? { replicas: 1 } : {};
  return { artifacts, config: runConfig({ ...own, ...alone, ...runPart(given) }) };
}

function runPart(given: Given): GivenSettings<RunSettingName> {
  return Object.fromEntries(
    Object.entries(given).filter(([name]) => runSettings.includes(name as RunSettingName)),
  );
}

/** Throws UserError for a flag that says otherwise than what is fixed already. */
function refuseContradictions(
  given: GivenSettings<RunSettingName>,
  fixed: GivenSettings<RunSettingName>,
  where: string,
  free: readonly RunSettingName[],
): void {
  for (const [name, value] of Object.entries(given) as [RunSettingName, unknown][]) {
    if (free.includes(name) || !(name in fixed) || fixed[name] === value) continue;
    const flag = kebabCase(name);
    throw new UserError(
      `--${flag} ${value} contradicts ${where}, which has ${flag} ${fixed[name]}: leave it out.`,
    );
  }
}

async function loadSets(
  config: RunConfig,
  progress: Progress,
): Promise<{ trainSet: Dataset; testSet: Dataset }> {
  const load = (split: Split, limit: number | undefined) =>
    loadDataset(config.data, {
      split,
      limit,
      dataDir: config.dataDir,
      onProgress: (received, total) =>
        progress.update(
          received,
          total,
          `${datasets[config.data].title}: ${formatLarge(received)}B of ${formatLarge(total)}B`,
        ),
    });
  try {
    return {
      trainSet: await load("train", config.trainLimit),
      testSet: await load("test", config.testLimit),
    };
  } finally {
    progress.stop();
  }
}

function describeRun(
  { path, config }: RunDirectory,
  { network, parameters, cost }: ShakeNetManifest,
  trainSet: Dataset,
  testSet: Dataset,
): string {
  const steps = stepsPerEpoch(trainSet, config.batchSize);
  const mix = `${config.forward}-${config.backward}-${config.level}`;
  return formatFields({
    network: `${network}, ${mix}, ${parameters.toLocaleString("en-US")} parameters`,
    "FLOPs an image": `${formatLarge(cost.forwardFlops)} forward, ${formatLarge(cost.backwardFlops)} backward`,
    data: `${datasets[config.data].title}, ${trainSet.count.toLocaleString("en-US")} training and ${testSet.count.toLocaleString("en-US")} test images`,
    training: `${config.epochs} epochs of ${steps} steps, batch ${config.batchSize}, learning rate ${config.learningRate}, ${config.optimizer}`,
    device: describeDevice(config),
    run: path,
  });
}

function describeDevice({ engine, device, replicas }: RunConfig): string {
  if (engine === "ort-training") return "cpu, by ONNX Runtime 1.19.2's own training";
  return replicas > 1 ? `${device}, ${replicas} replicas` : device;
}

async function render(
  event: ClassificationEvent,
  directory: RunDirectory,
  progress: Progress,
): Promise<void> {
  const { epochs } = directory.config;
  if (event.type === "step") progress.update(event.step, event.steps, describeStep(event, epochs));
  else if (event.type === "evaluation")
    progress.update(event.done, event.of, `testing ${event.done} of ${event.of}`);
  else if (event.type === "epoch") {
    await directory.addRecord(event.record);
    progress.log(describeEpoch(event.record, epochs, event.isBest));
  }
}

function describeEpoch(record: ClassificationRecord, epochs: number, isBest: boolean): string {
  return [
    `epoch ${record.epoch}/${epochs}`,
    `train ${record.train_accuracy.toFixed(2)} % (loss ${record.train_loss.toFixed(3)})`,
    `test ${record.test_accuracy.toFixed(2)} % (loss ${record.test_loss.toFixed(3)})`,
    `${formatRate(record.images_per_second)} images/s`,
    `${formatSeconds(record.seconds)}${isBest ? "  best" : ""}`,
  ].join("  ");
}

/**
 * The first Ctrl-C ends the run after its step, the second at once, as the signal would by itself, for native code cannot be asked
 * to stop: the last checkpoint is whole either way.
 */
function listenForInterrupt({ say, progress }: Terminal): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController();
  const signals = ["SIGINT", "SIGTERM"] as const;
  const stop = () => {
    for (const name of signals) process.off(name, listener);
  };
  const listener = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      stop();
      progress.stop();
      process.kill(process.pid, name);
      return;
    }
    controller.abort();
    say("\nFinishing this step and saving it; Ctrl-C again stops at once.");
  };
  for (const name of signals) process.on(name, listener);
  return { signal: controller.signal, stop };
}

function withCheckpoint(error: unknown, directory: RunDirectory): unknown {
  if (error instanceof ReplicaError) {
    const resume = `npx shake train --resume ${directory.path}`;
    return new ReplicaError(`${error.message} The last checkpoint is kept; to go on:\n  ${resume}`, {
      cause: error.cause,
    });
  }
  if (!(error instanceof DivergedError)) return error;
  const message = `${error.message} It is ${directory.checkpointPath("last")}.`;
  return new UserError(message, { cause: error });
}

/** Freezes the last weights, as the paper reports them, draws the curves and says what to do next. */
async function finish(directory: RunDirectory, parameters: number, json: boolean): Promise<void> {
  const { config, path } = directory;
  const records = await directory.records();
  const last = records.at(-1);
  if (!last) throw new UserError(`${join(path, "metrics.jsonl")} holds no epoch.`);
  const checkpoint = await directory.checkpoint("last");
  const bytes = frozenModel(checkpoint, directory.checkpointPath("last"), {
    config,
    testAccuracy: last.test_accuracy,
  });
  const model = await directory.write("model.onnx", bytes);
  const title = `ShakeNet ${networkName(config)} on ${datasets[config.data].title}`;
  const curves = await directory.write("curves.svg", await drawCurves(title, records));
  const result = {
    run_dir: path,
    test_accuracy: last.test_accuracy,
    train_accuracy: last.train_accuracy,
    images_per_second: last.images_per_second,
    parameters,
    model,
  };
  if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else process.stdout.write(`${summary(result, curves)}\n`);
}

function summary(result: { run_dir: string; test_accuracy: number; model: string }, curves: string): string {
  return [
    "",
    `Test accuracy ${result.test_accuracy.toFixed(2)} %`,
    "",
    `  ${result.model}  the network, for any ONNX runtime`,
    `  ${curves}  loss and accuracy`,
    "",
    "Next:",
    `  npx shake eval --run ${result.run_dir}`,
    `  npx shake inspect ${result.model}`,
    `  npx shake export ${result.run_dir} --out shakenet.onnx`,
  ].join("\n");
}
