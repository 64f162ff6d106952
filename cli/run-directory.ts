import { access } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type ArtifactBytes, type Checkpoint, decodeCheckpoint, readFileBytes } from "../artifacts/index.ts";
import { UserError } from "../graph-builder/errors.ts";
import type { CheckpointKind, CheckpointStore, ClassificationRecord } from "../runtime/index.ts";
import {
  makeFolder,
  makeFolderAtomic,
  readManifest,
  readTrainingModels,
  removeTemporaryFiles,
  writeFileAtomic,
  writeTrainingModels,
} from "../runtime/node/index.ts";
import { isShakeNetManifest, type ShakeNetArtifacts, type ShakeNetManifest } from "../shakenet/index.ts";
import { readJsonObject } from "./config-file.ts";
import {
  checkSettings,
  kebabCase,
  networkSlug,
  placeSettings,
  type RunConfig,
  runConfig,
  runSettings,
} from "./settings.ts";

/** The folder of a run: what it was told, what it trains, how it went, and what came out. */
export class RunDirectory implements CheckpointStore {
  readonly path: string;
  readonly config: RunConfig;
  #records: ClassificationRecord[] = [];

  private constructor(path: string, config: RunConfig) {
    this.path = path;
    this.config = config;
  }

  /**
   * Makes the folder of a new run with its settings, models and first checkpoint; it appears whole or not at all.
   * Throws UserError where it exists already or cannot be written.
   */
  static async create(path: string, config: RunConfig, artifacts: ShakeNetArtifacts): Promise<RunDirectory> {
    const isMade = await makeFolderAtomic(path, async (folder) => {
      await writeFileAtomic(join(folder, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
      await writeTrainingModels(join(folder, "graph"), artifacts);
      await makeFolder(join(folder, "checkpoints"));
      await writeFileAtomic(join(folder, "checkpoints", "last"), artifacts.checkpoint);
    });
    if (!isMade) throw taken(path);
    return new RunDirectory(path, config);
  }

  /** Throws UserError where something exists at a path, which a new run must not overwrite. */
  static async expectFree(path: string): Promise<void> {
    if (await exists(path)) throw taken(path);
  }

  /** Opens a run that exists. Throws UserError where it is none. */
  static async open(path: string): Promise<RunDirectory> {
    if (!(await exists(join(path, "config.json")))) {
      throw new UserError(`${path} is not the folder of a run: it has no config.json.`);
    }
    const file = join(path, "config.json");
    const given = checkSettings(runSettings, await readJsonObject(file), {
      label: (key) => `${key} in ${file}`,
      what: "a setting of a run",
    });
    return new RunDirectory(path, runConfig(given));
  }

  /** The run whose checkpoint lies at a path, undefined where it lies in none. Throws UserError where its settings are damaged. */
  static async around(checkpoint: string): Promise<RunDirectory | undefined> {
    const folder = dirname(checkpoint);
    const path = dirname(folder);
    const isOfRun = basename(folder) === "checkpoints" && (await exists(join(path, "config.json")));
    return isOfRun ? RunDirectory.open(path) : undefined;
  }

  /** The same run with settings that may change when it goes on. */
  withConfig(config: RunConfig): RunDirectory {
    return new RunDirectory(this.path, config);
  }

  /** Removes temporary files of killed writes, and the metrics of epochs that the last checkpoint has not finished. */
  async prepareToResume(): Promise<void> {
    await removeTemporaryFiles(this.path);
    await removeTemporaryFiles(join(this.path, "checkpoints"));
    const { properties } = await this.checkpoint("last");
    const epochs = Number(properties.get("epoch") ?? 0);
    this.#records = (await this.records()).filter(({ epoch }) => epoch <= epochs);
  }

  /** What the run trains, from its last checkpoint on. */
  async artifacts(): Promise<ArtifactBytes & { readonly manifest: ShakeNetManifest }> {
    const folder = join(this.path, "graph");
    const checkpoint = await readFileBytes(this.checkpointPath("last"));
    return {
      ...(await readTrainingModels(folder)),
      manifest: await readManifest(folder, isShakeNetManifest),
      checkpoint,
    };
  }

  checkpointPath(kind: CheckpointKind): string {
    return join(this.path, "checkpoints", kind);
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
  async addRecord(record: ClassificationRecord): Promise<void> {
    this.#records.push(record);
    const lines = this.#records.map((line) => JSON.stringify(line));
    const rows = [Object.keys(record), ...this.#records.map((line) => Object.values(line))];
    await this.write("metrics.jsonl", `${lines.join("\n")}\n`);
    await this.write("metrics.csv", `${rows.map((row) => row.join(",")).join("\n")}\n`);
  }

  /** The epochs in metrics.jsonl. */
  async records(): Promise<ClassificationRecord[]> {
    const path = join(this.path, "metrics.jsonl");
    if (!(await exists(path))) return [];
    const lines = new TextDecoder()
      .decode(await readFileBytes(path))
      .trim()
      .split("\n");
    try {
      return lines.map((line) => JSON.parse(line) as ClassificationRecord);
    } catch (error) {
      throw new UserError(`${path} has a line that is not JSON.`, { cause: error });
    }
  }

  /** Writes a file of the run atomically and returns its path. */
  async write(name: string, content: Uint8Array | string): Promise<string> {
    const path = join(this.path, name);
    await writeFileAtomic(path, content);
    return path;
  }
}

/** A free folder for a new run: runs/<network>-<data>-s<seed>, with a number behind where it is taken. */
export async function freeRunPath(config: RunConfig): Promise<string> {
  const stem = join("runs", `${networkSlug(config)}-${config.data}-s${config.seed}`);
  let path = stem;
  for (let i = 2; await exists(path); i++) path = `${stem}-${i}`;
  return path;
}

/** The command that trains what a run trained: its settings as flags, without those that are defaults or only say where. */
export function reproducingCommand(config: RunConfig): string {
  const defaults = runConfig({ data: config.data });
  const flags = runSettings
    .filter((name) => !placeSettings.includes(name) && config[name] !== undefined)
    .filter((name) => name === "data" || config[name] !== defaults[name])
    .map((name) => `--${kebabCase(name)} ${config[name]}`);
  return ["shake train", ...flags].join(" ");
}

function taken(path: string): UserError {
  return new UserError(
    `${path} exists already: take another --run-dir, or go on with it by --resume ${path}.`,
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
