import { availableParallelism } from "node:os";
import { join } from "node:path";
import * as onnxruntime from "onnxruntime-common";
import {
  buildTrainingArtifacts,
  decodeCheckpoint,
  encodeCheckpoint,
  type Manifest,
  readManifest,
  readTrainingArtifacts,
  type TrainingArtifacts,
} from "../../artifacts/index.ts";
import { networkName, UserError } from "../../graph-builder/index.ts";
import { stepsPerEpoch } from "../../runtime/batches.ts";
import {
  type Dataset,
  datasetDigest,
  datasets,
  loadDataset,
  type Split,
} from "../../runtime/data/dataset.ts";
import {
  type EpochRecord,
  fuseArtifacts,
  OrtTrainingSession,
  openDevice,
  type TrainingEvent,
  type TrainingRun,
  TrainingSession,
  type TrainingSources,
  train,
  unfuseCheckpoint,
} from "../../runtime/index.ts";
import { drawCurves } from "../curves.ts";
import type { Command } from "../flags.ts";
import { DATA_DIGEST, frozenModel } from "../frozen-model.ts";
import { describeStep, formatRate, formatSeconds, openProgress, type Progress } from "../progress.ts";
import { type CheckpointKind, freeRunPath, RunDirectory } from "../run-directory.ts";
import {
  artifactSettings,
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
    const { session, device, layOut } = await openEngine(config, { ...artifacts, checkpoint });
    const directory = await prepared.openDirectory(checkpoint);
    say(describeRun(directory, artifacts.manifest, trainSet, testSet));
    const interrupt = listenForInterrupt(say);
    let interruptedAt: number | undefined;
    try {
      const run = {
        session,
        device,
        settings: config,
        blocks: artifacts.manifest.blocks,
        trainSet,
        testSet,
        store: {
          save: (kind: CheckpointKind, bytes: Uint8Array) => directory.save(kind, layOut(bytes)),
        },
      };
      for await (const event of train({ ...run, signal: interrupt.signal })) {
        await render(event, directory, progress);
        if (event.type === "interrupted") interruptedAt = event.step;
      }
    } catch (error) {
      throw withCheckpoint(error, directory);
    } finally {
      interrupt.stop();
      progress.stop();
    }
    if (interruptedAt !== undefined) {
      say(
        `Stopped after step ${interruptedAt}, which is saved. To go on:\n  npx shake train --resume ${directory.path}`,
      );
      return 130;
    }
    const { parameters } = artifacts.manifest;
    await session.release();
    await finish(directory, parameters, given.json === true);
    return 0;
  },
};

/** A run before its first step; its folder is touched last, when everything else has been found to work. */
interface PreparedRun {
  readonly config: RunConfig;
  readonly artifacts: TrainingArtifacts;
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

function compile(config: RunConfig): { config: RunConfig; artifacts: TrainingArtifacts } {
  const fused = config.engine === "ort-training";
  return { config, artifacts: buildTrainingArtifacts(artifactSettings(config, "ort-training", fused)) };
}

/** A session over a run's artifacts, with whose tensors it takes, and its checkpoints in the artifacts' own layout. */
interface Engine extends Pick<TrainingRun, "device"> {
  readonly session: TrainingSession | OrtTrainingSession;
  readonly layOut: (checkpoint: Uint8Array) => Uint8Array;
}

async function openEngine(config: RunConfig, artifacts: TrainingArtifacts): Promise<Engine> {
  const { engine, device: name, threads } = config;
  if (engine === "ort-training") {
    if (name !== "cpu") {
      throw new UserError(`--engine ort-training trains on the CPU, not on ${name}: say --device cpu.`);
    }
    const session = await OrtTrainingSession.create(trainingSources(fuseArtifacts(artifacts)), {
      threads: threads ?? availableParallelism(),
    });
    const layOut = (checkpoint: Uint8Array) => unfuseCheckpoint(checkpoint, artifacts);
    return { session, device: { ort: onnxruntime }, layOut };
  }
  const device = await openDevice(name, { threads });
  const session = await TrainingSession.create(trainingSources(artifacts), device);
  return { session, device, layOut: (checkpoint) => checkpoint };
}

function trainingSources({
  checkpoint,
  trainingModel,
  evalModel,
  optimizerModel,
}: TrainingArtifacts): TrainingSources {
  return { checkpointState: checkpoint, trainModel: trainingModel, evalModel, optimizerModel };
}

async function prepareResume(given: Given): Promise<PreparedRun> {
  const path = given.resume || given.runDir;
  if (!path) throw new UserError("--resume needs the folder of a run: shake train --resume runs/NAME.");
  if (given.artifacts !== undefined) {
    throw new UserError("--artifacts does not go with --resume: a run keeps its own.");
  }
  const saved = await RunDirectory.open(path);
  refuseContradictions(runPart(given), saved.config, path, placeSettings);
  const config = runConfig({ ...saved.config, ...runPart(given) });
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
): Promise<{ artifacts: TrainingArtifacts; config: RunConfig }> {
  const manifest = await readManifest(folder);
  const artifacts = { ...(await readTrainingArtifacts(folder)), manifest };
  const { depth, width, classes, optimizer, momentum, weightDecay, seed, mean } = manifest.settings;
  const compiled = { depth, width, classes, optimizer, momentum, weightDecay, seed };
  const data = Object.entries(datasets).find(([, spec]) => spec.mean.join() === mean.join())?.[0];
  const own = { ...compiled, ...(data ? { data: data as RunConfig["data"] } : {}) };
  refuseContradictions(runPart(given), own, folder, []);
  return { artifacts, config: runConfig({ ...own, ...runPart(given) }) };
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
  { network, parameters, cost }: Manifest,
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
    device: config.engine === "ort-training" ? "cpu, by ONNX Runtime 1.19.2's own training" : config.device,
    run: path,
  });
}

async function render(event: TrainingEvent, directory: RunDirectory, progress: Progress): Promise<void> {
  const { epochs } = directory.config;
  if (event.type === "step") progress.update(event.step, event.steps, describeStep(event, epochs));
  else if (event.type === "evaluation")
    progress.update(event.images, event.of, `testing ${event.images} of ${event.of}`);
  else if (event.type === "epoch") {
    await directory.addRecord(event.record);
    progress.log(describeEpoch(event.record, epochs, event.isBest));
  }
}

function describeEpoch(record: EpochRecord, epochs: number, isBest: boolean): string {
  return [
    `epoch ${record.epoch}/${epochs}`,
    `train ${record.train_accuracy.toFixed(2)} % (loss ${record.train_loss.toFixed(3)})`,
    `test ${record.test_accuracy.toFixed(2)} % (loss ${record.test_loss.toFixed(3)})`,
    `${formatRate(record.images_per_second)} images/s`,
    `${formatSeconds(record.seconds)}${isBest ? "  best" : ""}`,
  ].join("  ");
}

/** The first Ctrl-C ends the run after its step, the second at once: the last checkpoint is whole either way. */
function listenForInterrupt(say: (line: string) => void): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController();
  const listener = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
    say("\nFinishing this step and saving it; Ctrl-C again stops at once.");
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const name of signals) process.on(name, listener);
  return {
    signal: controller.signal,
    stop: () => {
      for (const name of signals) process.off(name, listener);
    },
  };
}

function withCheckpoint(error: unknown, directory: RunDirectory): unknown {
  if (!(error instanceof UserError) || !error.message.includes("diverged")) return error;
  const message = error.message.replace(/\.$/, `: ${directory.checkpointPath("last")}.`);
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
