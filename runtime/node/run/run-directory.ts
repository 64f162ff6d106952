import { access, readdir, realpath, rename, stat } from "node:fs/promises";
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
import { UserError } from "../../../graph-builder/errors.ts";
import type { CheckpointKind } from "../../loop/events.ts";
import type { CheckpointStore } from "../../loop/train.ts";
import { makeFolder, makeFolderAtomic, removeTemporaryFiles, writeFileAtomic } from "../files.ts";
import { readManifest, readTrainingModels, writeTrainingModels } from "../folder.ts";
import { FileLock } from "../lock.ts";
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
} as const;
const folders = { graph: "graph", checkpoints: "checkpoints" } as const;

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
    if (names ? names.length > 0 : await exists(path)) throw taken(path);
  }

  /** Opens a run that exists. Throws UserError where there is none, or its settings are damaged. */
  static async open<C, M extends Manifest, L extends EpochLine>(
    format: RunFormat<C, M, L>,
    path: string,
  ): Promise<RunDirectory<C, M, L>> {
    const file = join(path, files.config);
    if (!(await exists(file))) {
      throw new UserError(`${path} is not the folder of a run: it has no ${files.config}.`, {
        code: "run-missing",
        details: { path },
      });
    }
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
    const folder = dirname(checkpoint);
    const path = dirname(folder);
    const isOfRun = basename(folder) === folders.checkpoints && (await isRun(path));
    return isOfRun ? RunDirectory.open(format, path) : undefined;
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
   * Where the last checkpoint is missing or damaged, puts the best one in its place, keeps the damaged one as
   * `last.damaged`, and returns a sentence that says so. Throws UserError where neither is sound.
   */
  async mendLast(): Promise<string | undefined> {
    const fault = await this.checkpoint("last").then(
      () => undefined,
      (error: unknown) => error,
    );
    if (fault === undefined) return undefined;
    const [last, best] = [this.checkpointPath("last"), this.checkpointPath("best")];
    const sound = await this.checkpoint("best").catch(() => undefined);
    if (!(fault instanceof UserError) || !sound) throw fault;
    const isMissing = fault.code === "file-missing";
    const bytes = await readFileBytes(best);
    if (!isMissing) await rename(last, `${last}.damaged`);
    await this.save("last", bytes);
    const what = isMissing ? "does not exist" : `is damaged and kept as ${last}.damaged`;
    return `${last} ${what}: the run goes on from ${best}, of step ${countIn(sound.properties, "step", best) ?? 0}.`;
  }

  /**
   * Removes temporary files of killed writes, and the metrics of epochs that the last checkpoint has not
   * finished.
   */
  async prepareToResume(): Promise<void> {
    await removeTemporaryFiles(this.path);
    for (const folder of Object.values(folders)) await removeTemporaryFiles(join(this.path, folder));
    const { properties } = await this.checkpoint("last");
    const epochs = countIn(properties, "epoch", this.checkpointPath("last")) ?? 0;
    this.#records = (await this.records()).filter(({ epoch }) => epoch <= epochs);
  }

  /** The run's training models and manifest with its last checkpoint. */
  async artifacts(): Promise<ArtifactBytes & { readonly manifest: M }> {
    const folder = join(this.path, folders.graph);
    const checkpoint = await readFileBytes(this.checkpointPath("last"));
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

  /** Adds an epoch to metrics.jsonl and metrics.csv. */
  async addRecord(record: Line): Promise<void> {
    this.#records.push(record);
    const lines = this.#records.map((line) => JSON.stringify(line));
    const rows = [Object.keys(record), ...this.#records.map((line) => Object.values(line))];
    await this.write(files.metrics, `${lines.join("\n")}\n`);
    await this.write(files.table, `${rows.map((row) => row.join(",")).join("\n")}\n`);
  }

  /** The epochs in metrics.jsonl. */
  async records(): Promise<Line[]> {
    const path = join(this.path, files.metrics);
    if (!(await exists(path))) return [];
    const text = new TextDecoder().decode(await readFileBytes(path)).trim();
    return text.split("\n").map((line, i) => this.#format.recordOf(line, `Line ${i + 1} of ${path}`));
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

/** The settings as config.json has them. */
function textOf(config: unknown): string {
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** Whether a folder is the folder of a run. */
export function isRun(path: string): Promise<boolean> {
  return exists(join(path, files.config));
}

/**
 * The run that a path belongs to, as the folder, a checkpoint, a model in training, the settings or the
 * metrics; undefined for other paths, such as that of an exported model.
 */
export async function runOwning(path: string): Promise<string | undefined> {
  const own = await realpath(path).catch(() => resolve(path));
  const parent = dirname(own);
  if (await isRun(own)) return own;
  const { config, metrics, table, lock } = files;
  const names: readonly string[] = [config, metrics, table, lock, ...Object.values(folders)];
  if (names.includes(basename(own)) && (await isRun(parent))) return parent;
  const isInside = Object.values<string>(folders).includes(basename(parent));
  return isInside && (await isRun(dirname(parent))) ? dirname(parent) : undefined;
}

/** The files of a run that has ended. */
export interface FinishedRun {
  readonly path: string;
  readonly model: string;
  readonly checkpoint: string;
  /** When the model was written, in milliseconds since 1970. */
  readonly time: number;
}

/** The run in a folder, undefined where it holds none that has ended. */
export async function finishedRun(path: string): Promise<FinishedRun | undefined> {
  const [model, checkpoint] = [join(path, files.model), join(path, folders.checkpoints, "last")];
  const [written, saved] = await Promise.all(
    [model, checkpoint].map((file) => stat(file).catch(() => undefined)),
  );
  return written && saved && { path, model, checkpoint, time: written.mtimeMs };
}

/** The run that ended last among the folders in `runs/`, undefined where there is none. */
export async function newestRun(): Promise<FinishedRun | undefined> {
  const entries = await readdir(RUNS, { withFileTypes: true }).catch(() => []);
  const paths = entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(RUNS, name));
  const runs = await Promise.all(paths.map(finishedRun));
  return runs.filter((run) => run !== undefined).sort((a, b) => b.time - a.time)[0];
}

const RUNS = "runs";

/** A path in `runs/` for a new run of a name, with a number appended where it is taken. */
export async function freeRunPath(name: string): Promise<string> {
  const stem = join(RUNS, name);
  let path = stem;
  for (let i = 2; await exists(path); i++) path = `${stem}-${i}`;
  return path;
}

function taken(path: string): UserError {
  return new UserError(
    `${path} exists already: choose another --run-dir, or continue that run with --resume.`,
    { code: "run-exists", details: { path } },
  );
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
