import { readdir, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import {
  type ArtifactBytes,
  type Checkpoint,
  countIn,
  decodeCheckpoint,
  type Manifest,
  readFileBytes,
  type TrainingArtifacts,
} from "../../../artifacts/index.ts";
import { isForbidden, refusal } from "../../../artifacts/read-file.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import type { Divergence } from "../../loop/diverged-error.ts";
import type { CheckpointKind } from "../../loop/events.ts";
import type { CheckpointStore } from "../../loop/train.ts";
import { isThere, makeFolder, makeFolderAtomic, removeTemporaryFiles, writeFileAtomic } from "../files.ts";
import { readManifest, readTrainingModels, writeTrainingModels } from "../folder.ts";
import { FileLock, isLocked } from "../lock.ts";
import { readJsonObject } from "./schema.ts";

/**
 * The parts of a run that depend on the network: its settings, its manifest, and the record of an epoch.
 */
export interface RunFormat<Config, M extends Manifest, Line extends EpochLine> {
  /** Reads the settings in a `config.json`. Throws UserError, naming the file, where one is wrong. */
  readonly configOf: (raw: Readonly<Record<string, unknown>>, file: string) => Config;
  /** Whether the manifest of artifacts is one of such a network. */
  readonly isManifest: (manifest: Manifest, path: string) => manifest is M;
  /** Reads the JSON of a line of `metrics.jsonl`. Throws UserError, naming `where`, where it is no record. */
  readonly recordOf: (line: string, where: string) => Line;
}

/** An epoch in `metrics.jsonl`. */
export interface EpochLine {
  /** Counted from 1. */
  readonly epoch: number;
}

const files = {
  config: "config.json",
  metrics: "metrics.jsonl",
  table: "metrics.csv",
  model: "model.onnx",
  lock: ".lock",
  divergence: "diverged.json",
} as const;
const folders = { graph: "graph", checkpoints: "checkpoints" } as const;

/** The name of a checkpoint that is kept of an epoch. */
const keptName = /^epoch-([1-9]\d*)$/;

/**
 * The folder of a run: its settings, training models, checkpoints and metrics, and the model that it exports.
 */
export class RunDirectory<Config, M extends Manifest, Line extends EpochLine> implements CheckpointStore {
  readonly path: string;
  readonly config: Config;
  readonly #format: RunFormat<Config, M, Line>;
  #records: Line[] = [];
  #lock: FileLock | undefined;

  private constructor(format: RunFormat<Config, M, Line>, path: string, config: Config) {
    this.#format = format;
    this.path = path;
    this.config = config;
  }

  /**
   * Makes the folder of a new run with its settings, models and first checkpoint, and locks it; it appears
   * whole or not at all. Throws UserError where it exists already or cannot be written.
   */
  static async create<C, M extends Manifest, L extends EpochLine>(
    format: RunFormat<C, M, L>,
    path: string,
    config: C,
    artifacts: TrainingArtifacts<M>,
  ): Promise<RunDirectory<C, M, L>> {
    const isMade = await makeFolderAtomic(
      path,
      async (folder) => {
        await writeFileAtomic(join(folder, files.config), textOf(config));
        await writeTrainingModels(join(folder, folders.graph), artifacts);
        await makeFolder(join(folder, folders.checkpoints));
        await writeFileAtomic(join(folder, folders.checkpoints, "last"), artifacts.checkpoint);
      },
      files.config,
    );
    if (!isMade) throw taken(path);
    const directory = new RunDirectory(format, path, config);
    await directory.lock();
    return directory;
  }

  /**
   * Throws UserError where something exists at a path, which a new run must not overwrite. An empty folder is
   * free.
   */
  static async expectFree(path: string): Promise<void> {
    const names = await readdir(path).catch(() => undefined);
    if (names ? names.length > 0 : await isThere(path)) throw taken(path);
  }

  /** Opens a run that exists. Throws UserError where there is none, or its settings are damaged. */
  static async open<C, M extends Manifest, L extends EpochLine>(
    format: RunFormat<C, M, L>,
    path: string,
  ): Promise<RunDirectory<C, M, L>> {
    if (!(await isRun(path))) {
      throw new UserError(`${path} is not the folder of a run: it has no ${files.config}.`, {
        code: "run-missing",
        details: { path },
      });
    }
    const file = join(path, files.config);
    return new RunDirectory(format, path, format.configOf(await readJsonObject(file), file));
  }

  /**
   * The run whose folder contains a checkpoint; undefined where there is none. Throws UserError where its
   * settings are damaged.
   */
  static async around<C, M extends Manifest, L extends EpochLine>(
    format: RunFormat<C, M, L>,
    checkpoint: string,
  ): Promise<RunDirectory<C, M, L> | undefined> {
    const path = await runOfCheckpoint(checkpoint);
    return path === undefined ? undefined : RunDirectory.open(format, path);
  }

  /**
   * Takes the run for this process until `close`, or until the process ends. Throws UserError, which names
   * the holder, where another process writes the run.
   */
  async lock(): Promise<void> {
    this.#lock = await FileLock.acquire(join(this.path, files.lock), this.path);
  }

  /** Lets other processes write the run again. */
  async close(): Promise<void> {
    await this.#lock?.release();
    this.#lock = undefined;
  }

  /** Writes the settings into config.json. */
  async saveConfig(): Promise<void> {
    await this.write(files.config, textOf(this.config));
  }

  /** The same run, with its lock, with other settings, for a resume that changes some. */
  withConfig(config: Config): RunDirectory<Config, M, Line> {
    const changed = new RunDirectory(this.#format, this.path, config);
    changed.#lock = this.#lock;
    return changed;
  }

  /**
   * Where the last checkpoint is missing or damaged, puts the newest of the others in its place, keeps the
   * damaged one as `last.damaged`, and returns a sentence that says so. Throws UserError where none is sound,
   * and where the last one cannot be read.
   */
  async mendLast(): Promise<string | undefined> {
    const fault = await this.checkpoint("last").then(
      () => undefined,
      (error: unknown) => error,
    );
    if (fault === undefined) return undefined;
    // one that cannot be read now may be sound
    if (!(fault instanceof UserError) || fault.code === "file-unreadable") throw fault;
    const last = this.checkpointPath("last");
    const other = await this.#newestSound();
    if (!other) throw fault;
    const isMissing = fault.code === "file-missing";
    const bytes = await readFileBytes(other.path);
    if (!isMissing) await rename(last, `${last}.damaged`);
    await this.save("last", bytes);
    const what = isMissing ? "does not exist" : `is damaged and kept as ${last}.damaged`;
    return `${last} ${what}: the run goes on from ${other.path}, of step ${other.step}.`;
  }

  /** The sound checkpoint of the highest step among the best one and those that were kept of epochs. */
  async #newestSound(): Promise<{ readonly path: string; readonly step: number } | undefined> {
    const sound = async (path: string) => {
      const { properties } = decodeCheckpoint(await readFileBytes(path), path);
      return { path, step: countIn(properties, "step", path) ?? 0 };
    };
    const best = await sound(this.checkpointPath("best")).catch(() => undefined);
    for (const epoch of (await this.keptEpochs()).toReversed()) {
      const kept = await sound(this.keptPath(epoch)).catch(() => undefined);
      if (kept) return best && best.step >= kept.step ? best : kept;
    }
    return best;
  }

  /**
   * Removes temporary files of killed writes, and the metrics and checkpoints of epochs that the last
   * checkpoint has not finished: a run that goes on from an older checkpoint makes them again. Writes
   * metrics.csv anew where it differs from metrics.jsonl, as it does where a kill came between the two.
   */
  async prepareToResume(): Promise<void> {
    await removeTemporaryFiles(this.path);
    await rm(join(this.path, files.divergence), { force: true });
    for (const folder of Object.values(folders)) await removeTemporaryFiles(join(this.path, folder));
    const { properties } = await this.checkpoint("last");
    const epochs = countIn(properties, "epoch", this.checkpointPath("last")) ?? 0;
    const all = await this.records();
    this.#records = all.filter(({ epoch }) => epoch <= epochs);
    if (this.#records.length < all.length || (await this.#isTableOld())) await this.#writeRecords();
    for (const epoch of await this.keptEpochs()) if (epoch > epochs) await rm(this.keptPath(epoch));
    await this.#removeBestAfter(epochs);
  }

  /** Removes the best checkpoint where it is of an epoch that the run makes again. */
  async #removeBestAfter(epochs: number): Promise<void> {
    const path = this.checkpointPath("best");
    const best = await this.checkpoint("best").catch(() => undefined);
    if (best && (countIn(best.properties, "epoch", path) ?? 0) > epochs) await rm(path);
  }

  /** Makes the checkpoint that is kept of an epoch the best one, where there is no other. */
  async restoreBest(epoch: number): Promise<void> {
    if ((await isThere(this.checkpointPath("best"))) || !(await this.keptEpochs()).includes(epoch)) return;
    await this.save("best", await readFileBytes(this.keptPath(epoch)));
  }

  /** The run's training models and manifest with its last checkpoint, or another one. */
  async artifacts(path = this.checkpointPath("last")): Promise<ArtifactBytes & { readonly manifest: M }> {
    const folder = join(this.path, folders.graph);
    const checkpoint = await readFileBytes(path);
    const manifest = await readManifest(folder, this.#format.isManifest);
    return { ...(await readTrainingModels(folder)), manifest, checkpoint };
  }

  checkpointPath(kind: CheckpointKind): string {
    return join(this.path, folders.checkpoints, kind);
  }

  /** A checkpoint of the run. Throws UserError where it is missing or damaged. */
  async checkpoint(kind: CheckpointKind): Promise<Checkpoint> {
    const path = this.checkpointPath(kind);
    return decodeCheckpoint(await readFileBytes(path), path);
  }

  async save(kind: CheckpointKind, bytes: Uint8Array): Promise<void> {
    await writeFileAtomic(this.checkpointPath(kind), bytes);
  }

  /**
   * Copies the last checkpoint to that of an epoch. Where more than `most` epochs have one, removes those of
   * the oldest epochs. The best checkpoint is a file of its own, which stays.
   */
  async keepEpoch(epoch: number, most = Number.POSITIVE_INFINITY): Promise<void> {
    await writeFileAtomic(this.keptPath(epoch), await readFileBytes(this.checkpointPath("last")));
    const epochs = await this.keptEpochs();
    for (const old of epochs.slice(0, Math.max(0, epochs.length - most))) await rm(this.keptPath(old));
  }

  /** The epochs whose checkpoints are kept, in their order. */
  async keptEpochs(): Promise<number[]> {
    const names = await readdir(join(this.path, folders.checkpoints)).catch(() => []);
    const epochs = names.flatMap((name) => keptName.exec(name)?.[1] ?? []);
    return epochs.map(Number).toSorted((a, b) => a - b);
  }

  /** The path of the checkpoint that is kept of an epoch. */
  keptPath(epoch: number): string {
    return join(this.path, folders.checkpoints, `epoch-${epoch}`);
  }

  /** Adds an epoch to metrics.jsonl and metrics.csv. */
  async addRecord(record: Line): Promise<void> {
    this.#records.push(record);
    await this.#writeRecords();
  }

  async #writeRecords(): Promise<void> {
    if (this.#records.length === 0) {
      for (const name of [files.metrics, files.table]) await rm(join(this.path, name), { force: true });
      return;
    }
    await this.write(files.metrics, linesOf(this.#records));
    await this.write(files.table, tableOf(this.#records));
  }

  async #isTableOld(): Promise<boolean> {
    const path = join(this.path, files.table);
    if (!(await isThere(path))) return this.#records.length > 0;
    return new TextDecoder().decode(await readFileBytes(path)) !== tableOf(this.#records);
  }

  /** The epochs in metrics.jsonl. */
  async records(): Promise<Line[]> {
    const path = join(this.path, files.metrics);
    if (!(await isThere(path))) return [];
    const text = new TextDecoder().decode(await readFileBytes(path)).trim();
    return text.split("\n").map((line, i) => this.#format.recordOf(line, `Line ${i + 1} of ${path}`));
  }

  /** Keeps that the run diverged, and how, until it is resumed. */
  async markDiverged(divergence: Divergence): Promise<void> {
    const { step, learningRate, savedStep, reason } = divergence;
    await this.write(files.divergence, textOf({ step, learningRate, savedStep, reason }));
  }

  /** Whether the run diverged since it was begun or resumed. */
  isDiverged(): Promise<boolean> {
    return isThere(join(this.path, files.divergence));
  }

  /** Whether a living process trains the run. */
  isLocked(): Promise<boolean> {
    return isLocked(join(this.path, files.lock));
  }

  /** Writes the run's exported model and returns its path. */
  writeModel(bytes: Uint8Array): Promise<string> {
    return this.write(files.model, bytes);
  }

  /** Writes a file of the run atomically and returns its path. */
  async write(name: string, content: Uint8Array | string): Promise<string> {
    const path = join(this.path, name);
    await writeFileAtomic(path, content);
    return path;
  }
}

/** The records as metrics.jsonl has them: one a line. */
function linesOf(records: readonly EpochLine[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join("");
}

/** The records as metrics.csv has them: a row each, under the names of all their fields. */
function tableOf(records: readonly EpochLine[]): string {
  const names = [...new Set(records.flatMap((record) => Object.keys(record)))];
  const rows = records.map((record) => {
    const values = new Map<string, unknown>(Object.entries(record));
    return names.map((name) => values.get(name) ?? "");
  });
  return [names, ...rows].map((row) => `${row.join(",")}\n`).join("");
}

/** The settings as config.json has them. */
function textOf(config: unknown): string {
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** The folder of the run that a path is a checkpoint of; undefined where it is none. */
export async function runOfCheckpoint(path: string): Promise<string | undefined> {
  const folder = dirname(path);
  const run = dirname(folder);
  return basename(folder) === folders.checkpoints && (await isRun(run)) ? run : undefined;
}

/** Whether a folder is the folder of a run. Throws UserError where it may not be looked into. */
export async function isRun(path: string): Promise<boolean> {
  try {
    await stat(join(path, files.config));
    return true;
  } catch (error) {
    if (isForbidden(error)) throw refusal(path, "read", error);
    return false;
  }
}

/**
 * The run that a path belongs to, as the folder, a checkpoint, a model in training, the settings or the
 * metrics; undefined for other paths, such as that of an exported model, and where a permission is missing.
 */
export async function runOwning(path: string): Promise<string | undefined> {
  const own = await realpath(path).catch(() => resolve(path));
  const parent = dirname(own);
  const isFound = (folder: string) => isRun(folder).catch(() => false);
  if (await isFound(own)) return own;
  const { config, metrics, table, lock } = files;
  const names: readonly string[] = [config, metrics, table, lock, ...Object.values(folders)];
  if (names.includes(basename(own)) && (await isFound(parent))) return parent;
  const isInside = Object.values<string>(folders).includes(basename(parent));
  return isInside && (await isFound(dirname(parent))) ? dirname(parent) : undefined;
}

/** The files of a run that has ended. */
export interface FinishedRun {
  readonly model: string;
  readonly checkpoint: string;
}

/** The run in a folder, undefined where it holds none that has ended. */
export async function finishedRun(path: string): Promise<FinishedRun | undefined> {
  const [model, checkpoint] = [join(path, files.model), join(path, folders.checkpoints, "last")];
  const found = await Promise.all([model, checkpoint].map(isThere));
  return found.every(Boolean) ? { model, checkpoint } : undefined;
}

function taken(path: string): UserError {
  return new UserError(
    `${path} exists already: choose another --run-dir, or continue that run with --resume.`,
    { code: "run-exists", details: { path } },
  );
}
